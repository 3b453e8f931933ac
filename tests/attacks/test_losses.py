"""The papers' losses: right in sign, the papers' in gradient, and attacked as they should be."""

import pytest
import torch
from attack_problems import problem

from retr.attacks.apgd import apgd
from retr.attacks.losses import Distance, EmbeddingTarget, RatioTarget
from retr.attacks.pgd import pgd
from retr.attacks.target import loss_and_gradient


def metric(x, y):
    return (x - y).flatten(1).abs().mean(1)


def distance_to(of, references) -> Distance:
    return lambda x, samples: of(x, references[samples])


def fixed(distances) -> Distance:
    return lambda x, samples: distances[samples].to(x)


def triplets(gap=0.02):
    """References, near images and farther ones."""
    g, x = problem()
    return x, x + 0.03 * torch.sign(g), x - (0.03 + gap) * torch.sign(g)


def paper(form, prey, other):
    """The formulas as printed, less their value at equal distances."""
    ratio = other / (other + prey)
    return {"flip": (ratio - 1) ** 2 - 0.25, "rank": 0.5 - ratio, "reverse": ratio**2 - 0.25}[form]


@pytest.mark.parametrize("form", ["flip", "rank", "reverse"])
def test_the_formulas_of_the_paper_and_their_gradients(form):
    reference, near, far = triplets()
    other = metric(far, reference)
    target = RatioTarget(distance_to(metric, reference), fixed(other), form)
    samples = torch.arange(3)
    loss, gradient = loss_and_gradient(target, near, samples)
    x = near.clone().requires_grad_(True)
    expected = paper(form, metric(x, reference), other)
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), x)[0])


@pytest.mark.parametrize(("form", "closer"), [("flip", False), ("rank", False), ("reverse", True)])
def test_won_exactly_where_the_order_turns(form, closer):
    prey = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])
    other = torch.tensor([1.0 + 1e-7, 1.0, 1.0 - 1e-7, 1.0, 0.0])
    target = RatioTarget(fixed(prey), fixed(other), form)
    loss = target.loss(torch.zeros(5, 3, 2, 2), torch.arange(5))
    assert (loss > 0).tolist() == (prey < other if closer else prey > other).tolist()
    assert torch.isfinite(loss).all()


def test_flip_and_rank_make_the_near_image_the_farther_one():
    reference, near, far = triplets()
    other = metric(far, reference)
    for form in ("flip", "rank"):
        target = RatioTarget(distance_to(metric, reference), fixed(other), form)
        eps = torch.full((3,), 0.03)
        result = pgd(target, near, norm="linf", eps=eps, steps=20, seeds=[1, 2, 3])
        assert result.success.all()
        assert torch.all(metric(result.x_adv, reference) > other)
        # ε is the prey's alone: 0.019 less cannot turn the order, which a budget spread over a triplet would hide.
        assert not pgd(target, near, norm="linf", eps=eps - 0.019, steps=20, seeds=[1, 2, 3]).success.any()


def test_reverse_pgd_makes_the_far_image_the_nearer_one():
    reference, near, far = triplets()
    other = metric(near, reference)
    target = RatioTarget(distance_to(metric, reference), fixed(other), "reverse")
    result = pgd(target, far, norm="linf", eps=torch.full((3,), 0.03), steps=20, seeds=[1, 2, 3])
    assert result.success.all()
    assert torch.all(metric(result.x_adv, reference) < other)


def test_references_are_found_by_sample_number():
    reference, near, far = triplets()
    target = RatioTarget(distance_to(metric, reference), distance_to(metric, far))
    whole = target.loss(near, torch.arange(3))
    turned = torch.tensor([2, 0, 2])
    assert torch.equal(target.loss(near[turned], turned), whole[turned])


def test_equation_1_fades_near_the_reference_and_the_rank_loss_does_not():
    reference, _, far = triplets()
    prey = distance_to(lambda x, y: (x - y).flatten(1).square().sum(1), reference)
    x = reference + 1e-6
    slopes = {}
    for form in ("flip", "rank"):
        target = RatioTarget(prey, fixed(metric(far, reference)), form)
        slopes[form] = float(loss_and_gradient(target, x, torch.arange(3))[1].norm())
    assert slopes["flip"] < 1e-6 * slopes["rank"]


def linear_embedder():
    matrix = torch.linalg.qr(torch.randn(192, 20, generator=torch.Generator().manual_seed(5), dtype=torch.float64))[0]
    scales = torch.linspace(0.2, 1.0, 20, dtype=torch.float64)
    return lambda x: (x.flatten(1) @ matrix.to(x)) * scales.to(x)


def test_embedding_attack_reaches_the_lipschitz_bound_from_a_random_start():
    # The largest singular value is 1: no image within eps moves the embedding by more than eps, and one does.
    _, x = problem()
    embed = linear_embedder()
    eps = torch.tensor([0.2, 0.4, 0.6], dtype=torch.float64)
    target = EmbeddingTarget(embed, x, eps)
    loss, gradient = loss_and_gradient(target, x, torch.arange(3))
    assert not gradient.any()
    assert torch.equal(loss, -eps)
    result = apgd(target, x, norm="l2", eps=eps, steps=100, seeds=[1, 2, 3])
    assert not result.success.any()
    assert torch.all(result.loss + eps >= 0.99 * eps)
    assert not result.zero_gradients.any()


def test_embedding_attack_finds_a_bound_that_is_too_small():
    _, x = problem()
    eps = torch.full((3,), 0.5, dtype=torch.float64)
    result = apgd(EmbeddingTarget(linear_embedder(), x, 0.9 * eps), x, norm="l2", eps=eps, steps=60, seeds=[1, 2, 3])
    assert result.success.all()
