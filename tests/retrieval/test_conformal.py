"""Thresholds of several channels together: the cuts, both promises in a known world, and what they gain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from plain import one_threshold

from retr.core.errors import UsageError
from retr.retrieval.conformal import cut, set_thresholds, upper95

BOTH = [True, True]


def scores_of(rng, count: int, *, rho: float, channels: int = 2, nearer: float = 0.0) -> np.ndarray:
    """Correlated scores in (0, 1)."""
    shared, own = rng.normal(size=(count, 1)), rng.normal(size=(count, channels))
    return 0.5 + 0.5 * np.tanh((rho**0.5 * shared + (1 - rho) ** 0.5 * own + nearer) / 4)


def values(thresholds) -> np.ndarray:
    return np.array([threshold.value for threshold in thresholds])


def bonferroni(scores, fpr) -> np.ndarray:
    return values(one_threshold(column, cosine=True, fpr=fpr / scores.shape[1]) for column in scores.T)


def matches(scores, thresholds) -> np.ndarray:
    return (scores >= thresholds).any(axis=1)


def test_cuts_by_hand():
    near = np.array([[9, 1], [8, 9], [7, 2], [1, 8], [2, 3], [3, 4]], dtype=float)
    assert cut(near, 2, (1, 1)) == [9, 9]  # the first by channel 0, the second by channel 1
    assert cut(near, 3, (1, 1)) == [7, 9]  # 8 is gone already: channel 0 reaches level 3 for it
    assert cut(near, 4, (1, 1)) == [7, 8]
    assert cut(near, 5, (1, 1)) == [7, 4]
    assert cut(near, 4, (1, 3)) == [9, 4]


def test_the_same_channel_twice_costs_nothing():
    scores = np.random.default_rng(0).random(999)
    alone = one_threshold(scores, cosine=True, fpr=0.01)
    twice = set_thresholds(np.stack([scores, scores], axis=1), cosine=BOTH, fpr=0.01)
    assert min(values(twice)) == alone.value
    assert {t.upper95 for t in twice} == {alone.upper95} == {upper95(9, 999)}


def test_channels_of_either_score_and_their_order():
    scores = scores_of(np.random.default_rng(1), 500, rho=0.5)
    plain = set_thresholds(scores, cosine=BOTH, fpr=0.02)
    mixed = set_thresholds(np.stack([scores[:, 0], 1 - scores[:, 1]], axis=1), cosine=[True, False], fpr=0.02)
    assert mixed[0] == plain[0]
    assert mixed[1].value == pytest.approx(1 - plain[1].value)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95])
def test_never_stricter_than_bonferroni_and_never_more_than_the_cuts(rho):
    rng = np.random.default_rng(2)
    for channels in (2, 3):
        for _ in range(50):
            scores = scores_of(rng, 400, rho=rho, channels=channels)
            joint = values(set_thresholds(scores, cosine=[True] * channels, fpr=0.05))
            assert (joint <= bonferroni(scores, 0.05)).all()
            assert matches(scores, joint).sum() <= math.floor(0.05 * 401) - 1


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95])
@pytest.mark.parametrize("shares", [(1, 1), (1, 4)])
def test_both_promises_hold_in_a_known_world(rho, shares):
    """The union's rate has mean M/(n + 1) and lies below the 95 % limit as often as it says."""
    rng = np.random.default_rng(3)
    fresh = scores_of(rng, 20_000, rho=rho)
    edges = [cut(scores_of(rng, 199, rho=rho), 10, shares) for _ in range(500)]
    rates = np.array([(fresh > edge).any(axis=1).mean() for edge in edges])
    assert rates.mean() == pytest.approx(10 / 200, abs=0.003)
    assert 0.92 <= (rates <= upper95(9, 199)).mean() <= 0.98


def test_ties_only_make_it_stricter():
    rng = np.random.default_rng(4)
    fresh = np.rint(100 * scores_of(rng, 20_000, rho=0.5)) / 100
    drawn = [
        set_thresholds(np.rint(100 * scores_of(rng, 199, rho=0.5)) / 100 - 0.05, cosine=BOTH, fpr=0.05)
        for _ in range(60)
    ]
    assert np.mean([matches(fresh - 0.05, values(found)).mean() for found in drawn]) <= 0.05


def test_more_copies_are_found_at_the_same_rate():
    """Correlated negatives, copies near in one channel or the other: Bonferroni pays twice for one negative."""
    rng = np.random.default_rng(5)
    negatives = scores_of(rng, 9_999, rho=0.9)
    copies = scores_of(rng, 20_000, rho=0.2, nearer=2.0)
    joint, split = values(set_thresholds(negatives, cosine=BOTH, fpr=1e-2)), bonferroni(negatives, 1e-2)
    gained = matches(copies, joint).mean() - matches(copies, split).mean()
    assert gained > 0.02
    assert (
        matches(scores_of(rng, 200_000, rho=0.9), joint).mean()
        <= one_threshold(negatives[:, 0], cosine=True, fpr=1e-2).upper95
    )


def test_shares_move_false_matches_from_one_channel_to_another():
    scores = scores_of(np.random.default_rng(6), 999, rho=0.3)
    even, uneven = (values(set_thresholds(scores, cosine=BOTH, fpr=0.02, shares=s)) for s in (None, (1, 9)))
    assert uneven[0] > even[0]
    assert uneven[1] < even[1]


@pytest.mark.parametrize("shares", [(1,), (1, 0), (1, -2), (1, math.nan), (1, math.inf), ()])
def test_shares_are_positive_numbers(shares):
    with pytest.raises(UsageError, match="shares are one number above 0 for each of the 2 channels"):
        set_thresholds(np.random.default_rng(0).random((99, 2)), cosine=BOTH, fpr=0.1, shares=shares)
