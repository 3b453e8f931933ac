"""T1, T2, T3: certificate ≤ exact, the flip just beyond, none just before, and the laws."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.certificates.checker import half_space_distance, top1_violations
from retr.certificates.decision import ranking_scores
from retr.certificates.ranking import (
    answer_radius,
    half_space_distances,
    item_radii,
    pair_radii,
    top1_radius,
    topk_radius,
    views_radius,
)
from retr.core.errors import UsageError
from retr.core.types import UpperBound

SCORES = ("cosine", "euclidean")
ONE = UpperBound(1.0, "test")
seeds = st.integers(0, 2**32 - 1)
scores = st.sampled_from(SCORES)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def problem(seed, d, m, score, gap=None, scale=1.0):
    """A query near row 0, and rows of which row 1 is ``gap`` away from row 0."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(m, d))
    if score == "cosine":
        rows = unit(rows)
    if gap is not None:
        rows[1] = rows[0] + gap * unit(random.normal(size=d))
    if score == "cosine":
        rows = unit(rows)
    return scale * (rows[0] + 0.3 * random.normal(size=d) / math.sqrt(d)), rows


def radii_of(z, rows, score, lipschitz=ONE, forward_error=0.0):
    return pair_radii(z, rows[0], rows[1:], score=score, lipschitz=lipschitz, forward_error=forward_error)


@given(seeds, st.integers(1, 40), scores, st.sampled_from([None, 1e-2, 1e-4, 1e-6, 1e-9, 1e-13, 0.0]))
@settings(max_examples=120, deadline=None)
def test_certificate_is_at_most_the_exact_distance(seed, d, score, gap):
    z, rows = problem(seed, d, 4, score, gap)
    certified = radii_of(z, rows, score)
    for radius, row in zip(certified, rows[1:], strict=True):
        assert Decimal(float(radius)) <= half_space_distance(z, rows[0], row, score)
    assert not top1_violations(z, rows[0], rows[1:], score=score, radius=top1_radius(certified), lipschitz=1.0)


@given(seeds, st.integers(2, 40), scores, st.sampled_from([None, 1e-2, 1e-4, 1e-6]))
@settings(max_examples=60, deadline=None)
def test_plain_distances_are_accurate_for_near_duplicates(seed, d, score, gap):
    z, rows = problem(seed, d, 4, score, gap)
    plain = half_space_distances(z, rows[0], rows[1:], score)
    size = np.linalg.norm(z) + 1.0
    for h, row in zip(plain, rows[1:], strict=True):
        assert abs(Decimal(float(h)) - half_space_distance(z, rows[0], row, score)) <= Decimal(float(2e-14 * size))


@given(seeds, st.integers(2, 30), scores, st.sampled_from([None, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12]))
@settings(max_examples=150, deadline=None)
def test_the_minimal_perturbation_flips_just_beyond_and_not_before(seed, d, score, gap):
    z, rows = problem(seed, d, 5, score, gap)
    certified = radii_of(z, rows, score)
    h = half_space_distances(z, rows[0], rows[1:], score)
    for j in np.flatnonzero(certified > 0):
        direction = (rows[j + 1] - rows[0]) / np.linalg.norm(rows[j + 1] - rows[0])
        pair = rows[[0, j + 1]]
        inside = ranking_scores(z + certified[j] * (1 - 1e-9) * direction, pair, score)
        assert inside[0] > inside[1]
        if h[j] > 1e-3 and gap in (None, 1e-2, 1e-4):
            beyond = ranking_scores(z + h[j] * (1 + 1e-6) * direction, pair, score)
            assert beyond[0] < beyond[1]


@pytest.mark.parametrize("score", SCORES)
def test_without_the_slack_rounding_breaks_the_promise(score):
    """The slack is not decoration: at the bare distance h the computed order fails for rows 1e-12 apart."""
    broken = 0
    for seed in range(200):
        z, rows = problem(seed, 48, 2, score, 1e-12)
        h = half_space_distances(z, rows[0], rows[1:], score)[0]
        if h <= 0:
            continue
        direction = (rows[1] - rows[0]) / np.linalg.norm(rows[1] - rows[0])
        pair = ranking_scores(z + 0.999 * h * direction, rows, score)
        broken += bool(pair[0] <= pair[1])
        certified = radii_of(z, rows, score)[0]
        if certified > 0:
            pair = ranking_scores(z + certified * direction * (1 - 1e-9), rows, score)
            assert pair[0] > pair[1]
    assert broken > 0


@given(seeds, st.integers(2, 12), scores)
@settings(max_examples=40, deadline=None)
def test_no_perturbation_inside_the_radius_changes_the_first_place(seed, d, score):
    random = np.random.default_rng(seed)
    z, rows = problem(seed, d, 6, score)
    radius = top1_radius(radii_of(z, rows, score))
    for delta in unit(random.normal(size=(50, d))) * radius * (1 - 1e-12):
        values = ranking_scores(z + delta, rows, score)
        assert radius == 0 or (values[0] > values[1:]).all()


