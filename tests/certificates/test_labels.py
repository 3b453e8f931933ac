"""Labels among the first k: kept inside the radius whatever the direction, and the forms it is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.certificates.decision import ranking, ranking_scores
from retr.certificates.labels import label_radius, majority
from retr.certificates.ranking import pair_radii, topk_radius
from retr.core.errors import UsageError
from retr.core.types import UpperBound

ONE = UpperBound(1.0, "test")


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def gallery(seed, rows=14, labels=3, dim=3, score="cosine"):
    random = np.random.default_rng(seed)
    given = random.normal(size=(rows, dim))
    return random.normal(size=dim), unit(given) if score == "cosine" else given, random.integers(0, labels, rows)


def matrices(z, rows, labels, label, score, keep=None):
    """(rivals, own, rival labels, floors) as the search hands them over; only the ``keep`` nearest rows are listed."""
    order = ranking(ranking_scores(z, rows, score), np.arange(len(rows)))
    rows, labels = rows[order], labels[order]
    views = np.flatnonzero(labels == label)
    views = views if keep is None else views[views < keep]
    given = {"score": score, "lipschitz": ONE, "forward_error": 0.0}
    radii = np.stack([pair_radii(z, rows[view], rows, **given) for view in views])
    radii[np.arange(len(views)), views] = np.inf
    listed, own = np.arange(len(rows)) < (keep or len(rows)), labels == label
    floors = radii[:, ~listed].min(axis=1, initial=np.inf)
    return radii[:, listed & ~own], radii[:, listed & own], labels[listed & ~own], floors


def radius_of(parts, k, needed):
    rivals, own, labels, floors = parts
    return label_radius(rivals, own, rival_labels=labels, floors=floors, k=k, needed=needed)


def among(z, rows, labels, label, k, score):
    scores = ranking_scores(z, rows, score)
    # ties against the label: of equal scores its rows come last
    order = np.lexsort((labels == label, -scores))
    return int((labels[order[:k]] == label).sum())


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_nothing_inside_takes_the_places(score, k, seed):
    z, rows, labels = gallery(seed, score=score)
    label = labels[np.argmax(ranking_scores(z, rows, score))]
    random = np.random.default_rng(seed)
    for needed in range(1, among(z, rows, labels, label, k, score) + 1):
        whole = radius_of(matrices(z, rows, labels, label, score), k, needed)
        part = radius_of(matrices(z, rows, labels, label, score, keep=7), k, needed)
        assert part <= whole
        length = min(whole, 1e3) * (1 - 1e-9)
        directions = [*random.normal(size=(30, 3)), *(b - a for a in rows[labels == label] for b in rows)]
        for direction in directions:
            size = np.linalg.norm(direction)
            moved = z + length * direction / size if size else z
            assert among(moved, rows, labels, label, k, score) >= needed


def test_one_row_a_label_is_t1_and_t2():
    z, rows, _ = gallery(1)
    labels = np.arange(len(rows))
    scores = ranking_scores(z, rows, "cosine")
    best, third = np.argsort(-scores)[[0, 2]]
    for row, k in ((best, 1), (best, 4), (third, 5)):
        rivals = np.delete(rows, row, axis=0)
        radii = pair_radii(z, rows[row], rivals, score="cosine", lipschitz=ONE, forward_error=0.0)
        assert radius_of(matrices(z, rows, labels, row, "cosine"), k, 1) == topk_radius(radii, k)


def test_by_hand_and_larger_than_either_form_alone():
    """Two rows of the label hold three places: each form, and which one wins."""
    rivals = np.array([[5.0, 6.0, 7.0], [1.0, 2.0, 3.0]])
    own = np.array([[math.inf, 4.0], [-4.0, math.inf]])
    call = {"rival_labels": np.array([1, 1, 2]), "floors": np.full(2, math.inf)}
    assert label_radius(rivals, own, k=3, needed=2, **call) == 2.0  # by votes: min(6, 2); by rows: min(6, 2)
    assert label_radius(rivals, own, k=3, needed=1, **call) == 7.0  # the first row alone loses only to all three
    assert label_radius(rivals, own, k=1, needed=1, **call) == 5.0
    call["floors"] = np.array([5.5, 1.5])
    assert label_radius(rivals, own, k=3, needed=2, **call) == 1.5
    assert label_radius(rivals, own, k=3, needed=1, **call) == 5.5


def test_each_view_may_hold_back_another_label():
    """T3 in full: the first row beats label 1 by much, the second row label 2."""
    rivals, own = np.array([[9.0, 1.0], [2.0, 8.0]]), np.full((2, 2), math.inf)
    found = label_radius(rivals, own, rival_labels=np.array([1, 2]), floors=np.full(2, math.inf), k=1, needed=1)
    assert found == 8.0


def test_a_twin_of_another_label_leaves_nothing():
    z, rows, labels = gallery(4)
    first = int(np.argmax(ranking_scores(z, rows, "cosine")))
    rows, labels = np.vstack([rows, rows[first]]), np.append(labels, labels[first] + 1)
    assert radius_of(matrices(z, rows, labels, labels[first], "cosine"), 1, 1) == 0.0


def test_no_rival_limits_nothing_and_too_few_rows_prove_nothing():
    none = {"rival_labels": np.empty(0, np.int64), "floors": np.full(1, math.inf)}
    assert label_radius(np.empty((1, 0)), np.full((1, 1), math.inf), k=1, needed=1, **none) == math.inf
    assert label_radius(np.empty((1, 0)), np.full((1, 1), math.inf), k=3, needed=2, **none) == 0.0


def test_what_does_not_fit_is_refused():
    parts = {"rival_labels": np.zeros(2, np.int64), "floors": np.zeros(1)}
    with pytest.raises(UsageError, match="got 3"):
        label_radius(np.zeros((1, 2)), np.zeros((1, 1)), k=2, needed=3, **parts)
    with pytest.raises(UsageError, match="label radii need"):
        label_radius(np.zeros((1, 3)), np.zeros((1, 1)), k=2, needed=1, **parts)


def test_majority():
    assert [majority(k) for k in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3]
