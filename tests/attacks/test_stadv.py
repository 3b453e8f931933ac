"""stAdv, alone and before PGD, and the optimiser it uses."""

import math

import numpy as np
import pytest
import torch
from attack_problems import Linear, problem

from retr.attacks.lbfgs import minimise
from retr.attacks.projections import size
from retr.attacks.registry import ATTACKS
from retr.attacks.stadv import Bend, stadv, warp
from retr.attacks.stadv_pgd import stadv_pgd


def waves(count=3, side=16):
    """Smooth images, which a flow can move."""
    at = torch.arange(side, dtype=torch.float64)
    planes = [torch.sin(0.5 * at[:, None] + 0.3 * (i + 1) * at[None] + i) for i in range(3 * count)]
    return 0.5 + 0.3 * torch.stack(planes).view(count, 3, side, side)


class Toward:
    """loss = ‖x0 − goal‖²·share − ‖x − goal‖²: won once part of the way is done."""

    def __init__(self, goal, x0, share=0.3):
        self.goal = goal
        self.limit = share * (x0 - goal).flatten(1).square().sum(1)

    def loss(self, x, samples):
        return self.limit[samples].to(x) - (x - self.goal[samples].to(x)).flatten(1).square().sum(1)


def shifted(x, by):
    flow = torch.zeros(len(x), 2, *x.shape[2:], dtype=x.dtype)
    flow[:, 1] = by
    return warp(x, flow)


def test_no_flow_is_the_image_exactly_and_whole_pixels_are_shifts():
    x = torch.rand(2, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(warp(x, torch.zeros(2, 2, 7, 5)), x)
    moved = shifted(x, 1.0)
    assert torch.equal(moved[..., :-1], x[..., 1:])
    assert torch.equal(moved[..., -1], x[..., -1])
    assert torch.equal(warp(x, torch.full((2, 2, 7, 5), 99.0)), x[:, :, -1:, -1:].expand_as(x))


def test_flow_is_bilinear_as_in_torch():
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(2, 3, 6, 9, generator=generator, dtype=torch.float64)
    flow = 3 * torch.randn(2, 2, 6, 9, generator=generator, dtype=torch.float64)
    down = torch.arange(6)[:, None] + flow[:, 0]
    along = torch.arange(9) + flow[:, 1]
    grid = torch.stack([2 * along / 8 - 1, 2 * down / 5 - 1], dim=-1)
    expected = torch.nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=True)
    torch.testing.assert_close(warp(x, flow), expected)
    flow.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda f: warp(x, f), (flow,), atol=1e-6)


@pytest.mark.parametrize("released", [False, True])
def test_a_shift_is_found_by_moving_pixels(released):
    x = waves()
    target = Toward(shifted(x, 1.0), x)
    result = stadv(target, x, eps=torch.zeros(3), steps=60, seeds=[1, 2, 3], released=released)
    assert result.success.all()
    assert torch.all(result.gradients <= 61)
    # Values are moved, not made up.
    assert float(result.x_adv.max()) <= float(x.max())
    assert float(result.x_adv.min()) >= float(x.min())


def test_heavier_flow_loss_gives_smoother_flow_and_less_gain():
    x = waves()
    target = Toward(shifted(x, 1.5), x, share=0.0)
    gain = [
        stadv(target, x, eps=torch.zeros(3), steps=40, seeds=[1, 2, 3], beta=beta).loss for beta in (0.005, 0.05, 5.0)
    ]
    assert torch.all(gain[0] >= gain[1] - 1e-9)
    assert torch.all(gain[1] > gain[2])


def test_flow_loss_of_equation_5_and_of_the_released_code():
    from retr.attacks.stadv import _axial, _diagonal

    flow = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    u, v = flow[0]
    axial = diagonal = 0.0
    for i in range(3):
        for j in range(4):
            for di, dj in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if 0 <= i + di < 3 and 0 <= j + dj < 4:
                    axial += math.hypot(u[i, j] - u[i + di, j + dj], v[i, j] - v[i + di, j + dj])
            for di, dj in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                inside = 0 <= i + di < 3 and 0 <= j + dj < 4
                other = (u[i + di, j + dj], v[i + di, j + dj]) if inside else (0.0, 0.0)
                diagonal += float((u[i, j] - other[0]) ** 2 + (v[i, j] - other[1]) ** 2)
    assert float(_axial(flow)) == pytest.approx(axial, rel=1e-6)
    assert float(_diagonal(flow)) == pytest.approx(diagonal)


def test_relative_weight_makes_the_scale_of_the_loss_irrelevant_and_absolute_keeps_it():
    x = waves()
    goal = shifted(x, 1.0)

    class Tiny(Toward):
        def loss(self, x, samples):
            return 1e-6 * super().loss(x, samples)

    plain = stadv(Toward(goal, x), x, eps=torch.zeros(3), steps=20, seeds=[1, 2, 3])
    tiny = stadv(Tiny(goal, x), x, eps=torch.zeros(3), steps=20, seeds=[1, 2, 3])
    torch.testing.assert_close(tiny.x_adv, plain.x_adv, rtol=0, atol=1e-6)
    stiff = stadv(Tiny(goal, x), x, eps=torch.zeros(3), steps=20, seeds=[1, 2, 3], relative=False)
    assert torch.all(stiff.loss < tiny.loss)


