"""Faults in how rows are found that might overtake one of the first (T1, T3, THEORY §6.4): each claims too much."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import plain
import pytest

from retr.certificates.decision import ranking_scores
from retr.certificates.ranking import item_radii, pair_radii, topk_radius
from retr.certificates.rivals import widest
from retr.certificates.stored import defined_rows
from retr.core.types import UpperBound
from retr.indexer import filter_make
from retr.indexer.filter_make import make_filter
from retr.indexer.filtered import FilteredRows
from retr.retrieval import decide_one, index_source, rivals
from retr.retrieval.channel import Channel
from retr.retrieval.decide import decide
from retr.retrieval.distances import distance_bounds
from retr.retrieval.ranking import VIEWS_TRIED, Ranking
from retr.retrieval.settle import until_settled
from retr.retrieval.source import Ask

DIM, VIEWS = 32, 3
CEILINGS, FLOORS, FIND = FilteredRows.ceilings, rivals.rival_floors, rivals.find_rivals


def channel_of(seed: int) -> Channel:
    """Items of one row, many about as far from a query as the last that is listed, behind the narrowest of filters."""
    rng = np.random.default_rng(seed)
    sizes = np.concatenate([np.full(8, 1.0), np.full(DIM - 8, 0.15)])
    channel = plain.make_channel(rng.standard_normal((1500, DIM)) * sizes, threshold=0.9)
    part = channel.store.parts[0]
    return replace(channel, store=replace(channel.store, filtered=(FilteredRows(part, make_filter(part)),)))


def few_numbers(seed: int) -> Channel:
    """Items of three rows each, in so few dimensions that one of an item's other rows often carries it."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((25, 6)).repeat(VIEWS, 0) + 0.3 * rng.standard_normal((25 * VIEWS, 6))
    return plain.make_channel(rows, groups=np.arange(25).repeat(VIEWS), threshold=0.8)


def several_rows(seed: int) -> Channel:
    """Items of up to ten rows, some unrelated to the others, some rows gone, behind the narrowest of filters."""
    rng = np.random.default_rng(seed)
    groups = np.sort(rng.integers(0, 150, 500))
    near = rng.standard_normal((150, DIM))[groups] + 0.3 * rng.standard_normal((500, DIM))
    rows = np.where(rng.random((500, 1)) < 0.25, rng.standard_normal((500, DIM)), near)
    rows[7], rows[260] = rows[300], rows[8] + 1e-6
    groups[rng.choice(500, 30, replace=False)] = -1
    channel = plain.make_channel(rows * np.linspace(1.0, 0.2, DIM), groups=groups, threshold=0.9)
    part = channel.store.parts[0]
    return replace(channel, store=replace(channel.store, filtered=(FilteredRows(part, make_filter(part)),)))


def by_all_rows(channel: Channel, z: np.ndarray, found: Ranking, k: int) -> list[float]:
    """What every row leaves of each item's place (T3); before them what T1 leaves the first one.""" ""
    [probe] = plain.probes([channel], [z])
    rows, groups, exact = channel.rows64(np.arange(channel.store.rows)), channel.groups, []
    bounds = {"lipschitz": probe.proved.lipschitz, "forward_error": probe.proved.forward_error}
    for item in found.items:
        mine = groups == plain.group_of(item)
        others = ~mine & (groups >= 0)
        own = np.flatnonzero(mine)[np.argsort(-ranking_scores(z, rows[mine], "cosine"), kind="stable")][:VIEWS_TRIED]
        radii = np.stack([pair_radii(z, rows[row], rows[others], score="cosine", **bounds) for row in own])
        exact.append(topk_radius(item_radii(radii, groups[others])[1], k))
        if len(exact) == 1:
            exact.insert(0, max(0.0, float(radii.min(axis=1).max())))
    return exact


def compared(make: Callable[[int], Channel] = channel_of, *, k: int = 8, listed: int = 10, seeds: int = 4) -> list:
    """What is said of each item's place, and what a look at every row gives."""
    pairs = []
    for seed in range(seeds):
        channel, rng = make(seed), np.random.default_rng(seed)
        rows = channel.rows64(np.arange(channel.store.rows))
        for row in rng.integers(0, len(rows), 10):
            z = 1.5 * (rows[row] + rng.uniform(0.0, 1.2) * rng.standard_normal(channel.store.dim) / math.sqrt(DIM))
            [probe], source = plain.probes([channel], [z]), plain.source_of([channel])
            first = [source.answer([Ask(probe, nearest=listed)])]
            found = until_settled([source], first, partial(decide, k=k, certify=True)).ranking
            said = [found.items[0].top1 or 0.0, *(item.topk or 0.0 for item in found.items)]
            pairs += zip(said, by_all_rows(channel, z, found, k), strict=True)
    return pairs


def too_much(*arguments, **options) -> int:
    """How many radii are above those of a look at every row."""
    return sum(mine > theirs for mine, theirs in compared(*arguments, **options))


@pytest.mark.parametrize("make", [channel_of, few_numbers, several_rows])
@pytest.mark.parametrize("k", [1, 7])
def test_radii_are_those_of_a_look_at_every_row(make, k):
    pairs = compared(make, k=k, listed=k + 2, seeds=3)
    assert [mine for mine, _ in pairs] == [theirs for _, theirs in pairs]
    assert sum(theirs > 0.0 for _, theirs in pairs) > len(pairs) / 3


