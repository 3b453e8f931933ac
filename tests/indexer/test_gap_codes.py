"""Pairs found by products of integers: no bound is below an exact product, and gaps are those of all pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from filter_inputs import ROWS_AND_QUERIES
from hypothesis import given, settings

from retr.indexer import filter_make, gap_blocks, gap_codes, gap_pairs, gap_scan, neighbours, row_questions
from retr.indexer.filter_make import make_filter
from retr.indexer.filtered import FilteredRows
from retr.indexer.gallery import Gallery
from retr.indexer.gap_codes import codes_of, reach_of
from retr.indexer.gap_update import measure_gaps
from retr.indexer.gaps import Gaps
from retr.indexer.integer_products import integer_products
from retr.indexer.integrity import ContentCheck
from retr.indexer.items import Items
from retr.indexer.neighbours import Others, measure_near
from retr.indexer.reference import Reference, encode
from retr.indexer.row_questions import ask_all
from retr.indexer.snapshot import SegmentInfo, Snapshot
from retr.indexer.vectors import RowStore


def unit(rows) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def make_rows(count: int, dim: int, *, seed: int = 0, spread: float = 8.0, apart: float = 1.0) -> np.ndarray:
    """A mean, a falling spectrum; clusters of five ``apart`` from their middles, 1 for none."""
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((-(-count // 5), dim)) * np.exp(-np.arange(dim) / spread)
    middles[:, 0] += 0.5
    noise = rng.standard_normal((count, dim)) * np.exp(-np.arange(dim) / spread)
    return unit((1.0 - apart) * np.repeat(middles, 5, axis=0)[:count] + apart * noise)


@settings(max_examples=40, deadline=None)
@given(**ROWS_AND_QUERIES)
def test_no_row_is_above_the_bound_of_any_of_many_queries(count, dim, seed, spread, length):
    rows = make_rows(count, dim, seed=seed, spread=spread)
    queries = (length * unit(np.random.default_rng(seed).standard_normal((5, dim)))).astype(np.float32)
    queries[0] = rows[0]
    made = make_filter(rows)
    asked = ask_all(made, queries)
    exact = rows.astype(np.float64) @ queries.astype(np.float64).T
    found = np.concatenate([block.copy() for _, block in integer_products(made.codes, asked.codes)])
    assert (exact <= asked.base + asked.unit * found * np.where(found > 0, 1 + 1e-12, 1 - 1e-12) + 1e-8).all()
    for bounds in (exact.min(axis=0), exact.max(axis=0), np.full(5, 0.3)):
        assert (exact < bounds)[found < asked.least(bounds)].all()


def test_what_lies_outside_of_the_turned_numbers_is_in_the_bound(monkeypatch: pytest.MonkeyPatch):
    """Rows of which 64 numbers of 100 leave much: without the norms of the rest, the bound would lie below products."""
    monkeypatch.setattr(filter_make, "WIDTHS", (64,))
    rows, queries = make_rows(200, 100, spread=200.0), make_rows(40, 100, seed=1, spread=200.0)
    queries[:20] = rows[:20]
    made, exact = make_filter(rows), rows.astype(np.float64) @ queries.astype(np.float64).T
    assert made.turn.shape[0] < 64
    for told, holds in ((made, True), (replace(made, rest=1e-12), False)):
        asked = ask_all(told, queries)
        found = np.concatenate([block.copy() for _, block in integer_products(made.codes, asked.codes)])
        assert (exact <= asked.base + asked.unit * found + 1e-8).all() == holds


def test_many_queries_are_asked_as_one_by_one():
    rows, queries = make_rows(200, 100), make_rows(9, 100, seed=1)
    made = make_filter(rows)
    asked = ask_all(made, queries)
    for place, query in enumerate(queries):
        one = made.ask(query)
        assert np.abs(one.code.astype(int) - asked.codes[place]).max() <= 1
        assert asked.base[place] == pytest.approx(one.base, rel=1e-9)
        assert asked.unit[place] == pytest.approx(one.unit, rel=1e-9)


def test_nothing_is_claimed_of_queries_that_are_too_long_or_bounds_that_are_no_numbers():
    least, most = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    asked = ask_all(make_filter(make_rows(50, 20)), np.array([[9.0] * 20, [np.nan] * 20, [0.2] * 20], np.float32))
    assert asked.least(np.full(3, 0.99))[:2].tolist() == [least, least]
    assert asked.least(np.full(3, np.nan)).tolist() == [least] * 3
    assert asked.least(np.full(3, np.inf))[2] == most
    assert asked.least(np.full(3, -np.inf))[2] == least


def test_rows_of_which_no_bound_is_known_are_never_passed_over():
    rows = make_rows(300, 30)
    made = replace(make_filter(rows), always=np.array([7, 9]))
    found = reach_of(made, Others.of(rows, "cosine"), rows[:20], np.full(20, 0.9999, np.float32))
    assert found is not None
    for row in range(20):
        assert {7, 9} <= set(found.right[found.left == row].tolist())


@pytest.mark.parametrize("apart", [1.0, 0.2, 0.01])
def test_what_is_within_reach_is_found_and_the_nearest_of_it(apart: float, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gap_codes, "DEAR", 1)
    rows = make_rows(700, 60, apart=apart)
    own, others = rows[:90], Others.of(rows, "cosine")
    codes = codes_of(others)
    assert codes is not None
    products = others.nearness(own)
    least = np.quantile(products, 0.97, axis=1).astype(np.float32)
    found = reach_of(codes, others, own, least)
    assert found is not None
    held = np.zeros(products.shape, dtype=bool)
    held[found.left, found.right] = True
    assert held[products >= least[:, None] + others.slack(own)].all()
    found = found.take(found.left != found.right)
    near = found.nearest(least)
    np.fill_diagonal(products, -1.0)
    best = products.max(axis=1)
    for row in np.flatnonzero(best > least + others.slack(own)):
        assert products[row].argmax() in near.right[near.left == row]
    assert len(near.left) < len(found.left) or apart < 0.1


def test_a_crowd_is_compared_as_a_whole():
    rows = make_rows(400, 30, apart=0.0001)[:5].repeat(80, axis=0)
    others = Others.of(rows, "cosine")
    codes = codes_of(others)
    assert codes is not None
    assert reach_of(codes, others, rows[:20], np.full(20, 0.5, np.float32)) is None


def test_no_codes_are_made_of_distances_or_of_long_rows():
    rows = make_rows(50, 20)
    assert codes_of(Others.of(rows, "euclidean")) is None
    assert codes_of(Others.of(7 * rows, "cosine")) is None


def reference(seed: int, dim: int, **given) -> Reference:
    codes = encode(make_rows(60, dim, seed=seed), "cosine")
    kind = (np.arange(60) % 2).astype(np.uint8)
    bare = Reference("m", "d" * 64, "cosine", codes, kind, np.zeros(60, "f4"), ("photograph", "page"))
    return replace(bare, near=measure_near(bare.rows(), "cosine"), farthest=1.2, share=0.6, **given)


UNKNOWN = [(name, getattr(Gaps.unknown(1), name)[0]) for name in Gaps.__slots__]


def gallery_of(channels: list[np.ndarray], views: int, *, filtered: bool = False) -> Gallery:
    """Items of so many rows each, the first of them unedited; ``filtered`` as large segments are."""
    count = len(channels[0])
    digests = [f"{row // views * 0x9E3779B97F4A7C15 % 2**64:016x}".ljust(64, "0") for row in range(count)]
    stores = tuple(
        RowStore((rows,), (0, count), rows.shape[1], "cosine", (FilteredRows(rows, make_filter(rows)),) * filtered)
        for rows in channels
    )
    names = (["original"] + [f"v{n}" for n in range(1, views)]) * (count // views)
    catalog = pa.table({"view": names, "pixels_sha256": digests})
    live = np.ones(count, dtype=np.bool_)
    live[11] = False
    table, check = Items.of(catalog["pixels_sha256"], live), ContentCheck(0, 0, 0, 0, None, (), 0)
    segments = (SegmentInfo(f"{1:016x}", count, 1, 0, {}),)
    return Gallery(Snapshot({}, "", "none", (), segments), catalog, stores, live, np.zeros(0, "i8"), table, check)


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("apart", [1.0, 0.3, 0.02], ids=["random", "near", "crowded"])
def test_gaps_are_those_of_a_scan_of_all_pairs(apart: float, views: int, monkeypatch: pytest.MonkeyPatch):
    gallery = gallery_of([make_rows(900, dim, seed=dim, apart=apart) for dim in (40, 90)], views)
    references = [reference(1, 40, votes=9.0, sheet=0.2), reference(2, 90, sheet=0.3, discerns=False)]
    whole = measure_gaps(gallery, references)
    asked = []
    monkeypatch.setattr(gap_scan, "_WORTH", 1)
    monkeypatch.setattr(gap_scan, "TOGETHER", 64)
    monkeypatch.setattr(gap_codes, "DEAR", 1)
    monkeypatch.setattr(gap_codes, "ask_all", lambda *given: asked.append(1) or row_questions.ask_all(*given))
    for one, other in zip(whole, measure_gaps(gallery, references), strict=True):
        assert all((getattr(one, name) == getattr(other, name)).all() for name in Gaps.__slots__)
    assert asked
    items = [(one.limit != b"") & ~np.char.startswith(one.limit, b"kind:") for one in whole]
    assert all(each.any() for each in items)


def test_few_rows_meet_many_others_where_these_are_stored(monkeypatch: pytest.MonkeyPatch):
    """To add an image to a large index reads its rows in parts, and never all of them at once."""
    gallery = gallery_of([make_rows(900, dim, seed=dim, apart=0.1) for dim in (40, 90)], 3)
    references = [reference(1, 40, votes=9.0, sheet=0.2), reference(2, 90, sheet=0.3, discerns=False)]
    whole = measure_gaps(gallery, references)
    before = tuple(
        replace(one, **{name: np.where(np.arange(900) < 12, blank, getattr(one, name)) for name, blank in UNKNOWN})
        for one in whole
    )
    most, take = [], RowStore.take
    monkeypatch.setattr(RowStore, "take", lambda self, ids: most.append(len(ids)) or take(self, ids))
    monkeypatch.setattr(gap_scan, "_WORTH", 100)
    monkeypatch.setattr(gap_blocks, "_ROWS", 128)
    for module in (gap_scan, gap_pairs):
        monkeypatch.setattr(module, "PART", 64)
    for one, other in zip(whole, measure_gaps(gallery, references, before), strict=True):
        assert all((getattr(one, name) == getattr(other, name)).all() for name in Gaps.__slots__)
    assert max(most) <= 128  # of 900, 300 of them unedited


@pytest.mark.parametrize("dear", [1, 10**9], ids=["codes", "products"])
def test_which_of_near_duplicates_is_nearest_is_left_to_float64(dear: int, monkeypatch: pytest.MonkeyPatch):
    gallery = gallery_of([make_rows(900, 40, seed=1)], 1)
    rows = gallery.stores[0].parts[0]
    rows[:300] = unit(rows[0] + 2e-5 * np.random.default_rng(0).standard_normal((300, 40)))
    references = [reference(1, 40, certain=1e-7)]
    whole = measure_gaps(gallery, references)
    monkeypatch.setattr(gap_scan, "_WORTH", 1)
    monkeypatch.setattr(gap_codes, "DEAR", dear)
    right = measure_gaps(gallery, references)
    monkeypatch.setattr(Others, "slack", lambda self, own: 0.0)
    planted = measure_gaps(gallery, references)
    assert (right[0].gap == whole[0].gap).all()
    assert (planted[0].gap != whole[0].gap).any()


def test_a_crowd_is_measured_in_smaller_blocks(monkeypatch: pytest.MonkeyPatch):
    gallery = gallery_of([make_rows(900, 40, seed=1, apart=0.02)], 3)
    references = [reference(1, 40, certain=1e-6)]
    whole, sizes = measure_gaps(gallery, references), []
    measure = gap_pairs.Scan.measure
    monkeypatch.setattr(
        gap_pairs.Scan, "measure", lambda self, block: sizes.append(len(block.rows)) or measure(self, block)
    )
    monkeypatch.setattr(gap_scan, "_WORTH", 1)
    monkeypatch.setattr(gap_codes, "MOST", 5)
    monkeypatch.setattr(neighbours, "BLOCK", 30 * 300)
    monkeypatch.setattr(gap_scan, "BLOCK", 90 * 128)
    monkeypatch.setattr(gap_scan, "TOGETHER", 128)
    [found] = measure_gaps(gallery, references)
    assert all((getattr(found, name) == getattr(whole[0], name)).all() for name in Gaps.__slots__)
    assert max(sizes) > 90
    assert sum(size for size in sizes if size <= 30) >= sum(size for size in sizes if size > 30)


def test_rows_that_have_a_filter_need_no_other(monkeypatch: pytest.MonkeyPatch):
    rows = [make_rows(600, 40, seed=3, apart=0.1)]
    references = [reference(1, 40)]
    whole = measure_gaps(gallery_of(rows, 3), references)
    monkeypatch.setattr(gap_scan, "_WORTH", 1)
    monkeypatch.setattr(gap_codes, "DEAR", 1)
    gallery = gallery_of(rows, 3, filtered=True)
    [own] = gallery.stores[0].filtered
    assert own is not None
    always = np.array([12, 30])
    codes = own.codes.codes.copy()
    codes[always] = -127  # of such rows nothing is known
    dropped = replace(own.codes, always=always, codes=codes)
    store = replace(gallery.stores[0], filtered=(FilteredRows(own.rows, dropped),))
    monkeypatch.setattr(gap_codes, "make_filter", None)
    for each in (gallery, replace(gallery, stores=(store,))):
        for one, other in zip(whole, measure_gaps(each, references), strict=True):
            assert all((getattr(one, name) == getattr(other, name)).all() for name in Gaps.__slots__)


def test_a_filter_that_forgets_what_8_bits_lose_is_caught(monkeypatch: pytest.MonkeyPatch):
    """Planted: the gaps of a crowd come out wrong where bounds leave out what codes lose."""
    gallery = gallery_of([make_rows(900, 40, apart=0.02)], 1)
    references = [reference(1, 40, certain=1e-6)]
    whole = measure_gaps(gallery, references)

    def taken_apart(*given):
        codes, rest, lost = right(*given)
        return codes, 0.0 * rest, 0.0 * lost

    right = filter_make._taken_apart
    monkeypatch.setattr(filter_make, "_taken_apart", taken_apart)
    monkeypatch.setattr(filter_make, "WIDTHS", (16,))
    monkeypatch.setattr(gap_scan, "_WORTH", 1)
    monkeypatch.setattr(gap_codes, "DEAR", 1)
    assert (measure_gaps(gallery, references)[0].gap != whole[0].gap).any()
