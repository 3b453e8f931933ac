"""T4, T5: against numerical optimisation in two and three dimensions, exact numbers, and the computed decision."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.certificates.checker import signed_distance
from retr.certificates.decision import accepted, verdict_values
from retr.certificates.rounding import unit_tolerance
from retr.certificates.verdicts import (
    cone_error,
    copy_radius,
    nothing_radius,
    signed_distances,
    unseen_nothing_radius,
    verdict_at,
    verdict_radii,
)
from retr.core.errors import UsageError
from retr.core.numerics import dot_gamma
from retr.core.types import UpperBound

ONE = UpperBound(1.0, "test")
seeds = st.integers(0, 2**32 - 1)
cosines = st.sampled_from([-1.0, -0.9, -0.3, 0.0, 0.2, 0.7, 0.95, 0.999, 1 - 1e-9, 1.0])


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def radii_of(z, rows, score, threshold, forward_error=0.0, lipschitz=ONE):
    return verdict_radii(z, rows, score=score, threshold=threshold, lipschitz=lipschitz, forward_error=forward_error)


def draw(seed, d, score, m=4):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(m, d))
    if score == "cosine":
        rows = unit(rows)
    closeness = random.choice([0.0, 1e-9, 1e-3, 0.3, 3.0])
    return rows[0] * random.uniform(0.2, 5) + closeness * random.normal(size=d), rows


def cone_surface(theta, lengths, turns):
    """Points of the cone's surface around the first axis: (lengths, turns, 3)."""
    t, a = np.meshgrid(lengths, turns, indexing="ij")
    return np.stack([t * math.cos(theta), t * math.sin(theta) * np.cos(a), t * math.sin(theta) * np.sin(a)], axis=-1)


def distance_to_cone_by_search(z, theta):
    """min over points of the cone's surface, by grids that close in on the best point; 2-D is the slice y = 0."""
    flat = z.size == 2
    z = np.append(z, 0.0) if flat else z
    length, spread = (np.linalg.norm(z), np.linalg.norm(z)), (np.pi, np.pi)
    nearest = math.inf
    for _ in range(12):
        lengths = np.maximum(np.linspace(length[0] - length[1], length[0] + length[1], 61), 0.0)
        turns = np.array([0.0, np.pi]) if flat else np.linspace(spread[0] - spread[1], spread[0] + spread[1], 61)
        distances = np.linalg.norm(cone_surface(theta, lengths, turns) - z, axis=-1)
        nearest = min(nearest, float(distances.min()))
        i, j = np.unravel_index(distances.argmin(), distances.shape)
        length, spread = (lengths[i], length[1] / 4), (turns[j], spread[1] / 4)
    return nearest


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("threshold", [-0.9, -0.4, 0.0, 0.5, 0.9])
def test_cosine_distance_is_the_distance_to_the_cone(d, threshold):
    random = np.random.default_rng(7)
    axis = np.eye(d)[:1]
    for z in random.normal(size=(12, d)):
        expected = distance_to_cone_by_search(z, math.acos(threshold))
        got = signed_distances(z, axis, score="cosine", threshold=threshold)[0]
        assert abs(got) == pytest.approx(expected, abs=1e-6 * float(np.linalg.norm(z)))
        assert (got > 0) == (z[0] / np.linalg.norm(z) > threshold)


@given(seeds, st.integers(2, 24), cosines)
@settings(max_examples=150, deadline=None)
def test_cosine_sandwich(seed, d, threshold):
    z, rows = draw(seed, d, "cosine")
    plain = signed_distances(z, rows, score="cosine", threshold=threshold)
    radii = radii_of(z, rows, "cosine", threshold)
    tolerance = 1e-13 * np.linalg.norm(z)
    for row, value, copy, nothing in zip(rows, plain, radii.copy, radii.nothing, strict=True):
        exact = signed_distance(z, row, score="cosine", threshold=threshold)
        assert abs(Decimal(float(value)) - exact) <= Decimal(float(tolerance))
        assert Decimal(float(copy)) <= exact <= -Decimal(float(nothing))


@given(seeds, st.integers(1, 24), st.sampled_from([0.0, 1e-9, 0.5, 1.0, 4.0]))
@settings(max_examples=80, deadline=None)
def test_euclidean_sandwich(seed, d, threshold):
    z, rows = draw(seed, d, "euclidean")
    radii = radii_of(z, rows, "euclidean", threshold)
    plain = signed_distances(z, rows, score="euclidean", threshold=threshold)
    for row, value, copy, nothing in zip(rows, plain, radii.copy, radii.nothing, strict=True):
        exact = signed_distance(z, row, score="euclidean", threshold=threshold)
        assert Decimal(float(copy)) <= exact <= -Decimal(float(nothing))
        assert abs(Decimal(float(value)) - exact) <= Decimal("1e-13") * (1 + abs(exact))


def steepest(z, row, score):
    """Unit direction in which the row's acceptance falls fastest."""
    if score == "euclidean":
        return unit(z - row) if np.linalg.norm(z - row) > 0 else unit(np.ones_like(z))
    across = z - (z @ row) * row
    if np.linalg.norm(across) < 1e-12:
        across = np.roll(row, 1) - (np.roll(row, 1) @ row) * row
    return unit(across)


