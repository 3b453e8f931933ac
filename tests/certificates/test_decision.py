"""The certified decision: fixed bits, ties by row id."""

from __future__ import annotations

import numpy as np
import pytest

from retr.certificates.decision import accepted, ranking, ranking_scores, verdict_values
from retr.core.errors import UsageError


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_bits_do_not_depend_on_the_batch(score):
    random = np.random.default_rng(0)
    z, rows = random.normal(size=301), random.normal(size=(1000, 301))  # more rows than are worked on at a time
    for compute in (ranking_scores, verdict_values):
        together = compute(z, rows, score)
        assert together.tolist() == [float(compute(z, row[None], score)[0]) for row in rows]
        assert together.tolist() == compute(z, np.asfortranarray(rows), score).tolist()


def test_values():
    z, rows = np.array([3.0, 4.0]), np.array([[1.0, 0.0], [0.0, 1.0]])
    assert ranking_scores(z, rows, "cosine").tolist() == [3.0, 4.0]
    assert ranking_scores(z, rows, "euclidean").tolist() == [-20.0, -18.0]
    assert verdict_values(z, rows, "cosine").tolist() == [0.6, 0.8]
    assert verdict_values(z, np.zeros((1, 2)), "euclidean").tolist() == [5.0]


def test_ties_go_by_row_id():
    scores, ids = np.array([1.0, 2.0, 1.0, 2.0]), np.array([3, 9, 1, 4])
    assert ids[ranking(scores, ids)].tolist() == [4, 9, 1, 3]


def test_thresholds_are_inclusive():
    values = np.array([0.4, 0.5, 0.6])
    assert accepted(values, "cosine", 0.5).tolist() == [False, True, True]
    assert accepted(values, "euclidean", 0.5).tolist() == [True, True, False]


def test_a_zero_query_is_refused_by_name():
    for compute in (ranking_scores, verdict_values):
        with pytest.raises(UsageError, match="zero"):
            compute(np.zeros(2), np.eye(2), "cosine")
        assert compute(np.zeros(2), np.eye(2), "euclidean").size == 2
