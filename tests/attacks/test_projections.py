import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.attacks.projections import Ball, project, random_start, steepest

DTYPES = [torch.float32, torch.float64]
NORMS: list[Ball] = ["l2", "linf"]


def exact_norm(delta: np.ndarray, norm: str) -> float:
    return math.sqrt(math.fsum(float(v) ** 2 for v in delta.ravel())) if norm == "l2" else float(np.abs(delta).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm", NORMS)
@given(seed=st.integers(0, 10_000), eps=st.floats(0.0, 5.0), reach=st.floats(1e-6, 20.0))
@settings(max_examples=60, deadline=None)
def test_projection_never_exceeds_the_budget(norm, dtype, seed, eps, reach):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, 3, 5, 4, generator=generator, dtype=dtype)
    x[1] = x[1].round()  # box active everywhere
    adv = x + reach * torch.randn(x.shape, generator=generator, dtype=dtype)
    out = project(x, adv, norm=norm, eps=torch.tensor([eps, eps / 3], dtype=torch.float64))
    assert out.dtype == dtype
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1
    for i, budget in enumerate([eps, eps / 3]):
        assert exact_norm(out[i].double().numpy() - x[i].double().numpy(), norm) <= budget


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm", NORMS)
def test_projection_keeps_points_that_are_inside(norm, dtype):
    x = torch.full((1, 3, 4, 4), 0.5, dtype=dtype)
    adv = x + 0.01
    out = project(x, adv, norm=norm, eps=torch.tensor([1.0]))
    torch.testing.assert_close(out, adv, atol=1e-6, rtol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_projection_is_the_nearest_point(norm):
    # Variational inequality: <adv − P, y − P> ≤ 0 for every feasible y, with the box active on many values.
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, 6, 6, generator=generator, dtype=torch.float64)
    x[0, 0] = 0.0
    adv = x + torch.randn(x.shape, generator=generator, dtype=torch.float64)
    eps = torch.tensor([2.0])
    p = project(x, adv, norm=norm, eps=eps)
    assert exact_norm((p - x).numpy(), norm) > 2.0 * (1 - 2e-4) or norm == "linf"
    for seed in range(200):
        y = random_start(x, norm=norm, eps=eps * (seed % 5 + 1) / 5, seeds=[seed], restart=0)
        assert float(((adv - p) * (y - p)).sum()) <= 1e-3 * float((adv - p).norm())


@pytest.mark.parametrize("norm", NORMS)
def test_random_starts_depend_on_seed_and_restart_alone(norm):
    x = torch.full((2, 3, 4, 4), 0.5)
    eps = torch.tensor([0.2, 0.4])
    both = random_start(x, norm=norm, eps=eps, seeds=[3, 4], restart=1)
    alone = random_start(x[1:], norm=norm, eps=eps[1:], seeds=[4], restart=1)
    assert torch.equal(both[1], alone[0])
    assert not torch.equal(both, random_start(x, norm=norm, eps=eps, seeds=[3, 4], restart=2))
    assert not torch.equal(both[0], x[0])


@pytest.mark.parametrize("scale", [1.0, 1e-30])
def test_steepest_ascent_has_unit_norm_and_zero_stays_zero(scale):
    gradient = torch.randn(2, 3, 4, 4) * scale
    gradient[1] = 0
    l2 = steepest(gradient, norm="l2")
    assert float(l2[0].norm()) == pytest.approx(1.0, abs=1e-5)
    assert float(steepest(gradient, norm="linf")[0].abs().max()) == 1.0
    for norm in NORMS:
        assert not steepest(gradient, norm=norm)[1].any()