@given(seeds, st.integers(2, 8), scores, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_topk_holds_inside_its_radius(seed, d, score, k):
    random = np.random.default_rng(seed)
    z, rows = problem(seed, d, 8, score)
    certified = radii_of(z, rows, score)
    radius = topk_radius(certified, k)
    toward = [rows[j] - rows[0] for j in range(1, 8)]
    for delta in unit(np.concatenate([random.normal(size=(40, d)), toward])) * radius * (1 - 1e-12):
        values = ranking_scores(z + delta, rows, score)
        assert radius == 0 or (values[1:] >= values[0]).sum() < k
    assert topk_radius(certified, k) <= topk_radius(certified, k + 1)
    assert topk_radius(certified, 1) == top1_radius(certified)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("gap", [1e-4, 1e-6])
def test_near_duplicates_keep_a_radius_at_768_dimensions(score, gap):
    _, rows = problem(1, 768, 50, score, gap)
    z = 3.0 * rows[0] if score == "cosine" else rows[0]
    size = float(np.linalg.norm(z))
    certified, h = radii_of(z, rows, score), half_space_distances(z, rows[0], rows[1:], score)
    assert certified[0] > 0.9 * h[0] > 0
    assert (h - certified).max() <= 1e-7 * size
    assert top1_radius(certified) == certified[0]


@pytest.mark.parametrize("score", SCORES)
def test_identical_rows_give_exactly_zero(score):
    z, rows = problem(2, 16, 4, score)
    rows[1] = rows[0]
    assert half_space_distances(z, rows[0], rows[1:], score)[0] == 0.0
    assert radii_of(z, rows, score, forward_error=1e-9)[0] == 0.0
    assert top1_radius(radii_of(z, rows, score)) == 0.0


@pytest.mark.parametrize("score", SCORES)
def test_a_query_on_the_bisector_certifies_nothing(score):
    rows = unit(np.array([[1.0, 0.25], [1.0, -0.25], [-1.0, 0.0]]))
    assert top1_radius(radii_of(np.array([1.0, 0.0]), rows, score)) == 0.0


def test_a_known_case():
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    z = np.array([2.0, 0.0])
    assert half_space_distances(z, rows[0], rows[1:], "cosine") == pytest.approx([math.sqrt(2), 2.0], rel=1e-15)
    assert half_space_distances(z, rows[0], rows[1:], "euclidean") == pytest.approx([math.sqrt(2), 2.0], rel=1e-15)


@given(seeds, scores, st.integers(-20, 20))
@settings(max_examples=40, deadline=None)
def test_scaling_laws(seed, score, power):
    z, rows = problem(seed, 10, 5, score)
    base, factor = radii_of(z, rows, score), 2.0**power
    grown = rows if score == "cosine" else rows * factor
    assert radii_of(z * factor, grown, score) == pytest.approx(base * factor, rel=1e-12, abs=1e-12 * factor)
    assert (radii_of(z, rows, score, UpperBound(4.0, "test")) == base / 4).mean() > 0.4
    assert radii_of(z, rows, score, UpperBound(factor, "test")) == pytest.approx(base / factor, rel=1e-12)
    assert (radii_of(z, rows, score, forward_error=1e-3) <= base - 2e-3 * (1 - 1e-9)).all()


@given(seeds, scores)
@settings(max_examples=30, deadline=None)
def test_bits_do_not_depend_on_the_batch(seed, score):
    z, rows = problem(seed, 37, 9, score)
    together = radii_of(z, rows, score)
    alone = [float(radii_of(z, rows[[0, j]], score)[0]) for j in range(1, 9)]
    assert together.tolist() == alone
    swapped = radii_of(z, np.concatenate([rows[:1], rows[:0:-1]]), score)
    assert swapped[::-1].tolist() == alone


def projection_onto_two_half_spaces(z, a, b):
    """Exact distance from z to {x: ⟨a_1,x⟩ ≤ b_1 and ⟨a_2,x⟩ ≤ b_2}: the smallest active set that is feasible."""
    violation = a @ z - b
    options = [0.0] if (violation <= 0).all() else []
    for i in (0, 1):
        x = z - max(0.0, violation[i]) * a[i] / (a[i] @ a[i])
        if (a @ x - b <= 1e-12).all():
            options.append(float(np.linalg.norm(x - z)))
    multipliers = np.linalg.solve(a @ a.T, violation)
    if (multipliers >= 0).all():
        options.append(float(np.linalg.norm(a.T @ multipliers)))
    return min(options)


@given(seeds)
@settings(max_examples=80, deadline=None)
def test_views_certificate_is_at_most_the_exact_distance_of_the_quadratic_programme(seed):
    """Item of two rows against items of one row: it loses to J exactly where J beats both rows."""
    random = np.random.default_rng(seed)
    own, rivals = unit(random.normal(size=(2, 4))), unit(random.normal(size=(3, 4)))
    z = own[0] + 0.2 * random.normal(size=4)
    radii = np.stack([pair_radii(z, row, rivals, score="cosine", lipschitz=ONE, forward_error=0.0) for row in own])
    _, per_item = item_radii(radii, np.array([5, 6, 7]))
    exact = [projection_onto_two_half_spaces(z, own - rival, np.zeros(2)) for rival in rivals]
    assert (np.maximum(per_item, 0.0) <= np.array(exact) + 1e-12).all()
    assert views_radius(radii) <= top1_radius(per_item)


@given(seeds, scores)
@settings(max_examples=30, deadline=None)
def test_items_with_views_keep_their_place(seed, score):
    random = np.random.default_rng(seed)
    z, rows = problem(seed, 5, 8, score)
    items = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    radii = np.stack([pair_radii(z, row, rows[2:], score=score, lipschitz=ONE, forward_error=0.0) for row in rows[:2]])
    names, per_item = item_radii(radii, items[2:])
    assert names.tolist() == [1, 2, 3]
    for k in (1, 2, 3):
        radius = topk_radius(per_item, k)
        for delta in unit(random.normal(size=(30, 5))) * radius * (1 - 1e-12):
            values = ranking_scores(z + delta, rows, score)
            best = [values[items == item].max() for item in range(4)]
            assert radius == 0 or sum(value >= best[0] for value in best[1:]) < k


def test_the_best_view_counts():
    radii = np.array([[1.0, 5.0, 4.0], [3.0, 2.0, 9.0], [-1.0, 8.0, 7.0]])
    assert views_radius(radii) == 2.0
    assert views_radius(-radii) == 0.0
    names, per_item = item_radii(radii, np.array([4, 2, 4]))
    assert names.tolist() == [2, 4]
    assert per_item.tolist() == [8.0, 3.0]


def test_views_restore_the_radius_of_a_known_copy():
    z, rows = problem(3, 6, 4, "cosine")
    rows[1] = rows[0]
    assert top1_radius(radii_of(z, rows, "cosine")) == 0.0
    as_one_item = pair_radii(z, rows[0], rows[2:], score="cosine", lipschitz=ONE, forward_error=0.0)
    assert views_radius(as_one_item[np.newaxis]) > 0


def test_no_rivals_leave_the_answer_alone():
    nothing = np.empty(0)
    assert top1_radius(nothing) == math.inf
    assert topk_radius(np.array([1.0]), 2) == math.inf
    z = np.array([3.0, 4.0])
    assert answer_radius(z, score="euclidean", lipschitz=ONE, forward_error=0.0) == math.inf
    assert 4.999 < answer_radius(z, score="cosine", lipschitz=ONE, forward_error=1e-6) < 5 - 2e-6


@pytest.mark.parametrize(
    ("z", "score", "words"),
    [
        (np.zeros(3), "cosine", "zero"),
        (np.array([1.0, np.nan, 0.0]), "cosine", "NaN"),
        (np.array([1.0, np.inf, 0.0]), "euclidean", "infinity"),
        (np.ones((1, 3)), "cosine", "1 axes"),
        (np.ones(3, np.float32), "cosine", "float64"),
        (np.ones(4), "cosine", "4"),
        (np.full(3, 1e200), "euclidean", "overflow"),
        (np.ones(3), "angular", "unknown score"),
    ],
)
def test_bad_queries_are_refused_by_name(z, score, words):
    rows = np.eye(3)
    with pytest.raises(UsageError, match=words):
        half_space_distances(z, rows[0], rows[1:], score)
    with pytest.raises(ValueError, match=words):
        radii_of(z, rows, score)


def test_bad_rows_and_budgets_are_refused():
    z, rows = problem(4, 3, 3, "cosine")
    with pytest.raises(UsageError, match="NaN"):
        half_space_distances(z, rows[0], np.full((1, 3), np.nan), "cosine")
    with pytest.raises(UsageError, match="positive"):
        radii_of(z, rows, "cosine", UpperBound(0.0, "test"))
    for error in (-1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="forward error"):
            radii_of(z, rows, "cosine", forward_error=error)
    with pytest.raises(UsageError, match="at least 1"):
        topk_radius(np.ones(3), 0)
    with pytest.raises(UsageError, match="NaN"):
        topk_radius(np.array([1.0, np.nan]), 1)
    for bad in (np.ones(3), np.empty((0, 3))):
        with pytest.raises(UsageError, match="views"):
            views_radius(bad)
        with pytest.raises(UsageError, match="views"):
            item_radii(bad, np.zeros(3, np.int64))


def test_euclidean_zero_query_is_fine():
    rows = np.array([[0.0, 0.0], [2.0, 0.0]])
    assert radii_of(np.zeros(2), rows, "euclidean")[0] == pytest.approx(1.0, rel=1e-12)
