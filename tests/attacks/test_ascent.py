"""PGD and APGD against problems whose optimum is known."""

import numpy as np
import pytest
import torch

from retr.attacks.apgd import checkpoints
from retr.attacks.registry import ATTACKS, find_attack
from retr.attacks.target import loss_and_gradient
from retr.core.errors import UsageError

NAMES = list(ATTACKS)
SHAPE = (3, 8, 8)


class Linear:
    """loss_i = <g_i, x − x0> − offset."""

    def __init__(self, g, x0, offset):
        self.g, self.x0, self.offset, self.seen = g, x0, offset, 0

    def loss(self, x, samples):
        self.seen += len(x)
        return (self.g[samples].to(x) * (x - self.x0[samples].to(x))).flatten(1).sum(1) - self.offset


class Quadratic:
    """loss = offset − ‖x − peak‖²."""

    def __init__(self, peak, offset=0.0):
        self.peak, self.offset = peak, offset

    def loss(self, x, samples):
        return self.offset - ((x - self.peak[samples].to(x)) ** 2).flatten(1).sum(1)


class Saddle:
    """loss = ‖x − x0‖² in one direction: the gradient at the clean image is zero."""

    def __init__(self, g, x0, offset):
        self.g, self.x0, self.offset = g, x0, offset

    def loss(self, x, samples):
        along = (self.g * (x - self.x0[samples])).flatten(1).sum(1)
        return along.clamp(min=0.0) ** 2 - self.offset


def problem(dtype=torch.float64, middle=True):
    generator = torch.Generator().manual_seed(1)
    g = torch.randn(3, *SHAPE, generator=generator, dtype=dtype)
    x = torch.rand(3, *SHAPE, generator=generator, dtype=dtype)
    return g, 0.45 + 0.1 * x if middle else x.round()


def budgets(name):
    return torch.tensor([0.5, 1.0, 1.5]) * (1.0 if name.endswith("l2") else 0.05)


def best_in_ball_and_box(g, x, eps, norm):
    """max <g, δ> by bisection on the multiplier: an independent solver."""
    low, high = -x, 1 - x
    if norm == "linf":
        return float((g * torch.where(g > 0, high.clamp(max=eps), low.clamp(min=-eps))).sum())
    small, large = 0.0, 1e6
    for _ in range(200):
        s = (small + large) / 2
        delta = torch.minimum(torch.maximum(s * g, low), high)
        small, large = (s, large) if float(delta.norm()) <= eps else (small, s)
    return float((g * torch.minimum(torch.maximum(small * g, low), high)).sum())


def effort(name, steps, eps):
    """PGD's customary step is short for an ℓ2 ball; APGD finds its own."""
    return {"steps": steps, "alpha": eps / 8} if name.startswith("pgd") else {"steps": steps}