def edge_direction(z, row, threshold):
    """Unit vector from z to the nearest point of the cone's edge."""
    across, sine = steepest(z, row, "cosine"), math.sqrt(1 - threshold**2)
    ray = threshold * row + sine * across
    foot = max(0.0, z @ ray) * ray
    return unit(foot - z) if np.linalg.norm(foot - z) > 1e-14 else across


@given(seeds, st.integers(2, 16), st.sampled_from([-0.9, 0.0, 0.7, 0.95, 0.999, 1 - 1e-9]))
@settings(max_examples=150, deadline=None)
def test_the_computed_cosine_decision_holds_inside_and_flips_beyond(seed, d, threshold):
    random = np.random.default_rng(seed)
    z, rows = draw(seed, d, "cosine", m=1)
    radii = radii_of(z, rows, "cosine", threshold)
    certified, inside = max((radii.copy[0], True), (radii.nothing[0], False))
    if certified <= 0:
        return
    edge = edge_direction(z, rows[0], threshold)
    for direction in [edge, *unit(random.normal(size=(20, d)))]:
        moved = z + certified * (1 - 1e-9) * direction
        assert accepted(verdict_values(moved, rows, "cosine"), "cosine", threshold)[0] == inside
    beyond = z + (certified * (1 + 1e-6) + 1e-9 * np.linalg.norm(z)) * edge
    flipped = accepted(verdict_values(beyond, rows, "cosine"), "cosine", threshold)[0]
    if 1e-3 * np.linalg.norm(z) < certified < 0.999 * np.linalg.norm(z):
        assert flipped != inside


@given(seeds, st.integers(1, 16), st.sampled_from([1e-9, 0.5, 1.0, 4.0]))
@settings(max_examples=100, deadline=None)
def test_the_computed_distance_decision_holds_inside_and_flips_beyond(seed, d, threshold):
    z, rows = draw(seed, d, "euclidean", m=1)
    radii = radii_of(z, rows, "euclidean", threshold)
    certified, inside = max((radii.copy[0], True), (radii.nothing[0], False))
    if certified <= 0:
        return
    outward = steepest(z, rows[0], "euclidean") * (1 if inside else -1)
    moved = z + certified * (1 - 1e-12) * outward
    assert accepted(verdict_values(moved, rows, "euclidean"), "euclidean", threshold)[0] == inside
    if threshold < 0.5:  # a step that leaves a tiny ball on its far side shows nothing
        return
    beyond = z + (certified * (1 + 1e-9) + 1e-12) * outward
    assert accepted(verdict_values(beyond, rows, "euclidean"), "euclidean", threshold)[0] != inside


def test_known_cases():
    rows = np.array([[1.0, 0.0, 0.0]])
    at = lambda z, tau: signed_distances(np.array(z), rows, score="cosine", threshold=tau)[0]  # noqa: E731
    half = math.cos(math.pi / 6)
    assert at([2.0, 0.0, 0.0], half) == pytest.approx(1.0)  # 2·sin 30°
    assert at([0.0, 2.0, 0.0], half) == pytest.approx(-2 * math.sin(math.pi / 3))
    assert at([-2.0, 0.0, 0.0], half) == -2.0  # 150° beyond the edge: the apex
    assert at([2.0, 0.0, 0.0], -0.5) == 2.0  # 120° inside the edge: the apex
    assert at([2.0, 0.0, 0.0], 1.0) == 0.0


@given(seeds, st.integers(2, 64), cosines)
@settings(max_examples=60, deadline=None)
def test_the_stated_rounding_error_bounds_the_true_one(seed, d, threshold):
    z, rows = draw(seed, d, "cosine")
    plain = signed_distances(z, rows, score="cosine", threshold=threshold)
    for row, value, error in zip(rows, plain, cone_error(z, unit_tolerance(rows)), strict=True):
        exact = signed_distance(z, row, score="cosine", threshold=threshold)
        assert abs(Decimal(float(value)) - exact) <= Decimal(float(error)) <= Decimal(float(1e-13 * np.linalg.norm(z)))
    inside = radii_of(z, rows, "cosine", threshold)
    spare = 4e-16 * np.linalg.norm(z)
    assert (inside.copy <= plain - spare).all()
    assert (inside.nothing <= -plain - spare).all()


def test_distance_thresholds_are_moved_by_the_rounding_of_the_decision():
    z, origin = np.zeros(4096), np.zeros((1, 4096))
    z[:2] = 3.0, 4.0
    radii = radii_of(z, origin, "euclidean", 1024.0)
    assert 1019 - 1e-11 < radii.copy[0] <= 1019 - 1024 * dot_gamma(4096)
    radii = radii_of(z * 1000, origin, "euclidean", 4096.0)
    # 904 apart; the distance's own bound takes γ·5000, the decision takes γ·4096
    assert 904 - 1e-10 < radii.nothing[0] <= 904 - (5000 + 4096) * dot_gamma(4096)


