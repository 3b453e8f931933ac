"""T9: two linear channels over one query space, attacked by sampling and along the steepest directions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.certificates.channels import (
    Margins,
    item_margins,
    margin_radii,
    margins,
    stays_first,
    union_copy_radius,
    union_nothing_radius,
    unseen_margins,
)
from retr.certificates.checker import signed_distance
from retr.certificates.decision import accepted, verdict_values
from retr.certificates.ranking import topk_radius
from retr.certificates.verdicts import verdict_radii
from retr.core.errors import UsageError
from retr.core.types import Score, UpperBound

seeds = st.integers(0, 2**32 - 1)
N = 6


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


class LinearChannel:
    """f(q) = A·q with L = σ_max(A); eight rows of four items."""

    def __init__(self, random, score: Score, d, q, spread):
        self.score: Score = score
        self.matrix = random.normal(size=(d, N)) * random.uniform(0.3, 3)
        self.lipschitz = UpperBound(float(np.linalg.norm(self.matrix, 2)) * (1 + 1e-12), "SVD")
        rows = self.matrix @ (q + spread * random.normal(size=(8, N))).T
        self.rows = unit(rows.T) if score == "cosine" else rows.T.copy()
        self.threshold = float(random.uniform(0.5, 0.95)) if score == "cosine" else float(random.uniform(0.5, 3))
        self.items = np.repeat(np.arange(4), 2)

    def embed(self, q):
        return self.matrix @ q

    def margins(self, q):
        return margins(self.embed(q), self.rows, **self.proof())

    def proof(self):
        return {"score": self.score, "threshold": self.threshold, "lipschitz": self.lipschitz, "forward_error": 1e-12}

    def radii(self, q):
        return verdict_radii(self.embed(q), self.rows, **self.proof())

    def accepts(self, q):
        return accepted(verdict_values(self.embed(q), self.rows, self.score), self.score, self.threshold)


def system(seed):
    random = np.random.default_rng(seed)
    q = random.normal(size=N)
    spread = random.choice([0.1, 0.5, 2.0])
    channels = [LinearChannel(random, "cosine", 5, q, spread), LinearChannel(random, "euclidean", 4, q, spread)]
    return random, q, channels


def items_at(channels, q):
    return item_margins([(channel.margins(q), channel.items) for channel in channels])


def steep(channels, q, random):
    """Random directions, and those along which some item's margin changes fastest (finite differences)."""
    step = 1e-6
    base = items_at(channels, q)[1].values
    slopes = np.stack([(items_at(channels, q + step * e)[1].values - base) / step for e in np.eye(N)])  # n × items
    pairs = [slopes[:, j] - slopes[:, i] for i in range(4) for j in range(4) if i != j]
    found = np.array([p for p in [*pairs, *slopes.T, *-slopes.T] if np.linalg.norm(p) > 1e-9]).reshape(-1, N)
    return unit(np.concatenate([found, random.normal(size=(25, N))]))


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_ranking_by_margin_keeps_its_order_inside_the_radius(seed):
    random, q, channels = system(seed)
    names, at_q = items_at(channels, q)
    assert names.tolist() == [0, 1, 2, 3]
    winner = int(at_q.values.argmax())
    radii = margin_radii(at_q, winner)
    assert (radii <= np.delete(at_q.values[winner] - at_q.values, winner) / 2).all()
    for k in (1, 2):
        radius = topk_radius(radii, k)
        for direction in steep(channels, q, random):
            moved = items_at(channels, q + radius * (1 - 1e-12) * direction)[1].values
            assert radius == 0 or (np.delete(moved, winner) >= moved[winner]).sum() < k
    assert stays_first(at_q, winner) == topk_radius(radii, 1)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_union_verdicts_hold_inside_their_radius(seed):
    random, q, channels = system(seed)
    q = q * random.choice([1.0, -0.4, 0.05])
    radii = [channel.radii(q) for channel in channels]
    copy, nothing = union_copy_radius(radii), union_nothing_radius(radii)
    assert copy == 0 or nothing == 0
    for direction in steep(channels, q, random):
        if copy > 0:
            assert any(channel.accepts(q + copy * (1 - 1e-12) * direction).any() for channel in channels)
        if nothing > 0:
            assert not any(channel.accepts(q + nothing * (1 - 1e-12) * direction).any() for channel in channels)


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_margins_are_the_signed_distances_in_pixels(seed):
    _, q, channels = system(seed)
    for channel in channels:
        z, result = channel.embed(q), channel.margins(q)
        for row, value, error in zip(channel.rows, result.values, result.errors, strict=True):
            exact = float(signed_distance(z, row, score=channel.score, threshold=channel.threshold))
            assert abs(value - exact / channel.lipschitz.value) <= error
        assert result.errors.max() <= 1e-10
        assert result.growth <= 1e-12


@given(seeds, st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_one_margin_stands_for_all_unseen_rows(seed, seen):
    _, q, channels = system(seed)
    for channel in channels:
        z = channel.embed(q)
        point = unit(z) if channel.score == "cosine" else z
        away = np.linalg.norm(point - channel.rows, axis=1)
        b = float(np.sort(away)[seen]) * (1 - 1e-14)
        proxy = unseen_margins(b, z_norm=float(np.linalg.norm(z)), dim=z.size, **channel.proof())
        hidden = channel.margins(q).values[away >= b]
        assert hidden.max() <= proxy.values[0] + proxy.errors[0]
        assert proxy.values[0] <= hidden.max() + 1e-10


def test_the_best_channel_and_view_count():
    one = Margins(np.array([1.0, -2.0]), np.array([0.0, 1e-9]), 0.0)
    two = Margins(np.array([-1.0, 0.5]), np.array([1e-8, 0.0]), 1e-9)
    names, merged = item_margins([(one, np.array([7, 9])), (two, np.array([7, 9]))])
    assert names.tolist() == [7, 9]
    assert merged.values.tolist() == [1.0, 0.5]
    assert merged.errors.tolist() == [1e-8, 1e-9]
    assert merged.growth == 1e-9
    assert 0.25 - 1e-7 < stays_first(merged, 0) <= 0.25 - 1.1e-8  # both errors, at both ends, halved
    assert stays_first(merged, 1) == 0.0


def test_no_rivals_and_no_channels():
    alone = Margins(np.array([1.0]), np.array([0.0]), 0.0)
    assert stays_first(alone, 0) == math.inf
    assert union_copy_radius([]) == 0.0
    assert union_nothing_radius([]) == math.inf


def test_bad_margins_are_refused():
    with pytest.raises(UsageError, match="alike"):
        Margins(np.ones(2), np.ones(3), 0.0)
    for values, errors, growth in [(math.nan, 0.0, 0.0), (1.0, math.nan, 0.0), (1.0, -1.0, 0.0), (1.0, 0.0, -1.0)]:
        with pytest.raises(UsageError, match="numbers"):
            Margins(np.array([values]), np.array([errors]), growth)
    with pytest.raises(UsageError, match="at least one channel"):
        item_margins([])
    with pytest.raises(UsageError, match="no item"):
        margin_radii(Margins(np.ones(2), np.zeros(2), 0.0), 2)