def realised(result, x, name):
    delta = (result.x_adv.double() - x.double()).flatten(1)
    return delta.norm(dim=1) if name.endswith("l2") else delta.abs().amax(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_linear_optimum_is_reached_within_one_percent(name, dtype):
    g, x = problem(dtype)
    eps = budgets(name)
    result = ATTACKS[name].run(Linear(g, x, 1e3), x, eps=eps, seeds=[1, 2, 3], **effort(name, 60, eps))
    dual = g.flatten(1).norm(dim=1) if name.endswith("l2") else g.flatten(1).abs().sum(1)
    assert torch.all(result.loss + 1e3 >= 0.99 * eps * dual)
    assert torch.all(result.loss + 1e3 <= eps * dual * (1 + 1e-5) + 1e-3)
    assert torch.all(realised(result, x, name) <= eps.double())
    assert not result.success.any()


@pytest.mark.parametrize("name", NAMES)
def test_linear_optimum_with_the_box_active(name):
    g, x = problem(middle=False)
    eps = budgets(name) * 4
    result = ATTACKS[name].run(Linear(g, x, 1e3), x, eps=eps, seeds=[1, 2, 3], **effort(name, 100, eps))
    for i in range(3):
        exact = best_in_ball_and_box(g[i], x[i], float(eps[i]), ATTACKS[name].norm)
        assert 0.99 * exact <= float(result.loss[i]) + 1e3 <= exact * (1 + 1e-6)
    assert torch.all(realised(result, x, name) <= eps.double())
    assert float(result.x_adv.min()) >= 0
    assert float(result.x_adv.max()) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_quadratic_optimum_is_reached(name):
    # The peak is outside the ball along one direction for ℓ2, inside it for ℓ∞.
    g, x = problem()
    eps = budgets(name) * 2
    unit = g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    outside = name.endswith("l2")
    peak = x + (3 * eps.view(-1, 1, 1, 1) * unit if outside else 0.5 * eps.view(-1, 1, 1, 1) * torch.sign(g))
    result = ATTACKS[name].run(Quadratic(peak), x, eps=eps, steps=100, seeds=[1, 2, 3])
    start = ((x - peak) ** 2).flatten(1).sum(1)
    # Outside: the box may bind a little; compare with the projection of the peak, which is the optimum.
    from retr.attacks.projections import project

    optimum = ((project(x, peak, norm=ATTACKS[name].norm, eps=eps) - peak) ** 2).flatten(1).sum(1)
    assert torch.all(-result.loss - optimum <= 0.01 * start)


@pytest.mark.parametrize("name", NAMES)
def test_per_sample_budgets_and_per_sample_success(name):
    g, x = problem()
    eps = budgets(name)
    dual = g.flatten(1).norm(dim=1) if name.endswith("l2") else g.flatten(1).abs().sum(1)
    reach = eps * dual
    target = Linear(g, x, float((reach[0] + reach[1]) / 2))
    result = ATTACKS[name].run(target, x, eps=eps, steps=30, seeds=[1, 2, 3], restarts=2)
    assert result.success.tolist() == [False, True, True]
    assert torch.equal(result.success, result.loss > 0)
    assert result.gradients[0] == 2 * 31  # failed: every step of both starts
    assert result.gradients[2] < 31  # won early, and was left alone
    assert int(result.forwards.sum()) == target.seen


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_image_in_any_batch(name):
    g, x = problem()
    eps = budgets(name)
    run = ATTACKS[name].run
    first = run(Linear(g, x, 1e3), x, eps=eps, steps=5, seeds=[1, 2, 3])
    again = run(Linear(g, x, 1e3), x, eps=eps, steps=5, seeds=[1, 2, 3])
    other = run(Quadratic(x), x, eps=eps, steps=1, seeds=[1, 2, 4])
    same = run(Quadratic(x), x, eps=eps, steps=1, seeds=[1, 2, 3])
    assert torch.equal(first.x_adv, again.x_adv)
    assert torch.equal(other.x_adv[:2], same.x_adv[:2])
    assert not torch.equal(other.x_adv[2], same.x_adv[2])


@pytest.mark.parametrize("name", NAMES)
def test_failure_returns_the_best_iterate_and_never_the_clean_image(name):
    _, x = problem()
    target = Quadratic(x, offset=-1.0)  # every move away loses
    result = ATTACKS[name].run(target, x, eps=budgets(name), steps=1, seeds=[1, 2, 3])
    assert not result.success.any()
    assert torch.all((result.x_adv - x).flatten(1).norm(dim=1) > 0)
    torch.testing.assert_close(target.loss(result.x_adv, torch.arange(3)), result.loss)


@pytest.mark.parametrize("name", NAMES)
def test_restarts_help_where_the_gradient_vanishes(name):
    _, x = problem()
    g = torch.zeros(SHAPE, dtype=torch.float64)
    g[0, 0, 0] = 1.0  # half of the random starts see a zero gradient and stay
    eps = torch.full((3,), 0.2)
    target = Saddle(g, x, 0.2**2 * 0.8)
    loss, gradient = loss_and_gradient(target, x, torch.arange(3))
    assert not gradient.any()
    assert not (loss > 0).any()
    seeds = next(
        s for s in _seed_triples() if not ATTACKS[name].run(target, x, eps=eps, steps=20, seeds=s).success.all()
    )
    assert ATTACKS[name].run(target, x, eps=eps, steps=20, seeds=seeds, restarts=12).success.all()


def _seed_triples():
    return ([3 * i, 3 * i + 1, 3 * i + 2] for i in range(20))


def test_a_gradient_that_is_not_a_number_stops_nothing():
    class Broken:
        def loss(self, x, samples):
            value = x.flatten(1).sum(1)
            return torch.where(samples == 0, value * torch.nan, value)

    _, x = problem()
    result = ATTACKS["apgd-l2"].run(Broken(), x, eps=torch.ones(3), steps=5, seeds=[1, 2, 3])
    assert result.success.tolist() == [False, True, True]
    assert torch.isfinite(result.x_adv).all()


def test_checkpoints_of_the_paper():
    assert checkpoints(100) == [0, 22, 41, 57, 70, 80, 87, 93, 99]


def test_unknown_attack_and_wrong_sizes_are_named():
    with pytest.raises(UsageError, match="apgd-linf"):
        find_attack("fgsm2")
    _, x = problem()
    with pytest.raises(UsageError, match="seeds"):
        ATTACKS["pgd-l2"].run(Quadratic(x), x, eps=torch.ones(3), steps=1, seeds=[1])


def test_seeds_are_independent_of_numpy_global_state():
    _, x = problem()
    np.random.seed(0)  # noqa: NPY002
    a = ATTACKS["pgd-l2"].run(Quadratic(x), x, eps=torch.ones(3), steps=2, seeds=[1, 2, 3])
    torch.manual_seed(5)
    b = ATTACKS["pgd-l2"].run(Quadratic(x), x, eps=torch.ones(3), steps=2, seeds=[1, 2, 3])
    assert torch.equal(a.x_adv, b.x_adv)
