"""What a float32 search proves about the rows it did not return: by sampling, and by rows placed against the bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.certificates.checker import half_space_distance
from retr.certificates.ranking import pair_radii
from retr.certificates.shortlist import (
    TF32_UNIT,
    needed_separation,
    score_slack,
    search_score,
    search_squared_distance,
    stored_row_tolerance,
    unseen_chord,
    unseen_distance,
    unseen_floor,
    unseen_radius,
)
from retr.core.errors import UsageError
from retr.core.numerics import UNIT32
from retr.core.types import UpperBound

ONE = UpperBound(1.0, "test")
seeds = st.integers(0, 2**32 - 1)
dims = st.integers(2, 300)
gaps = st.sampled_from([0.0, 1e-6, 1e-4, 1e-2, 1.0])


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def gallery(seed, d, m, gap, score):
    """Stored float32 rows, several of them ``gap`` apart; what decisions use; and a query beside them."""
    random = np.random.default_rng(seed)
    centre = unit(random.normal(size=d))
    rows = centre + gap * random.normal(size=(m, d)) / math.sqrt(d)
    rows = unit(rows) if score == "cosine" else rows * 3
    stored = rows.astype(np.float32)
    exact = stored.astype(np.float64)
    z = (centre + 0.1 * random.normal(size=d) / math.sqrt(d)) * random.uniform(0.1, 30)
    return z, stored, unit(exact) if score == "cosine" else exact


def to_tf32(x):
    """Keep 10 bits of the fraction, by truncation (the worst a device does)."""
    return (np.asarray(x, np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def test_slack_values():
    assert score_slack(256) == pytest.approx(262 * UNIT32, rel=1e-3)
    assert TF32_UNIT * 2 < score_slack(256, TF32_UNIT) < TF32_UNIT * 2.1
    assert UNIT32 < stored_row_tolerance(768) < 1.01 * UNIT32
    with pytest.raises(ValueError, match="no useful error bound"):
        score_slack(2**24)


@given(seeds, dims, gaps, st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_unseen_row_is_nearer_than_the_chord(seed, d, gap, tf32):
    z, stored, exact = gallery(seed, d, 40, gap, "cosine")
    point = unit(z)
    y = point.astype(np.float32)
    scores = to_tf32(stored) @ to_tf32(y) if tf32 else stored @ y
    away = np.linalg.norm(point - exact, axis=1)
    worst = float(np.sort(scores)[::-1][9])
    b = unseen_chord(worst, y_norm=1.0, dim=d, input_unit=TF32_UNIT if tf32 else UNIT32)
    assert (away[scores <= worst] >= b).all()
    assert b >= math.sqrt(max(0.0, 2 - 2 * worst - 8 * score_slack(d, TF32_UNIT if tf32 else UNIT32))) - 1e-6


@given(seeds, dims, gaps)
@settings(max_examples=80, deadline=None)
def test_no_unseen_row_is_nearer_than_the_distance(seed, d, gap):
    z, stored, exact = gallery(seed, d, 40, gap, "euclidean")
    y = z.astype(np.float32)
    z_norm, row_norm = float(np.linalg.norm(z)) * (1 + 1e-12), float(np.linalg.norm(exact, axis=1).max()) * (1 + 1e-12)
    away = np.linalg.norm(z - exact, axis=1)
    expanded = (stored * stored).sum(1) + y @ y - np.float32(2) * (stored @ y)
    for squares in (expanded, ((stored - y) ** 2).sum(1)):
        worst = float(np.sort(squares)[9])
        b = unseen_distance(worst, z_norm=z_norm, row_norm=row_norm, dim=d)
        assert (away[squares >= worst] >= b).all()


@given(seeds, dims, gaps)
@settings(max_examples=80, deadline=None)
def test_a_range_search_misses_no_row_it_must_find(seed, d, gap):
    for score in ("cosine", "euclidean"):
        z, stored, exact = gallery(seed, d, 40, gap, score)
        point = unit(z) if score == "cosine" else z
        away = np.linalg.norm(point - exact, axis=1)
        y, b = point.astype(np.float32), float(np.median(away))
        if score == "cosine":
            found = stored @ y > np.float32(search_score(b, y_norm=1.0, dim=d))
        else:
            z_norm, row_norm = np.linalg.norm(z) * (1 + 1e-12), np.linalg.norm(exact, axis=1).max() * (1 + 1e-12)
            limit = search_squared_distance(b, z_norm=float(z_norm), row_norm=float(row_norm), dim=d)
            found = (stored * stored).sum(1) + y @ y - np.float32(2) * (stored @ y) < np.float32(limit)
        assert found[away <= b].all()


def test_worst_case_rounding_is_inside_the_slack():
    """Every product and sum rounds the same way, in a plain running sum: the case that γ is for."""
    d = 4096
    value = np.float32(1 + 2.0**-12)
    a = np.full(d, value, np.float32)
    total = np.float32(0)
    for product in a * a:
        total = np.float32(total + product)
    exact = float(value) ** 2 * d
    error = abs(float(total) - exact)
    assert 0 < error <= score_slack(d) * exact


@given(seeds, st.integers(2, 20), st.sampled_from(["cosine", "euclidean"]))
@settings(max_examples=100, deadline=None)
def test_floors_are_true_lower_bounds(seed, d, score):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(30, d))
    rows = unit(rows) if score == "cosine" else rows
    z = (rows[0] + random.choice([1e-8, 0.1, 1.0]) * random.normal(size=d)) * (
        random.uniform(0.1, 9) if score == "cosine" else 1
    )
    check_floors(z, rows[0], rows[1:], score)


def check_floors(z, target, rows, score):
    length = float(np.linalg.norm(z))
    point = z / length if score == "cosine" else z
    a = float(np.linalg.norm(point - target)) * (1 + 1e-14) + 1e-15
    away = np.linalg.norm(point - rows, axis=1)
    for b in np.quantile(away, [0.0, 0.3, 0.8]) * (1 - 1e-14):
        unseen = rows[away >= b]
        z_low = length * (1 - 1e-14)
        floor = unseen_floor(a, float(b), score=score, z_norm=z_low if b >= a else length * (1 + 1e-14))
        radius = unseen_radius(a, float(b), score=score, z_norm=z_low, dim=z.size, lipschitz=ONE, forward_error=1e-9)
        certified = pair_radii(z, target, unseen, score=score, lipschitz=ONE, forward_error=1e-9)
        tolerance = 2e-15 * length / (a + b)  # rows are unit only up to rounding; unseen_radius counts that
        assert all(floor <= float(half_space_distance(z, target, row, score)) + tolerance for row in unseen)
        if radius > 0:
            assert all(radius <= float(half_space_distance(z, target, row, score)) for row in unseen)
            assert (certified >= radius - 1e-13 * (length + 1)).all()


@given(seeds, st.integers(2, 12), st.sampled_from([1e-6, 1e-3, 0.1, 0.5]), st.sampled_from([1.001, 2.0, 30.0]))
@settings(max_examples=100, deadline=None)
def test_floors_hold_and_are_reached_by_the_worst_placed_row(seed, d, a, ratio):
    """Target and rival on opposite sides of z: ‖e_t − e_j‖ = a + b, where the bound has nothing to spare."""
    random = np.random.default_rng(seed)
    z, direction = random.normal(size=d), unit(random.normal(size=d))
    target, rival = z + a * direction, z - a * ratio * direction
    check_floors(z, target, rival[np.newaxis], "euclidean")
    h = float(half_space_distance(z, target, rival, "euclidean"))
    assert unseen_floor(a, a * ratio, score="euclidean", z_norm=1.0) == pytest.approx(h, rel=1e-6, abs=1e-14)
    across = unit(np.eye(d)[0] - (np.eye(d)[0] @ unit(z)) * unit(z)) if abs(unit(z)[0]) < 0.99 else None
    if across is not None and a * ratio < 2:
        on_sphere = [
            unit(z) * (1 - c * c / 2) + s * c * math.sqrt(1 - c * c / 4) * across for s, c in ((1, a), (-1, a * ratio))
        ]
        check_floors(z, unit(on_sphere[0]), unit(on_sphere[1])[np.newaxis], "cosine")


def test_a_nearer_unseen_row_leaves_nothing():
    assert unseen_floor(0.5, 0.4, score="euclidean", z_norm=1.0) <= -0.45
    assert unseen_floor(0.5, 0.5, score="cosine", z_norm=2.0) <= 0.0
    assert unseen_radius(0.0, 0.0, score="cosine", z_norm=1.0, dim=8, lipschitz=ONE, forward_error=0.0) <= 0.0


@given(st.floats(0, 2), st.floats(0, 2), st.floats(0.01, 100), st.sampled_from(["cosine", "euclidean"]))
def test_needed_separation_is_enough(a, h, z_norm, score):
    b = needed_separation(a, h, score=score, z_norm=z_norm)
    assert unseen_floor(a, b, score=score, z_norm=z_norm) >= h * (1 - 1e-12) - 1e-12 * z_norm


def test_bad_numbers_are_refused():
    for a, b, z_norm in [(-1.0, 1.0, 1.0), (1.0, math.nan, 1.0), (math.inf, 1.0, 1.0), (1.0, 1.0, math.nan)]:
        with pytest.raises(UsageError, match="must be finite"):
            unseen_floor(a, b, score="cosine", z_norm=z_norm)
    assert unseen_chord(-math.inf, y_norm=1.0, dim=4) > 1e100
    assert unseen_chord(1.5, y_norm=1.0, dim=4) == 0.0
