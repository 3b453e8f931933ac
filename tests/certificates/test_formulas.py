"""The formulas of docs/theory.md, Rounding, written once more and compared in coarse arithmetic (``conftest.Coarse``).

Each of their terms counts there: a factor, a sign or a missing term cannot hide behind the last digits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from retr.certificates import channels, ranking, rounding, verdicts, within_channel
from retr.core.types import Score, UpperBound

L, E = 1.5, 1e-3
BUDGET: dict[str, Any] = {"lipschitz": UpperBound(L, "test"), "forward_error": E}
TIGHT: dict[str, Any] = {"rel": 1e-13, "abs": 1e-14}
KINDS = ("plain", "tie", "behind", "far")


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def place(kind, score, d=5):
    """A query, a row, others: the query leads, is all but tied, sees the row behind another, or looks away."""
    random = np.random.default_rng(len(kind))
    rows = random.normal(size=(7, d))
    rows = unit(rows) if score == "cosine" else rows
    z = {"plain": 1.3 * rows[0], "tie": (rows[0] + rows[1]) / 2, "behind": 0.7 * rows[1], "far": -1.1 * rows[0]}[kind]
    return z + (0.0 if kind == "tie" else 0.03) * random.normal(size=d), rows[0], rows[1:]


def pixels(reach):
    return (reach - 2 * E) / L


def divided(numerator, low, high):
    return np.where(numerator >= 0, numerator / high, numerator / low)


def length(x):
    return np.linalg.norm(x, axis=-1)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


# ---- what every formula is made of ----


def test_norm_bounds(coarse):
    a = np.array([[3.0, 4.0], [0.0, 1e-6], [1e-3, 0.0]])
    g = coarse.gammas(2, 5)
    low, high = rounding.norm_bounds(a)
    assert low == pytest.approx([5 * (1 - g) - 2e-5, 0.0, 1e-3 * (1 - g) - 2e-5], **TIGHT)
    assert high == pytest.approx([5 * (1 + g) + 2e-5, 1e-6 * (1 + g) + 2e-5, 1e-3 * (1 + g) + 2e-5], **TIGHT)


def test_division(coarse):
    low, high = np.array([0.5, 0.5, 0.5, 0.0, 0.0]), np.full(5, 0.7)
    got = rounding.divide_down(np.array([1.0, -1.0, 0.0, 1.0, -1.0]), low, high)
    assert got == pytest.approx([1 / 0.7, -2.0, 0.0, 1 / 0.7, -math.inf], **TIGHT)


def test_pixels():
    got = rounding.to_pixels(np.array([1.0, -1.0]), **BUDGET)
    assert got == pytest.approx([(1.0 - 2e-3) / 1.5, (-1.0 - 2e-3) / 1.5], rel=1e-15, abs=0)


def test_unit_tolerance(coarse):
    g, short = coarse.gammas(2, 5), coarse.short
    rows = np.array([[0.6, 0.8], [0.6 * 1.0001, 0.8 * 1.0001], [0.6 * 0.9999, 0.8 * 0.9999]])
    expected = [g + short, 1.0001 * (1 + g) + short - 1, 1 - (0.9999 * (1 - g) - short)]
    assert rounding.unit_tolerance(rows) == pytest.approx(expected, **TIGHT)


@pytest.mark.parametrize("factor", [1 + 0.99e-3, 1 - 0.99e-3])
def test_rows_may_be_a_thousandth_off(factor):
    row = np.array([[0.6, 0.8]])
    assert rounding.unit_tolerance(row * factor)[0] == pytest.approx(0.99e-3, rel=1e-9, abs=0)
    with pytest.raises(ValueError, match=r"row 1 of those given is off by 0\.00101"):
        rounding.unit_tolerance(np.concatenate([row, row * (1 + 1.02 * (factor - 1))]))


# ---- T1 ----


def test_t1_cosine(kind, coarse):
    z, winner, rivals = place(kind, "cosine")
    g, w = coarse.gammas(5, 3), winner - rivals
    (z_low, z_high), (w_low, w_high) = coarse.bounds(z), coarse.bounds(w)
    s = coarse.bounds(winner)[1] + coarse.bounds(rivals)[1]
    numerator = w @ z - g * z_high * w_high - g * s * z_high - coarse.under
    reach = np.maximum(divided(numerator, w_low, w_high + g * s), -z_high)
    expected = pixels(np.minimum(reach, z_low - 10 * coarse.short))
    assert ranking.pair_radii(z, winner, rivals, score="cosine", **BUDGET) == pytest.approx(expected, **TIGHT)


def test_t1_cosine_ends_where_the_query_loses_its_direction(coarse):
    z, winner = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    g, short = coarse.gammas(2, 5), coarse.short
    expected = pixels((1 - g) - short - 10 * short)
    assert ranking.answer_radius(z, score="cosine", **BUDGET) == pytest.approx(expected, **TIGHT)
    assert ranking.pair_radii(z, winner, -winner[None], score="cosine", **BUDGET)[0] == pytest.approx(
        pixels((2 - g * (1 + g + short) * (2 * (1 + g) + short)) / (2 + g)), rel=2e-4
    )


def test_t1_euclidean(kind, coarse):
    z, winner, rivals = place(kind, "euclidean")
    g, w = coarse.gammas(5, 5), winner - rivals
    w_low, w_high = coarse.bounds(w)
    own, other = coarse.bounds(z - winner)[1], coarse.bounds(z - rivals)[1]
    middle = (own + other) / 2
    h = (length(z - rivals) ** 2 - length(z - winner) ** 2) / 2
    numerator = h - g * middle * w_high - g / 2 * ((own + middle) ** 2 + (other + middle) ** 2) - coarse.under
    expected = pixels(np.maximum(divided(numerator, w_low, w_high), -middle))
    assert ranking.pair_radii(z, winner, rivals, score="euclidean", **BUDGET) == pytest.approx(expected, **TIGHT)


# ---- T4, T5 ----


def test_t4(kind, coarse):
    z, _, rows = place(kind, "euclidean")
    (low, high), g, tau = coarse.bounds(z - rows), coarse.gammas(5, 5), 1.7
    got = verdicts.verdict_radii(z, rows, score="euclidean", threshold=tau, **BUDGET)
    assert got.copy == pytest.approx(pixels(tau / (1 + g) - coarse.short - high), **TIGHT)
    assert got.nothing == pytest.approx(pixels(low - tau / (1 - g) - coarse.short), **TIGHT)


def cone(z, rows, tau):
    """‖z‖·sin(θ − φ), or ±‖z‖ from 90° on, by angles."""
    along, across = rows @ z, length(z - (rows @ z)[:, None] * rows)
    turn = np.arccos(np.asarray(tau)) - np.arctan2(across, along)
    return length(z) * np.where(np.abs(turn) < math.pi / 2, np.sin(turn), np.sign(turn))


def cone_parts(z, rows, coarse, dim=None):
    """(ν, κ, error of a distance)."""
    nu = np.maximum(*(abs(1 - side) for side in coarse.bounds(rows)))
    dim = dim or z.size
    kappa = nu.max() + (1 + nu.max()) * 3 * coarse.gammas(dim, 3)
    return nu, kappa, (5 * nu + 9 * coarse.gammas(z.size, 5)) * coarse.bounds(z)[1] + coarse.short


@pytest.mark.parametrize("tau", [-0.99999, -0.4, 0.0, 0.6, 0.99999])
def test_t5(kind, tau, coarse):
    z, _, rows = place(kind, "cosine")
    _, kappa, error = cone_parts(z, rows, coarse)
    nowhere = -coarse.bounds(z)[1]
    inside = cone(z, rows, tau + kappa) - error if tau + kappa <= 1 else np.full(len(rows), nowhere)
    outside = -cone(z, rows, tau - kappa) - error if tau - kappa >= -1 else np.full(len(rows), nowhere)
    got = verdicts.verdict_radii(z, rows, score="cosine", threshold=tau, **BUDGET)
    assert got.copy == pytest.approx(pixels(inside), rel=1e-12, abs=1e-13)
    assert got.nothing == pytest.approx(pixels(outside), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("b", [1e-6, 0.3, 1.2, 1.99, 2.5])
@pytest.mark.parametrize("tau", [0.0, 0.6, 0.95])
def test_t5_of_unseen_rows(b, tau, coarse):
    g = coarse.gammas(40, 8)
    chord = min(2.0, max(0.0, b - g))
    angle = 2 * math.asin(chord / 2)
    z, row = np.array([1.2, 0.0]), np.array([[math.cos(angle), math.sin(angle)]])
    _, kappa, error = cone_parts(z, row, coarse, dim=40)
    reach = -cone(z, row, tau - g - kappa) - error - 16 * g * 1.2
    got = verdicts.unseen_nothing_radius(b, z_norm=1.2, dim=40, score="cosine", threshold=tau, **BUDGET)
    assert got == pytest.approx(pixels(reach)[0], rel=1e-12, abs=1e-13)


def test_t4_of_unseen_rows(coarse):
    g = coarse.gammas(40, 5)
    got = verdicts.unseen_nothing_radius(2.0, z_norm=1.2, dim=40, score="euclidean", threshold=1.1, **BUDGET)
    assert got == pytest.approx(pixels(2.0 - 1.1 / (1 - g) - coarse.short), **TIGHT)


# ---- T9 ----


def test_t9_errors(kind, coarse):
    thresholds: dict[Score, float] = {"cosine": 0.6, "euclidean": 1.7}
    for score, tau in thresholds.items():
        z, _, rows = place(kind, score)
        got = channels.margins(z, rows, score=score, threshold=tau, **BUDGET)
        if score == "cosine":
            nu, _, error = cone_parts(z, rows, coarse)
            slope = (5 * nu + 9 * coarse.gammas(5, 5)).max()
        else:
            slope = coarse.gammas(5, 8)
            error = slope * (tau + coarse.bounds(z - rows)[1])
        assert got.errors == pytest.approx((error + E * (1 + 3 * slope)) / L, **TIGHT)
        assert got.growth == pytest.approx(slope, **TIGHT)
        assert got.values == pytest.approx((cone(z, rows, tau) if score == "cosine" else tau - length(z - rows)) / L)


def test_t9_unseen(coarse):
    slope = 16 * coarse.gammas(40, 8)
    for score, tau, size in (("cosine", 0.6, 1.2), ("euclidean", 1.1, 1.1 + 1.7)):
        given = {"z_norm": 1.2, "dim": 40, "score": score, "threshold": tau}
        got = channels.unseen_margins(1.7, **given, **BUDGET)
        exact = {"lipschitz": UpperBound(1.0, "test"), "forward_error": 0.0}
        outside = verdicts.unseen_nothing_radius(1.7, **given, **exact)
        assert got.values == pytest.approx([-outside / L], **TIGHT)
        assert got.errors == pytest.approx([(slope * size + E * (1 + 3 * slope)) / L], **TIGHT)
        assert got.growth == pytest.approx(slope, **TIGHT)


def test_t9_half_leads():
    values, errors, growth = np.array([0.5, 1.2, 1.0, -math.inf]), np.array([0.01, 0.02, 0.0, 0.0]), 0.03
    got = channels.half_leads(1.1, 0.005, channels.Margins(values, errors, growth))
    lead = 1.1 - values - 2 * (0.005 + errors)
    assert got[:3] == pytest.approx(np.where(lead >= 0, lead / (2 + 2 * growth), lead / 2)[:3], **TIGHT)
    assert got[3] > 1e307  # nothing is there
    level = channels.half_leads(1.0, 0.0, channels.Margins(np.ones(1), np.zeros(1), growth))
    assert -1e-300 < level[0] <= 0.0


@pytest.mark.parametrize("tau", [0.0, 0.6, 0.99])
def test_t9_within_a_channel(kind, tau, coarse):
    z, winner, rivals = place(kind, "cosine")
    growth, errors = 0.02, np.linspace(0.001, 0.006, len(rivals))
    around = within_channel.Surroundings(tau, BUDGET["lipschitz"], E, growth)
    z_high, g = coarse.bounds(z)[1], coarse.gammas(5, 3)
    nu = max(np.abs(1 - side).max() for side in coarse.bounds(np.vstack([winner, rivals])))
    sine = math.sqrt(1 - tau**2)
    need = L * (errors + 2 * growth * z_high / L) / sine + 2 * nu * (2 * z_high + 2 * E)
    assert around.needed(z, errors, nu) == pytest.approx(need, rel=1e-11, abs=0)

    def reach(w):
        w_low, w_high = coarse.bounds(w)
        numerator = w @ z - g * z_high * w_high - coarse.under - need
        return divided(numerator, w_low, w_high)

    expected = pixels(np.maximum(np.minimum(reach(winner - rivals), reach(winner[None])), -z_high))
    got = within_channel.within_channel_radii(z, winner, rivals, errors=errors, surroundings=around)
    assert got == pytest.approx(expected, rel=1e-10, abs=0)
