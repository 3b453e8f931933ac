"""Short rows: never farther from each other than the rows they stand for, and gaps are the same with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retr.core.types import Score
from retr.indexer import gap_pairs
from retr.indexer.gap_codes import Pairs
from retr.indexer.gap_pairs import Short
from retr.indexer.neighbours import Others
from retr.indexer.short_rows import Shortening, shortening


def rows(count: int, dim: int, *, seed: int, spread: float, unit: bool):
    """Rows most of whose length lies along few directions."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(count, dim)) * (1.0 + np.arange(dim)) ** -spread
    turned = found @ np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return (turned / (np.linalg.norm(turned, axis=1, keepdims=True) if unit else 1.0)).astype(np.float32)


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@given(seed=st.integers(0, 10**6), spread=st.floats(0.0, 3.0), kept=st.integers(1, 24))
def test_short_rows_are_no_farther_from_each_other(score: Score, seed: int, spread: float, kept: int):
    some = rows(30, 24, seed=seed, spread=spread, unit=score == "cosine")
    how = Shortening(np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(24, kept)))[0])
    whole, short = Others.of(some, score), Others.of(how.of(some), score)
    nearness = whole.nearness(some).astype(np.float64)
    assert (short.nearness(how.of(some)) >= nearness - whole.slack(some)).all()


def test_rows_are_shortened_where_few_numbers_hold_most_of_them():
    found = shortening(rows(500, 128, seed=1, spread=1.5, unit=True))
    assert found is not None
    assert found.basis.shape[0] == 128
    assert found.basis.shape[1] in (16, 32)
    assert np.allclose(found.basis.T @ found.basis, np.eye(found.basis.shape[1]), atol=1e-12)
    assert shortening(rows(500, 128, seed=1, spread=0.0, unit=True)) is None
    for flat in (np.zeros((20, 64), np.float32), np.ones((1, 64), np.float32)):
        known = shortening(flat)
        assert known is None or np.isfinite(known.of(flat)).all()


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@pytest.mark.parametrize("dear", [1, 10**9])
def test_what_is_within_reach_is_found_either_way(score: Score, dear: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gap_pairs, "DEAR", dear)
    some = rows(300, 96, seed=2, spread=1.0, unit=score == "cosine")
    own, others = some[:40], Others.of(some, score)
    least = np.quantile(others.nearness(own), 0.95, axis=1).astype(np.float32)
    short = Short.of(others)
    assert short is not None
    pairs = gap_pairs._within_reach(others, short, own, least)
    assert isinstance(pairs, Pairs)
    products = others.nearness(own)
    clear = np.abs(products - least[:, None]) > others.slack(own)
    found = np.zeros_like(clear)
    found[pairs.left, pairs.right] = True
    assert (found == (products >= least[:, None]))[clear].all()
    assert pairs.near == pytest.approx(products[pairs.left, pairs.right], abs=others.slack(own))