def test_a_far_row_of_an_item_makes_no_rivals_of_the_others(monkeypatch):
    """It is not needed for the item's radii, and nearly every row is nearer than it."""
    rng, counts = np.random.default_rng(0), []
    rows = rng.standard_normal((1200, DIM))
    channel = plain.make_channel(rows, groups=np.tile(np.arange(600), 2), threshold=0.9)

    def counted(channel, probe, claims, alive):
        counts.append(len(found := FIND(channel, probe, claims, alive)))
        return found

    monkeypatch.setattr(index_source, "find_rivals", counted)
    for z in channel.rows64(np.arange(5)) + 0.1 * rng.standard_normal((5, DIM)):
        found = plain.rank(channel, z, 10, first=64)
        assert found.items[0].topk
    assert counts
    assert max(counts) < 100


def test_floors_are_below_the_radii_that_are_computed():
    """Also of near-duplicates, of which bounds have most to lose, and of rows that are not exactly of unit length."""
    rng = np.random.default_rng(0)
    for dim in (3, 64, 700):
        z = 3.0 * rng.standard_normal(dim)
        ahead = z / np.linalg.norm(z) + 0.3 * rng.standard_normal((4, dim)) / math.sqrt(dim)
        far = ahead.repeat(60, 0) + np.geomspace(1e-9, 2.0, 240)[:, None] * rng.standard_normal((240, dim)) / math.sqrt(
            dim
        )
        claimed, stored = (
            (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (ahead, far)
        )
        mine, theirs = defined_rows(claimed, "cosine"), defined_rows(stored, "cosine")
        low = rivals._least_products(claimed, stored)
        exact = np.array(
            [[math.fsum(map(float, a * b)) for b in stored.astype(np.float64)] for a in claimed.astype(np.float64)]
        )
        assert (low <= exact).all()
        width = np.stack([np.linalg.norm(row - theirs, axis=1) for row in mine])
        for products in (low, exact):
            widths = widest(products, dim)
            assert (widths >= width * (1.0 + 1e-12)).all()
        near, other = (distance_bounds(z, rows, "cosine") for rows in (mine, theirs))
        bounds = {"lipschitz": UpperBound(1.0, "for tests"), "forward_error": 0.0}
        computed = np.stack([pair_radii(z, row, theirs, score="cosine", **bounds) for row in mine])
        for widths in (widest(low, dim), width * (1.0 + 1e-12) + 1e-300):
            floors = FLOORS(z, near[1], other[0], widths, **bounds)
            assert (floors <= computed).all()
            assert (floors > 0.0).sum() > 50


@pytest.fixture(autouse=True)
def narrow(monkeypatch) -> None:
    monkeypatch.setattr(filter_make, "WIDTHS", (64,))


def test_the_best_row_of_an_item_stands_for_the_one_that_carries_it(planted, monkeypatch):
    """What is not listed is bounded by the distance of the best row, while another one carries the item."""

    def of_the_best(self, item):
        return float(decide_one._farthest(self.seen, np.array([item.distance]))[0])

    if planted:
        monkeypatch.setattr(decide_one._Judge, "_farthest_carrier", of_the_best)
    assert (too_much(few_numbers, k=1, listed=3, seeds=40) > 0) == planted


def test_the_filter_was_asked():
    """Else nothing here would say anything of it."""
    channel, asked = channel_of(0), []
    [probe] = plain.probes([channel], [channel.rows64(np.array([3]))[0]])
    ahead = channel.store.take(np.array([3, 5]))
    claims = rivals.Claims(np.array([3, 5]), ahead, np.array([0.2, 0.05]))

    def counted(self, queries, rows):
        asked.append(len(rows))
        return CEILINGS(self, queries, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilteredRows, "ceilings", counted)
        found = rivals.find_rivals(channel, probe, claims, lambda ids: np.ones(len(ids), dtype=np.bool_))
    assert 0 < len(found) < asked[1] < asked[0] < 1500, (len(found), asked)


def test_bounds_of_other_rows(planted, monkeypatch):
    """The filter's bounds on how far apart rows are, in another order than the rows."""

    def rolled(self, queries, rows):
        return np.roll(CEILINGS(self, queries, rows), 1, axis=1)

    if planted:
        monkeypatch.setattr(FilteredRows, "ceilings", rolled)
    assert (too_much() > 0) == planted


def test_rows_as_far_apart_as_they_are_from_the_query(planted, monkeypatch):
    """The width of a pair taken for the difference of two distances, which it is at least."""

    def too_near(z, near, far, widths, **bounds):
        return FLOORS(z, near, far, np.maximum(far[None] - near[:, None], 1e-3) + 0.0 * widths, **bounds)

    if planted:
        monkeypatch.setattr(rivals, "rival_floors", too_near)
    assert (too_much() > 0) == planted


def test_products_of_the_filter_with_the_wrong_sign(planted, monkeypatch):
    """An upper bound on a product taken for a lower one."""

    def other_side(self, queries, rows):
        return -CEILINGS(self, -queries, rows)

    if planted:
        monkeypatch.setattr(FilteredRows, "ceilings", other_side)
    assert (too_much() > 0) == planted


def test_rivals_are_looked_for_no_farther_than_the_last_that_is_listed(planted, monkeypatch):
    """A farther row may be the first that overtakes."""

    def near_ones(probe, near, radii):
        return float(near.max())

    if planted:
        monkeypatch.setattr(rivals, "_reach", near_ones)
    assert (too_much() > 0) == planted
