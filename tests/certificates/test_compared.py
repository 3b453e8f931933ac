"""Rows that were compared once say to every theorem what they say where it starts from them."""

from __future__ import annotations

import numpy as np
import pytest

from retr.certificates.channels import margins, margins_of
from retr.certificates.compared import Compared, compare
from retr.certificates.decision import ranking_scores, verdict_values
from retr.certificates.stored import compare_stored, defined_rows
from retr.certificates.verdicts import (
    signed_distances,
    signed_of,
    unseen_nothing_radii,
    unseen_nothing_radius,
    verdict_radii,
    verdict_radii_of,
)
from retr.core.errors import UsageError
from retr.core.numerics import norm
from retr.core.types import UpperBound

BUDGET = {"lipschitz": UpperBound(0.7, "for tests"), "forward_error": 1e-12}


def drawn(score: str, rows: int = 30, dim: int = 77) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    every = rng.standard_normal((rows, dim))
    if score == "cosine":
        every /= np.linalg.norm(every, axis=1, keepdims=True)
    return 1.3 * every[0] + 0.1 * rng.standard_normal(dim), every


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@pytest.mark.parametrize("local", [False, True])
def test_the_bits_are_the_same(score, local, order):
    z, rows = drawn(score)
    met = compare(z, np.asarray(rows, order=order), score)
    limits = np.linspace(0.2, 0.9, len(rows)) if local else 0.6
    assert np.array_equal(met.scores, ranking_scores(z, rows, score))
    assert np.array_equal(met.verdict_values(), verdict_values(z, rows, score))
    given = {"score": score, "threshold": limits}
    assert np.array_equal(signed_of(met, limits), signed_distances(z, rows, **given))
    mine, theirs = margins_of(met, limits, **BUDGET), margins(z, rows, **given, **BUDGET)
    assert np.array_equal(mine.values, theirs.values)
    assert np.array_equal(mine.errors, theirs.errors)
    radii, others = verdict_radii_of(met, limits, **BUDGET), verdict_radii(z, rows, **given, **BUDGET)
    assert np.array_equal(radii.copy, others.copy)
    assert np.array_equal(radii.nothing, others.nothing)


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_some_rows_and_more_rows_are_rows_of_their_own(score):
    z, rows = drawn(score)
    met, places = compare(z, rows, score), np.array([4, 1, 29])
    assert np.array_equal(met.take(places).scores, compare(z, rows[places], score).scores)
    both = Compared.stack([met.take(places), met.take(np.arange(3))])
    assert np.array_equal(both.across, np.concatenate([met.across[places], met.across[:3]]))
    with pytest.raises(UsageError, match="different queries"):
        Compared.stack([met, compare(z + 1.0, rows, score)])


def test_distances_that_overflow_are_refused():
    with pytest.raises(UsageError, match="too long"):
        compare(np.full(3, 1e150), np.full((1, 3), -1e170), "euclidean")


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_separations_together_are_what_each_is_alone(score):
    far = np.array([0.0, 0.3, 1.0, 1.9, np.inf])
    given = {"z_norm": 1.2, "dim": 40, "score": score, "threshold": 0.6, **BUDGET}
    each = [unseen_nothing_radius(float(b), **given) for b in far]
    assert unseen_nothing_radii(far, **given).tolist() == each
    with pytest.raises(UsageError, match="a separation"):
        unseen_nothing_radii(np.array([0.1, -0.1]), **given)


@pytest.mark.parametrize("rows", [0, 1, 97])
@pytest.mark.parametrize("dim", [3, 77, 768])
@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_stored_rows_compared_a_block_at_a_time_give_the_bits_of_the_rows_they_define(monkeypatch, score, dim, rows):
    monkeypatch.setattr("retr.certificates.stored._BLOCK", 10 * dim)
    z, drawn_rows = drawn(score, max(rows, 1), dim)
    stored = (1.7 * drawn_rows[:rows]).astype(np.float32)
    every = defined_rows(stored, score)
    met, far = compare_stored(z, stored, score)
    plainly = compare(z, every, score)
    for name in ("scores", "across", "nu"):
        assert getattr(met, name).tolist() == getattr(plainly, name).tolist(), name
    assert met.length == plainly.length
    assert far.tolist() == norm((z / norm(z) if score == "cosine" else z) - every).tolist()


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_stored_rows_that_are_no_numbers_are_refused(score, wrong):
    z, rows = drawn(score)
    stored = rows.astype(np.float32)
    stored[7, 3] = wrong
    with pytest.raises(UsageError, match="NaN or infinity"):
        compare_stored(z, stored, score)
    with pytest.raises(UsageError, match="77 numbers"):
        compare_stored(z, stored[:, :5], score)
    if score == "cosine":
        with pytest.raises(UsageError, match="a row is zero"):
            compare_stored(z, 0.0 * rows.astype(np.float32), score)
