"""Faults in what is said of how far all rows reject (THEORY §6.4): each says too much, and is seen to."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import plain
import pytest

from retr.certificates.verdicts import verdict_radii
from retr.indexer import filter_make
from retr.indexer.filter_make import make_filter
from retr.indexer.filtered import FilteredRows
from retr.retrieval import rejecting
from retr.retrieval.channel import Channel

DIM = 64
FLOORS, CEILINGS = rejecting._floors, FilteredRows._ceilings


def channel_of(count: int = 900) -> Channel:
    """Rows in clusters with thresholds of their own, behind the narrowest of filters."""
    rng = np.random.default_rng(0)
    sizes = np.concatenate([np.full(30, 1.0), np.full(DIM - 30, 0.3)])
    rows = rng.standard_normal((count // 6, DIM)).repeat(6, 0) * sizes + 0.5 * rng.standard_normal((count, DIM)) * sizes
    channel = plain.make_channel(rows, threshold=0.9)
    assert channel.threshold is not None
    limit = replace(channel.threshold, offset=-0.1, gaps="0" * 64)
    made = FilteredRows(channel.store.parts[0], make_filter(channel.store.parts[0]))
    gaps = rng.uniform(0.3, 1.6, count).astype(np.float32)
    return replace(channel, threshold=limit, gaps=gaps, store=replace(channel.store, filtered=(made,)))


def too_much(channel: Channel) -> int:
    """How many times more is said than a look at every row gives; at the least it must be said as often as not."""
    rng, rows, count, said = np.random.default_rng(1), channel.rows64(np.arange(channel.store.rows)), 0, 0
    for row in rng.integers(0, len(rows), 60):
        z = 1.5 * (rows[row] + rng.uniform(0.6, 1.2) * rng.standard_normal(DIM) / math.sqrt(DIM))
        [probe] = plain.probes([channel], [z])
        bounds = {"lipschitz": probe.proved.lipschitz, "forward_error": probe.proved.forward_error}
        limits = channel.limits(np.arange(len(rows)))
        exact = float(verdict_radii(z, rows, score="cosine", threshold=limits, **bounds).nothing.min())
        if exact > 0.0:
            found = rejecting.rejects_within(channel, probe, exact + 0.2, lambda ids: np.ones(len(ids), dtype=np.bool_))
            count, said = count + (found > exact), said + (found == exact)
    assert said > 5
    return count


@pytest.fixture(autouse=True)
def narrow(monkeypatch) -> None:
    monkeypatch.setattr(filter_make, "WIDTHS", (64,))
    monkeypatch.setattr(rejecting, "AT_ONCE", 8)


def test_one_threshold_where_rows_have_their_own(planted, monkeypatch):
    """A row that accepts far out is passed over, as if it accepted no farther than the others."""

    def by_one(channel, probe, far, limits):
        return FLOORS(channel, probe, far, np.full(len(far), float(np.median(channel.limits(np.arange(900))))))

    if planted:
        monkeypatch.setattr(rejecting, "_floors", by_one)
    assert (too_much(channel_of()) > 0) == planted


def test_rows_are_looked_for_no_farther_than_they_accept(planted, monkeypatch):
    """As far as the widest accepts the query as it is: what would accept it once moved is forgotten."""

    def unmoved(channel, probe, wanted):
        return 2.0 * math.sin(0.5 * math.acos(channel.widest))

    if planted:
        monkeypatch.setattr(rejecting, "_reach", unmoved)
    assert (too_much(channel_of()) > 0) == planted


def test_bounds_of_other_rows(planted, monkeypatch):
    """The filter's bounds, in another order than the rows."""

    def rolled(self, query, rows):
        return np.roll(CEILINGS(self, query, rows), 1)

    if planted:
        monkeypatch.setattr(FilteredRows, "_ceilings", rolled)
    assert (too_much(channel_of()) > 0) == planted


def test_the_nearest_row_alone_is_compared(planted, monkeypatch):
    """The nearest need not be the first that accepts."""

    def by_nearness(channel, probe, far, limits):
        return FLOORS(channel, probe, far, limits) + (1e3 * (far > far.min()) if len(far) > 1 else 0.0)

    if planted:
        monkeypatch.setattr(rejecting, "_floors", by_nearness)
    assert (too_much(channel_of()) > 0) == planted