def test_existence_takes_the_largest_and_nothing_the_smallest():
    z, rows = np.array([1.0, 0.1]), unit(np.array([[1.0, 0.0], [1.0, 0.3], [0.0, 1.0]]))
    radii = radii_of(z, rows, "cosine", 0.9)
    doubled = radii_of(z, np.concatenate([rows, rows]), "cosine", 0.9)
    assert copy_radius(radii.copy) == radii.copy.max() == copy_radius(doubled.copy) > 0
    assert nothing_radius(radii.nothing) == 0.0
    far = radii_of(np.array([-1.0, 0.0]), rows, "cosine", 0.9)
    assert copy_radius(far.copy) == 0.0
    assert nothing_radius(far.nothing) == far.nothing.min() > 0
    assert copy_radius(np.empty(0)) == 0.0
    assert nothing_radius(np.empty(0)) == math.inf


def test_verdict_at_is_strict():
    assert verdict_at(0.0, copy=1.0, nothing=0.0) == "copy"
    assert verdict_at(1.0, copy=1.0, nothing=0.0) == "undecided"
    assert verdict_at(0.5, copy=0.0, nothing=1.0) == "not-a-copy"
    assert verdict_at(0.0, copy=0.0, nothing=0.0) == "undecided"
    for bad in ({"copy": 1.0, "nothing": 1.0}, {"copy": math.nan, "nothing": 0.0}):
        with pytest.raises(UsageError, match="contradict"):
            verdict_at(0.1, **bad)
    for eps in (-1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="budget"):
            verdict_at(eps, copy=0.0, nothing=1.0)


@given(seeds, st.sampled_from(["cosine", "euclidean"]), st.integers(-10, 10))
@settings(max_examples=40, deadline=None)
def test_scaling_laws(seed, score, power):
    z, rows = draw(seed, 9, score)
    factor = 2.0**power
    scaled = factor if score == "euclidean" else 1.0
    base = radii_of(z, rows, score, 0.8).copy
    grown = radii_of(z * factor, rows * scaled, score, 0.8 * scaled).copy
    assert grown == pytest.approx(base * factor, rel=1e-10, abs=1e-11 * factor)
    halved = radii_of(z, rows, score, 0.8, lipschitz=UpperBound(2.0, "test")).copy
    assert halved == pytest.approx(base / 2, rel=1e-12)
    assert (radii_of(z, rows, score, 0.8, forward_error=1e-3).copy <= base - 2e-3 * (1 - 1e-9)).all()
    alone = [radii_of(z, rows[j : j + 1], score, 0.8).copy[0] for j in range(len(rows))]
    assert base == pytest.approx(alone, rel=1e-13, abs=1e-13)


@given(seeds, st.integers(2, 20), st.sampled_from(["cosine", "euclidean"]), st.sampled_from([0.0, 0.3, 0.9, 0.999]))
@settings(max_examples=120, deadline=None)
def test_unseen_rows_cannot_be_nearer_to_acceptance(seed, d, score, threshold):
    z, rows = draw(seed, d, score, m=8)
    length = float(np.linalg.norm(z))
    point = z / length if score == "cosine" else z
    away = np.linalg.norm(point - rows, axis=1)
    b = float(np.sort(away)[3]) * (1 - 1e-14)
    floor = unseen_nothing_radius(
        b, z_norm=length, dim=d, score=score, threshold=threshold, lipschitz=ONE, forward_error=1e-7
    )
    for row in rows[away >= b]:
        exact = -signed_distance(z, row, score=score, threshold=threshold)
        assert Decimal(floor) <= exact - Decimal("2e-7")
    listed = radii_of(z, rows[away >= b], score, threshold, 1e-7).nothing
    assert floor >= listed.min() - 1e-12 * (length + b) / math.sqrt(1 - threshold**2)


def test_bad_thresholds_and_rows_are_refused():
    z, rows = np.ones(2), np.eye(2)
    for score, threshold in [("cosine", 1.1), ("cosine", math.nan), ("euclidean", -1.0), ("euclidean", math.inf)]:
        with pytest.raises(UsageError, match="threshold"):
            radii_of(z, rows, score, threshold)
    with pytest.raises(UsageError, match="unit rows"):
        radii_of(z, 2 * rows, "cosine", 0.5)
    with pytest.raises(UsageError, match="zero"):
        radii_of(np.zeros(2), rows, "cosine", 0.5)
    with pytest.raises(UsageError, match="separation"):
        unseen_nothing_radius(-1.0, z_norm=1.0, dim=2, score="cosine", threshold=0.5, lipschitz=ONE, forward_error=0.0)
    assert math.inf == unseen_nothing_radius(
        math.inf, z_norm=1.0, dim=2, score="cosine", threshold=0.5, lipschitz=ONE, forward_error=0.0
    )


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_distances_do_not_depend_on_the_batch(score):
    random = np.random.default_rng(0)
    z, rows = random.normal(size=301), random.normal(size=(1000, 301))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    together = signed_distances(z, rows, score=score, threshold=0.3)
    assert together.tolist() == [float(signed_distances(z, row[None], score=score, threshold=0.3)[0]) for row in rows]