def test_a_zero_gradient_at_no_flow_is_left_by_a_random_flow():
    x = waves()

    class Away:
        def __init__(self, clean):
            self.clean = clean

        def loss(self, x, samples):
            return (x - self.clean[samples]).flatten(1).square().sum(1) - 0.1

    result = stadv(Away(x), x, eps=torch.zeros(3), steps=40, seeds=[1, 2, 3])
    assert torch.all(result.loss > -0.095)
    assert torch.all((result.zero_gradients * result.gradients).round() == 1)


def test_pgd_after_stadv_stays_around_the_original_image():
    x = waves()
    target = Toward(shifted(x, 1.0), x, share=0.0)
    eps = torch.tensor([0.01, 0.02, 0.03], dtype=torch.float64)
    both = stadv_pgd(target, x, eps=eps, steps=20, seeds=[1, 2, 3])
    assert torch.all(size(both.x_adv - x, norm="linf") <= eps)
    assert torch.all(size(both.x_adv - x, norm="linf") > 0.99 * eps)
    bent = stadv(target, x, eps=eps, steps=10, seeds=[1, 2, 3])
    assert torch.all(size(bent.x_adv - x, norm="linf") > eps)
    assert torch.all(both.gradients == 23)  # the clean image, and ten steps and a first point of each
    # The best that a change within the ball could do on this quadratic is known.
    optimum = (x + (target.goal - x).clamp(-eps.view(-1, 1, 1, 1), eps.view(-1, 1, 1, 1)) - target.goal).square()
    assert torch.all(-both.loss <= optimum.flatten(1).sum(1) * 1.01)


def test_only_pgd_counts_where_stadv_has_no_steps():
    g, x = problem()
    eps = torch.full((3,), 0.05)
    result = stadv_pgd(Linear(g, x, 1e3), x, eps=eps, steps=20, k=20, seeds=[1, 2, 3])
    assert torch.all(result.loss + 1e3 >= 0.99 * eps * g.flatten(1).abs().sum(1))
    assert Bend(0).steps == 0


def rosenbrock(u):
    return (100 * (u[:, 1:] - u[:, :-1] ** 2) ** 2 + (1 - u[:, :-1]) ** 2).sum(1)


def test_lbfgs_is_as_quick_as_scipys():
    optimize = pytest.importorskip("scipy.optimize")
    start = torch.randn(3, 10, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    calls = torch.zeros(3, dtype=torch.int64)

    def evaluate(rows, u):
        u = u.detach().requires_grad_(True)
        value = rosenbrock(u)
        (gradient,) = torch.autograd.grad(value.sum(), u)
        calls[rows] += 1
        return value.detach(), gradient, value.detach() < 1e-8

    minimise(evaluate, start, steps=300, first=torch.full((3,), 0.1, dtype=torch.float64))
    assert torch.all(calls < 300)
    for i in range(3):

        def value(v):
            return float(rosenbrock(torch.from_numpy(v)[None]))

        def slope(v):
            u = torch.from_numpy(v)[None].requires_grad_(True)
            return torch.autograd.grad(rosenbrock(u).sum(), u)[0][0].numpy()

        theirs = optimize.fmin_l_bfgs_b(value, start[i].numpy(), fprime=slope, factr=10, pgtol=1e-6)
        assert theirs[1] < 1e-8
        assert calls[i] <= 1.3 * theirs[2]["funcalls"]


def test_lbfgs_solves_a_quadratic_of_any_scale_and_stops_at_the_bottom():
    scales = torch.logspace(-2, 2, 6, dtype=torch.float64)
    found = torch.full((2,), torch.inf, dtype=torch.float64)
    calls = []

    def evaluate(rows, u):
        value = (scales * u**2).sum(1) * torch.tensor([1.0, 1e9], dtype=torch.float64)[rows]
        gradient = 2 * scales * u * torch.tensor([1.0, 1e9], dtype=torch.float64)[rows][:, None]
        found[rows] = torch.minimum(found[rows], value)
        calls.append(len(rows))
        return value, gradient, torch.zeros_like(rows, dtype=torch.bool)

    minimise(evaluate, torch.ones(2, 6, dtype=torch.float64), steps=400, first=torch.full((2,), 1e-3).double())
    assert found[0] < 1e-12
    assert found[1] < 1e-3
    assert np.isfinite(found.numpy()).all()
    calls.clear()
    minimise(evaluate, torch.zeros(2, 6, dtype=torch.float64), steps=400, first=torch.full((2,), 1e-3).double())
    assert calls == [2]


def test_stadv_has_no_ball():
    assert ATTACKS["stadv"].norm == "none"
