"""Faults of thresholds that are shares of gaps: one that moves with the query, one set on what it is measured by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from plain import make_channel
from planted import audit, draw_pictures, save_pictures, small_index

from retr.core.cosine import cosine
from retr.indexer.neighbours import Others, least, nearest
from retr.retrieval.channel import Float64, reach_of_gaps
from retr.retrieval.conformal import set_offsets
from retr.retrieval.evidence import Evidence, Rows
from retr.retrieval.index_source import IndexSource
from retr.retrieval.source import Ask
from retr.retrieval.survey import levels, searched, within

SHARE = 0.6


class MeasuredFromTheQuery(IndexSource):
    """A row accepts where it is nearer than a share of the *query's* distance to the next item, as a ratio test would.

    The radius is that of T5 at this threshold, as if it stood still.
    """

    def answer(self, asks: Sequence[Ask]) -> list[Evidence]:
        return [self._moved(one) for one in super().answer(asks)]

    def _moved(self, seen: Evidence) -> Evidence:
        return replace(seen, listed=_with_limits(seen.listed), own=_with_limits(seen.own), widest=-1.0)


def _with_limits(rows: Rows) -> Rows:
    if len(rows) < 2:
        return rows
    second = 2.0 * math.asin(0.5 * float(np.sort(rows.distances)[1]))
    return replace(rows, limits=cosine(np.full(len(rows), SHARE * second)))


def test_a_threshold_that_moves_with_the_query(planted, caught, tmp_path):
    """Queries are mixtures of two pictures; an attack that makes one more like the other moves the threshold."""
    pictures = draw_pictures(24)
    engine = small_index(tmp_path, pictures)
    mixed = [(0.85 * a + 0.15 * b).astype(np.uint8) for a, b in zip(pictures[:12], pictures[12:], strict=True)]
    queries = save_pictures(tmp_path / "queries", mixed)
    if planted:
        engine = replace(engine, parts=(MeasuredFromTheQuery(engine.channels, engine.gallery.table),))
    goals = ("verdict", "evasion")
    found = audit(engine, tmp_path / "audit", queries=queries, goals=goals, at_radius=(0.9, 0.97))
    caught(found, by=("verdict",))


# -- the rate that is promised ----------------------------------------------------------------------------------------

DIM, FPR = 6, 0.02


def drawn(count: int, seed: int) -> Float64:
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def gaps_to(rows: Float64, others: Float64) -> np.ndarray:
    known = Others.of(others.astype(np.float32), "cosine")
    own = rows.astype(np.float32)
    left, _, far = nearest(known, own, known.nearness(own))
    return least(len(own), left, far).astype(np.float32)


@pytest.mark.parametrize("same", [True, False], ids=["planted", "control"])
def test_gaps_and_offset_from_the_same_vectors(same: bool):
    """Gaps from one part and the offset from another keep the rate; from the same vectors it is many times as large.

    Each of them lies as far from every row as that row's gap says: no negative seems to be near.
    """
    rows, reference = drawn(300, 0), drawn(400, 1)
    negatives, fresh = reference if same else drawn(400, 2), drawn(6000, 3)
    channel = make_channel(rows)
    assert channel.threshold is not None
    gaps = gaps_to(rows, reference)
    part = replace(channel.threshold, share=0.95, reference="1" * 64, neighbours="1" * 64, gaps="0" * 64)
    channel = replace(channel, threshold=part, gaps=gaps)
    pairs = within(channel, searched(negatives, channel), reach_of_gaps(part, gaps))
    (offset,), limit = set_offsets(levels([pairs], [gaps], len(negatives)), fpr=FPR)
    found = replace(part, offset=offset)
    matched = len(np.unique(within(channel, searched(fresh, channel), reach_of_gaps(found, gaps)).negatives))
    rate = matched / len(fresh)
    print(f"false matches {rate:.4f}, at most {limit:.4f} promised")
    assert (rate > 5 * limit) == same
    assert (rate <= limit) != same
