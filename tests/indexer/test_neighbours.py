"""Distances between rows: exact, whatever else is in the block."""

from __future__ import annotations

import numpy as np
import pytest

from retr.core.types import Score
from retr.indexer import neighbours
from retr.indexer.neighbours import Others, constants_of, least, measure_near, nearest, rounded_down


def rows(count: int, dim: int = 24, *, seed: int = 0, unit: bool = True):
    found = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True) if unit else found


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_the_next_row_is_found_to_the_last_digit(score: Score, monkeypatch: pytest.MonkeyPatch):
    some = rows(60, unit=score == "cosine")
    some[7] = some[3] + np.float32(1e-4) * rows(1, seed=1)[0]
    some[9] = some[5]
    whole = measure_near(some, score)
    apart = np.linalg.norm(some.astype(np.float64)[:, None] - some[None].astype(np.float64), axis=2)
    np.fill_diagonal(apart, np.inf)
    exact = apart.min(axis=1)
    expected = 2 * np.arcsin(np.minimum(exact / 2, 1)) if score == "cosine" else exact
    assert whole == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert whole[5] == whole[9] == 0.0
    monkeypatch.setattr(neighbours, "BLOCK", 7 * 60)
    assert (measure_near(some, score) == whole).all()


def test_a_row_left_out_is_not_the_nearest():
    some = rows(8)
    others = Others.of(some, "cosine")
    near = others.nearness(some)
    near[:, 2] = -np.inf
    left, right, far = nearest(others, some, near)
    assert 2 not in right
    assert least(8, left, far)[0] == 0.0
    assert least(8, left, far)[2] > 0.1


def test_where_no_other_is_there_the_next_is_nowhere():
    assert measure_near(rows(1), "cosine").tolist() == [np.inf]
    assert constants_of(measure_near(rows(1), "cosine")) == {}
    assert constants_of(np.array([0.5, 0.7, 0.9], np.float32))["typical"] == pytest.approx(0.7)


def test_numbers_are_rounded_down():
    exact = np.random.default_rng(0).random(1000)
    down = rounded_down(exact)
    assert (down <= exact).all()
    assert (np.nextafter(down, np.float32(2)) > exact).all()
