"""T6, T7: who moves decides the factor; each promise is kept inside and broken just beyond."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.certificates.decision import accepted, ranking_scores, verdict_values
from retr.certificates.pairs import moving_gallery_ranking, moving_gallery_verdicts, reference_moves, triplet_radius
from retr.certificates.ranking import pair_radii
from retr.core.errors import UsageError
from retr.core.types import UpperBound

ONE = UpperBound(1.0, "test")
TWO = UpperBound(2.0, "test")
seeds = st.integers(0, 2**32 - 1)


def unit(x):
    return x / np.linalg.norm(x)


def triplet(seed, d=5):
    random = np.random.default_rng(seed)
    x, near, far = random.normal(size=(3, d))
    return (x, near, far) if np.linalg.norm(x - near) < np.linalg.norm(x - far) else (x, far, near)


def nearer(x, near, far):
    values = ranking_scores(x, np.stack([near, far]), "euclidean")
    return values[0] > values[1]


def towards(a, b, length):
    return a + length * unit(b - a)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_only_the_reference_moves(seed):
    x, near, far = triplet(seed)
    radius = reference_moves(x, near, far, score="euclidean", lipschitz=ONE, forward_error=0.0)
    assert radius == pair_radii(x, near, far[None], score="euclidean", lipschitz=ONE, forward_error=0.0)[0]
    normal = far - near
    assert nearer(x + radius * (1 - 1e-12) * unit(normal), near, far)
    assert not nearer(x + radius * (1 + 1e-9) * unit(normal), near, far)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_one_candidate_moves(seed):
    x, near, far = triplet(seed)
    radius = triplet_radius(x, near, far, moving="one-candidate", lipschitz=ONE, forward_error=0.0)
    inside, beyond = radius * (1 - 1e-12), radius * (1 + 1e-9)
    away = near + unit(near - x) * inside
    assert nearer(x, away, far)
    assert nearer(x, near, towards(far, x, inside))
    assert not nearer(x, near + unit(near - x) * beyond, far)
    assert not nearer(x, near, towards(far, x, beyond))


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_all_three_move(seed):
    random = np.random.default_rng(seed)
    x, near, far = triplet(seed)
    radius = triplet_radius(x, near, far, moving="all", lipschitz=ONE, forward_error=0.0) * (1 - 1e-12)
    for _ in range(20):
        moves = [radius * unit(random.normal(size=5)) for _ in range(3)]
        assert nearer(x + moves[0], near + moves[1], far + moves[2])
    assert nearer(towards(x, far, radius), near + radius * unit(near - x), towards(far, x, radius))


def test_all_three_is_tight_on_a_line():
    x, near, far = np.array([0.0]), np.array([-1.0]), np.array([2.0])
    radius = triplet_radius(x, near, far, moving="all", lipschitz=ONE, forward_error=0.0)
    assert radius == pytest.approx(0.25)
    assert not nearer(x + 0.2501, near - 0.2501, far - 0.2501)


def test_factors_and_budgets():
    x, near, far = triplet(3)
    one = triplet_radius(x, near, far, moving="one-candidate", lipschitz=ONE, forward_error=0.0)
    assert triplet_radius(x, near, far, moving="all", lipschitz=ONE, forward_error=0.0) == pytest.approx(one / 4)
    assert triplet_radius(x, near, far, moving="one-candidate", lipschitz=TWO, forward_error=0.0) == pytest.approx(
        one / 2
    )
    assert triplet_radius(x, near, far, moving="one-candidate", lipschitz=ONE, forward_error=0.01) <= one - 0.02
    assert triplet_radius(x, far, near, moving="all", lipschitz=ONE, forward_error=0.0) == 0.0
    with pytest.raises(UsageError, match="unknown setting"):
        triplet_radius(x, near, far, moving="none", lipschitz=ONE, forward_error=0.0)  # type: ignore[arg-type]


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_gallery_moves_too(seed):
    random = np.random.default_rng(seed)
    z, rows = random.normal(size=4), random.normal(size=(5, 4))
    rows[0] = z + 0.1 * rows[0]
    ranking = moving_gallery_ranking(z, rows[0], rows[1:], lipschitz=TWO, forward_error=1e-9)
    verdicts = moving_gallery_verdicts(z, rows, threshold=1.0, lipschitz=TWO, forward_error=1e-9)
    for _ in range(20):
        moves = np.stack([unit(m) for m in random.normal(size=(6, 4))])
        step = 2 * max(0.0, ranking.min()) * (1 - 1e-12)
        values = ranking_scores(z + step * moves[5], rows + step * moves[:5], "euclidean")
        assert step == 0 or (values[0] > values[1:]).all()
        for j, (copy, nothing) in enumerate(zip(verdicts.copy, verdicts.nothing, strict=True)):
            step = 2 * max(copy, nothing, 0.0) * (1 - 1e-12)
            direction = unit(z - rows[j]) if copy > 0 else unit(rows[j] - z)
            value = verdict_values(z + step * direction, rows[[j]] - step * direction, "euclidean")
            assert step == 0 or accepted(value, "euclidean", 1.0)[0] == (copy > 0)


def test_forward_errors_of_query_and_gallery_both_count():
    z, rows = np.array([1.0, 0.0]), np.array([[0.5, 0.0], [-3.0, 0.0]])
    clean = moving_gallery_verdicts(z, rows, threshold=1.0, lipschitz=ONE, forward_error=0.0)
    noisy = moving_gallery_verdicts(z, rows, threshold=1.0, lipschitz=ONE, forward_error=0.01)
    assert clean.copy[0] == pytest.approx(0.25)
    assert clean.nothing[1] == pytest.approx(1.5)
    assert (noisy.copy <= clean.copy - 0.02 * (1 - 1e-9)).all()
    assert (noisy.nothing <= clean.nothing - 0.02 * (1 - 1e-9)).all()
    ranking = [moving_gallery_ranking(z, rows[0], rows[1:], lipschitz=ONE, forward_error=e)[0] for e in (0.0, 0.01)]
    assert ranking[0] == pytest.approx(3.5 / 4)
    assert ranking[1] <= ranking[0] - 0.02 * (1 - 1e-9)


def test_identical_rows_give_exactly_zero_also_when_the_gallery_moves():
    z, rows = np.array([1.0, 0.0]), np.array([[0.9, 0.1], [0.9, 0.1]])
    assert moving_gallery_ranking(z, rows[0], rows[1:], lipschitz=ONE, forward_error=1e-6)[0] == 0.0
