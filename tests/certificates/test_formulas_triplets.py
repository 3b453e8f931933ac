"""T6 and T7: the formulas of docs/theory.md once more, with angles, in the coarse arithmetic of ``conftest.Coarse``."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from retr.certificates import pairs, triplets
from retr.core.numerics import UNIT64, gamma
from retr.core.types import UpperBound

L, E, STILL = 1.5, 1e-3, 1e-3
BUDGET: dict[str, Any] = {"lipschitz": UpperBound(L, "test"), "forward_error": E}
TIGHT: dict[str, Any] = {"rel": 1e-13, "abs": 1e-14}


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def drawn(score, count=60, d=4):
    """(reference, prey, other), the prey nearer; some candidates much alike."""
    random = np.random.default_rng(3)
    z, a, b = random.normal(size=(3, count, d)) * np.exp(0.5 * random.normal(size=(3, count, 1)))
    b[::3] = a[::3] + 0.05 * b[::3]
    if score == "cosine":
        swap = (unit(z) * unit(a)).sum(1) < (unit(z) * unit(b)).sum(1)
    else:
        swap = np.linalg.norm(z - a, axis=1) > np.linalg.norm(z - b, axis=1)
    return z, np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)


def largest(holds, far):
    low, high = 0.0, far
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def steps(moving, reach):
    return (reach if moving in (who, "all") else STILL for who in ("reference", "prey", "other"))


def angle(z, row):
    across = np.linalg.norm(z - (z @ unit(row)) * unit(row))
    return math.atan2(across, z @ unit(row))


def cosine_reach(z, prey, other, moving, coarse):
    """‖z‖(cos(φ_p + α_p) − cos(φ_o − α_o)) > η_z·W or ‖z‖·sin((φ_o − α_o − φ_p − α_p)/2) > η_z, less the rounding."""
    d, g = z.size, coarse.gammas(z.size, 5)
    low, length = coarse.bounds(z)
    sizes = coarse.bounds(prey)[0], coarse.bounds(other)[0]
    kappa = 2 * (coarse.gamma(3 * d + 16) + 2 * UNIT64)
    doubt, plain = 9 * g * length, np.linalg.norm(z)
    width = np.linalg.norm(unit(prey) - unit(other))

    def holds(reach):
        by_z, by_p, by_o = steps(moving, reach)
        if not (low - by_z > 1e-9 and sizes[0] - by_p > 1e-9 and sizes[1] - by_o > 1e-9):
            return False
        turns = math.asin(by_p / sizes[0]), math.asin(by_o / sizes[1])
        near, far = angle(z, prey) + turns[0], angle(z, other) - turns[1]
        if near >= math.pi - 1e-9 or far <= 1e-9:
            return False
        lead = plain * (math.cos(near) - math.cos(far)) - 2 * doubt
        apart = plain * math.sin((far - near) / 2) - 3 * doubt
        wide = min(2.0, width + sum(2 * math.sin(turn / 2) for turn in turns)) * (1 + 4 * g) + 4 * g
        arithmetic, need = kappa * (length + by_z), by_z * (1 + 4 * g) + 1e-140
        by_angle = 2 * (apart - need) * max(apart, 0.0) > arithmetic * length * (1 + 4 * g)
        return lead > 0 and (lead - arithmetic > need * wide or by_angle)

    return largest(holds, max(low, *sizes))


def euclidean_reach(z, prey, other, moving, coarse):
    """d_o − η_o − (d_p + η_p) > 2·η_z, or the difference of squares > 2·η_z·(‖w‖ + η_p + η_o), less the rounding."""
    near0, (far0, far_high) = coarse.bounds(z - prey)[1], coarse.bounds(z - other)
    width0, doubt = coarse.bounds(prey - other)[1], 2 * coarse.gamma(z.size + 8)

    def holds(reach):
        by_z, by_p, by_o = steps(moving, reach)
        near, far, wide = near0 + by_p, far0 - by_o, width0 + by_p + by_o
        most = near0 + far_high + 2 * by_z + by_p + by_o
        by_triangle = far - near - 2 * by_z > doubt * most
        by_plane = far**2 - near**2 > 2 * by_z * wide + doubt * most**2
        return far > 0 and far > near and (by_triangle or by_plane)

    return largest(holds, near0 + far_high)


@pytest.mark.parametrize("moving", triplets.MOVERS)
@pytest.mark.parametrize(("score", "formula"), [("cosine", cosine_reach), ("euclidean", euclidean_reach)])
def test_t6_whoever_moves(score, formula, moving, coarse):
    given = drawn(score)
    got = triplets.triplet_reach(*given, score=score, moving=moving, still=STILL)
    expected = [formula(*one, moving, coarse) for one in zip(*given, strict=True)]
    assert (got > 0).mean() > 0.5
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-11)


def test_the_doubts_are_those_of_any_order_of_sums():
    for dim in (3, 30, 3000):
        n = 3 * dim + 16
        exact = 2 * (Fraction(n) * Fraction(UNIT64) / (1 - n * Fraction(UNIT64)) + 2 * Fraction(UNIT64))
        assert exact <= Fraction(triplets._cosine_doubt(dim)) <= exact * (1 + Fraction(2) ** -49)
        assert triplets._euclidean_doubt(dim) == pytest.approx(2 * gamma(dim + 8), rel=1e-15, abs=0)


def test_what_is_embedded_anew_may_lie_two_forward_errors_off(monkeypatch):
    given, said = drawn("cosine"), []
    plain = triplets.triplet_reach
    monkeypatch.setattr(
        triplets, "triplet_reach", lambda *a, still, **b: said.append(still) or plain(*a, still=still, **b)
    )
    triplets.triplet_radii(*given, score="cosine", moving="prey", **BUDGET)
    assert 2 * Fraction(E) <= Fraction(said[0]) <= 2 * Fraction(E) * (1 + Fraction(2) ** -50)


def test_t6_one_candidate_and_all(coarse):
    for z, prey, other in zip(*drawn("euclidean"), strict=True):
        near_high, (far_low, far_high) = coarse.bounds(z - prey)[1], coarse.bounds(z - other)
        lead = far_low - near_high - 4 * coarse.gammas(z.size, 5) * (near_high + far_high)
        assert pairs.distance_differences(z, prey, other[None]) == pytest.approx([lead], **TIGHT)
        moved: dict[pairs.Moving, int] = {"one-candidate": 1, "all": 4}
        for moving, movers in moved.items():
            got = pairs.triplet_radius(z, prey, other, moving=moving, **BUDGET)
            assert got == pytest.approx(max(0.0, (lead / movers - 2 * E) / L), **TIGHT)
        assert pairs.moving_gallery_ranking(z, prey, other[None], **BUDGET) == pytest.approx(
            [(lead / 4 - 2 * E) / L], **TIGHT
        )


def test_t7_verdicts(coarse):
    z, _, rows = drawn("euclidean")
    low, high = coarse.bounds(z[0] - rows)
    g, tau = coarse.gammas(4, 5), 1.3
    got = pairs.moving_gallery_verdicts(z[0], rows, threshold=tau, **BUDGET)
    assert got.copy == pytest.approx((tau / (1 + g) - coarse.short - high - 4 * E) / (2 * L), **TIGHT)
    assert got.nothing == pytest.approx((low - tau / (1 - g) - coarse.short - 4 * E) / (2 * L), **TIGHT)


def test_published_radii(coarse):
    z = np.array([[0.5, 0.0], [4.0, 0.0], [1.003, 0.0], [2.0, 0.0], [1e-6, 0.0]])
    sound = np.array([0.2, 0.4, 1e-4, 1.332, 0.1])
    low, high = coarse.bounds(z)
    expected = np.where(low > 0, sound / high, 0.0)
    radii, holds = triplets.published_radii(sound, z, **BUDGET)
    assert radii == pytest.approx(expected, **TIGHT)
    least = low - E - L * expected
    assert (np.abs(least - 1.0) < 2e-3).sum() >= 2  # close to the border, on either side
    assert holds.tolist() == (least >= 1.0).tolist()


def test_a_length_of_a_billionth_is_rounding_and_no_direction():
    row = np.array([[1.0, 0.0]])
    for size, usable in ((0.9e-9, False), (1.1e-9, True)):
        z, prey, other = size * row, row, -row
        assert bool(triplets.choices(z, prey, other, score="cosine")[0]) == usable
        assert bool(triplets.choices(prey, z, other, score="cosine")[0]) == usable
        assert bool(triplets.choices(prey, other, z, score="cosine")[0]) == usable
        assert bool(triplets.published_radii(np.ones(1), z, **BUDGET)[0][0]) == usable
        reach = triplets.triplet_reach(z, prey, other, score="cosine", moving="reference")
        assert 0.0 <= reach[0] <= 0.2e-9
        assert bool(reach[0]) == usable


def test_cosine_leaves_a_moved_candidate_a_billionth():
    z, prey, other = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]), np.array([[-1.0, 1e-3]])
    lengths: dict[triplets.Mover, float] = {"prey": 1e-6, "other": 1e-6 * math.hypot(1, 1e-3)}
    for moving, length in lengths.items():
        reach = triplets.triplet_reach(z, 1e-6 * prey, 1e-6 * other, score="cosine", moving=moving)[0]
        assert length - 1.001e-9 <= reach <= length - 0.999e-9
