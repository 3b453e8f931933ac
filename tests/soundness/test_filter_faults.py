"""Faults of the filter of rows (THEORY §6.4): each makes it pass over a row that matters, and is seen to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plain
import pytest

from retr.indexer import filter_make
from retr.indexer.filter_make import make_filter
from retr.indexer.filtered import FilteredRows
from retr.indexer.vectors import Float32, RowStore
from retr.retrieval import rivals
from retr.retrieval.channel import Channel, Float64

DIM = 96
"""More than the 56 directions of the narrowest filter: something is left of every row."""


def make_rows(count: int = 400, seed: int = 0) -> Float32:
    """Unit rows around a mean, in clusters, most of them in few directions."""
    rng = np.random.default_rng(seed)
    sizes = np.concatenate([np.full(40, 1.0), np.full(DIM - 40, 0.35)])
    centres = rng.standard_normal((count // 8, DIM)) * sizes
    rows = centres.repeat(8, axis=0) + 0.4 * rng.standard_normal((count, DIM)) * sizes
    rows[:, 0] += 3.0
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def make_queries(rows: Float32, count: int = 40) -> Float32:
    rng = np.random.default_rng(1)
    found = rows[rng.integers(0, len(rows), count)] + 0.03 * rng.standard_normal((count, rows.shape[1]))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def missed(found: FilteredRows, rows: Float32) -> int:
    """How many times a row was passed over that is as near as was asked for."""
    count = 0
    for query in make_queries(rows):
        exact = rows.astype(np.float64) @ query.astype(np.float64)
        for row in np.argsort(-exact)[:60]:
            count += row not in found.within(query, float(exact[row]) - 1e-6)
    return count


@pytest.fixture
def narrow(monkeypatch) -> None:
    """Filters of the narrowest width, which leave most to their bounds."""
    monkeypatch.setattr(filter_make, "WIDTHS", (64,))


def without_lost(*arguments):
    whole, rest, lost = TAKEN(*arguments)
    return whole, rest, np.zeros_like(lost)


TAKEN = filter_make._taken_apart


@pytest.mark.usefixtures("narrow")
def test_what_8_bits_lose_is_dropped(planted, monkeypatch):
    """Where all directions are kept nothing else is left: d = 40 of at most 56."""
    rows = np.ascontiguousarray(make_rows()[:, :40])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if planted:
        monkeypatch.setattr(filter_make, "_taken_apart", without_lost)
    made = make_filter(rows)
    if planted:
        made = replace(made, longest=1e-9)
    assert (missed(FilteredRows(rows, made), rows) > 0) == planted


@pytest.mark.usefixtures("narrow")
def test_what_is_left_is_taken_for_the_root_of_one_less_a_square(planted, monkeypatch):
    """‖r‖ = √(1 − ‖w‖²) for unit rows and orthonormal P: of centred rows and codes it is neither."""

    def by_pythagoras(chunk, centre, turn, scale):
        whole, _, lost = TAKEN(chunk, centre, turn, scale)
        kept = np.square(centre + (scale * whole) @ turn).sum(axis=1)
        return whole, np.sqrt(np.maximum(0.0, 1.0 - np.minimum(1.0, 1.6 * kept))), lost

    rows = make_rows()
    if planted:
        monkeypatch.setattr(filter_make, "_taken_apart", by_pythagoras)
    assert (missed(FilteredRows(rows, make_filter(rows)), rows) > 0) == planted


@pytest.mark.usefixtures("narrow")
def test_bounds_rounded_to_nearest(planted, monkeypatch):
    """Audited by the bound itself: a step is small, and a row that loses half of one is seldom near."""

    def nearest(values, step):
        return np.rint(values / step).astype(np.int8)

    if planted:
        monkeypatch.setattr(filter_make, "_ceilings", nearest)
    rows = make_rows()
    made = make_filter(rows)
    first, steps = len(made.turn), made.codes.astype(np.float64)
    left = rows.astype(np.float64) - made.centre - made.scale * steps[:, :first] @ made.turn
    short = made.rest * steps[:, first] < np.linalg.norm(left, axis=1)
    assert short.any() == planted


@pytest.mark.usefixtures("narrow")
def test_codes_of_other_rows(planted):
    """An older snapshot's: the same pictures, embedded anew by a model that differs a little."""
    rows = make_rows()
    older = rows + 0.05 * np.random.default_rng(2).standard_normal(rows.shape).astype(np.float32)
    older /= np.linalg.norm(older, axis=1, keepdims=True)
    assert (missed(FilteredRows(rows, make_filter(older if planted else rows)), rows) > 0) == planted


@pytest.mark.usefixtures("narrow")
def test_centred_rows_with_a_query_that_is_not(planted):
    rows = make_rows()
    made = make_filter(rows)
    if planted:
        made = replace(made, centre=np.zeros(DIM))
    assert (missed(FilteredRows(rows, made), rows) > 0) == planted


def first_alone(channel: Channel, z: Float64, _: float) -> float:
    """What cannot come first is passed over, however far was asked for."""
    return float((channel.store.parts[0] @ channel.query32(z)).max()) - 1e-6


@pytest.mark.usefixtures("narrow")
def test_rows_passed_over_because_they_cannot_be_first(planted, monkeypatch):
    """The rival that limits a radius is never first: without it the radius grows."""
    rows = make_rows(800)
    channel = plain.make_channel(rows, threshold=0.97)
    made = FilteredRows(channel.store.parts[0], make_filter(channel.store.parts[0]))
    other = replace(channel, store=replace(channel.store, filtered=(made,)))
    queries = [2.0 * query.astype(np.float64) for query in make_queries(rows)]
    theirs = [plain.rank(channel, z, k=1, first=2) for z in queries]
    if planted:
        monkeypatch.setattr(rivals, "search_bound", first_alone)
    assert ([plain.rank(other, z, k=1, first=2) for z in queries] != theirs) == planted


def test_products_of_unit_rows_for_euclidean_scores(planted):
    """Long rows are near by their products and far by their distance; so a Euclidean store is given no filter."""
    rng = np.random.default_rng(0)
    rows = make_rows() * rng.uniform(0.4, 1.9, (400, 1)).astype(np.float32)
    store = RowStore((rows,), (0, len(rows)), DIM, "euclidean")
    if planted:
        store = replace(store, filtered=(FilteredRows(rows, make_filter(rows)),))
    wrong = 0
    for query in make_queries(rows):
        exact = np.square(rows.astype(np.float64) - query).sum(axis=1)
        wrong += int(np.argmin(exact)) not in store.nearest(query[None], 5)[1]
    assert (wrong > 0) == planted


@pytest.mark.usefixtures("narrow")
def test_rows_without_numbers_passed_over_in_silence(planted):
    """No bound is known of a row of NaN: it is always among those that are looked at."""
    rows = make_rows()
    rows[17] = np.nan
    made = make_filter(rows)
    if planted:
        made = replace(made, always=made.always[:0])
    found = FilteredRows(rows, made)
    assert all((17 in found.nearest(query[None], 3)[1]) != planted for query in make_queries(rows, 5))
