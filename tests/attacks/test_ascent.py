"""Attacks that maximise a loss in a ball, against problems whose optimum is known."""

import numpy as np
import pytest
import torch
from attack_problems import Linear, Quadratic, Saddle, best_in_ball_and_box, problem

from retr.attacks.apgd import checkpoints
from retr.attacks.projections import project
from retr.attacks.registry import ATTACKS, find_attack
from retr.attacks.target import loss_and_gradient
from retr.core.errors import UsageError

NAMES = ["pgd-l2", "pgd-linf", "mi-fgsm-l2", "mi-fgsm-linf", "apgd-l2", "apgd-linf"]


def budgets(name):
    return torch.tensor([0.5, 1.0, 1.5]) * (1.0 if name.endswith("l2") else 0.05)


def effort(name, steps, eps):
    """PGD's customary step is short for an ℓ2 ball, MI-FGSM's for a walk around the box; APGD finds its own."""
    return {"steps": steps} if name.startswith("apgd") else {"steps": steps, "alpha": eps / 8}


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
    # Momentum that never fades carries MI-FGSM past a peak, so its step is small here.
    more = {"alpha": eps / 40} if name.startswith("mi-fgsm") else {}
    result = ATTACKS[name].run(Quadratic(peak), x, eps=eps, steps=100, seeds=[1, 2, 3], **more)
    start = ((x - peak) ** 2).flatten(1).sum(1)
    # Outside: the box may bind a little; compare with the projection of the peak, which is the optimum.
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
def test_restarts_help_where_the_gradient_vanishes(name):
    _, x = problem()
    g = torch.zeros(x.shape[1:], dtype=torch.float64)
    g[0, 0, 0] = 1.0  # half of the random starts see a zero gradient
    eps = torch.full((3,), 0.2)
    target = Saddle(g, x, 0.2**2 * 0.8)
    loss, gradient = loss_and_gradient(target, x, torch.arange(3))
    assert not gradient.any()
    assert not (loss > 0).any()
    run = ATTACKS[name].run
    triples = ([3 * i, 3 * i + 1, 3 * i + 2] for i in range(20))
    seeds = next(s for s in triples if not run(target, x, eps=eps, steps=6, seeds=s).success.all())
    many = run(target, x, eps=eps, seeds=seeds, restarts=12, **effort(name, 20, eps))
    assert many.success.all()
    if not name.startswith("mi-fgsm"):  # which leaves a zero gradient in a random direction
        assert many.restart.max() > 0


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


def test_momentum_accumulates_and_mu_zero_is_the_basic_method():
    # A gradient that turns round: the basic method comes straight back, momentum does not.
    class Alternating:
        def __init__(self):
            self.seen = []

        def loss(self, x, samples):
            self.seen.append(x.detach().clone())
            turn = 1.0 if len(self.seen) % 3 else -0.5
            return turn * x.flatten(1).sum(1) - 1e6

    _, x = problem()
    paths = {}
    for mu in (0.0, 1.0):
        target = Alternating()
        ATTACKS["mi-fgsm-linf"].run(target, x, eps=torch.full((3,), 0.4), steps=6, seeds=[1, 2, 3], mu=mu)
        paths[mu] = [float((seen - x).mean()) * 6 / 0.4 for seen in target.seen]
    assert paths[0.0] == pytest.approx([0, 1, 2, 1, 2, 3, 2], abs=1e-5)
    assert paths[1.0] == pytest.approx([0, 1, 2, 3, 4, 5, 6], abs=1e-5)


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
