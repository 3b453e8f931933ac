"""The filter of rows: its bound against exact products, its searches against all rows, and how it is kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filter_inputs import ROWS_AND_QUERIES
from hypothesis import given, settings

from retr.core.errors import IntegrityError
from retr.indexer import filter_file, filter_make, filtered, integer_products
from retr.indexer.filter_make import make_filter
from retr.indexer.filtered import FilteredRows
from retr.indexer.integer_products import integer_products as products
from retr.indexer.row_codes import ROW_CODES, CodedRows, decode
from retr.indexer.row_filter import RowFilter
from retr.indexer.vectors import RowStore, open_rows


def unit(rows) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def make_rows(count: int, dim: int, seed: int = 0, spread: float = 8.0) -> np.ndarray:
    """A mean, a falling spectrum, and near-duplicates."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, dim)) * np.exp(-np.arange(dim) / spread)
    rows[:, 0] += 1.0
    rows[1::7] = rows[::7][: len(rows[1::7])] + 1e-4 * rng.standard_normal((len(rows[1::7]), dim))
    return unit(rows)


def integers_of(made: RowFilter, query: np.ndarray) -> np.ndarray:
    return np.concatenate([block.copy() for _, block in made.integers([made.ask(query)])])[:, 0]


@settings(max_examples=40, deadline=None)
@given(**ROWS_AND_QUERIES)
def test_no_row_is_above_its_bound(count, dim, seed, spread, length):
    rows = make_rows(count, dim, seed, spread)
    rng = np.random.default_rng(seed)
    query = (length * unit(rng.standard_normal((1, dim)))[0]).astype(np.float32)
    made = make_filter(rows)
    asked = made.ask(query)
    exact = rows.astype(np.float64) @ query.astype(np.float64)
    found = integers_of(made, query)
    assert (exact <= [asked.bound(int(one)) for one in found]).all()
    for bound in (*exact[:5], 0.3):
        assert (exact[found < asked.least(float(bound))] < bound).all()


def test_nothing_is_claimed_of_queries_that_are_too_long():
    rows = make_rows(50, 20)
    for query in (np.full(20, 9.0), np.full(20, np.nan)):
        assert make_filter(rows).ask(query.astype(np.float32)).least(0.99) == np.iinfo(np.int32).min


def test_a_bound_without_a_number_passes_nothing_over():
    asked = make_filter(make_rows(50, 20)).ask(make_rows(1, 20, 3)[0])
    assert asked.least(float("nan")) == np.iinfo(np.int32).min
    assert asked.least(float("inf")) == np.iinfo(np.int32).max


@pytest.mark.parametrize("queries", [1, 2, 40])
@pytest.mark.parametrize("exact", [True, False], ids=["integers", "float32"])
@pytest.mark.parametrize("rows", [1, 100, 20_000])
def test_integers_are_exact_in_both_ways(monkeypatch, queries, exact, rows):
    if not exact:
        monkeypatch.setattr(integer_products, "_integers_are_exact", lambda *shape: False)
    rng = np.random.default_rng(0)
    codes, asked = (rng.choice([-127, 127, 1, 0], (n, 64)).astype(np.int8) for n in (rows, queries))
    found = np.concatenate([block.copy() for _, block in products(codes, asked)])
    assert np.array_equal(found, codes.astype(np.int64) @ asked.T.astype(np.int64))
    assert np.array_equal([start for start, _ in products(codes, asked)][:1], [0])


def test_a_product_that_saturates_is_not_used(monkeypatch):
    """As of processors that move one side to 0…255 and add pairs of products in 16 bits."""

    def saturated(rows, columns, out=None):
        moved, columns = rows[:, :, None].int() + 128, columns[None].int()
        pairs = moved[:, ::2] * columns[:, ::2] + moved[:, 1::2] * columns[:, 1::2]
        found = pairs.clamp(-(2**15), 2**15 - 1).sum(1) - 128 * columns.sum(1)
        return found.int() if out is None else out.copy_(found)

    integer_products._integers_are_exact.cache_clear()
    monkeypatch.setattr(torch, "_int_mm", saturated)
    codes = np.full((20, 64), 127, dtype=np.int8)
    [(_, found)] = products(codes, codes[:1])
    integer_products._integers_are_exact.cache_clear()
    assert (found == 64 * 127 * 127).all()


@pytest.fixture(scope="module")
def gallery() -> np.ndarray:
    return make_rows(6000, 120, spread=20.0)


@pytest.fixture(scope="module")
def made(gallery) -> RowFilter:
    return make_filter(gallery)


def near(gallery, count: int = 9) -> np.ndarray:
    rng = np.random.default_rng(5)
    return unit(gallery[rng.integers(0, len(gallery), count)] + 0.05 * rng.standard_normal((count, gallery.shape[1])))


@pytest.mark.parametrize("at_once", [1, 9])
@pytest.mark.parametrize("parts", [(6000,), (1000, 4900, 6000)], ids=["one part", "three parts"])
@pytest.mark.parametrize("pool", [2048, 64])
def test_what_is_found_is_what_all_rows_give(monkeypatch, gallery, at_once, parts, pool):
    monkeypatch.setattr(filtered, "POOL", pool)
    pieces = np.split(gallery, parts)[: len(parts)]
    filters = tuple(FilteredRows(piece, make_filter(piece)) for piece in pieces)
    found = RowStore(tuple(pieces), (0, *parts), 120, "cosine", filters)
    queries = near(gallery)
    for start in range(0, len(queries), at_once):
        some = queries[start : start + at_once]
        scores, ids = found.nearest(some, 200)
        for query, own, numbers in zip(some, scores, ids, strict=True):
            exact = gallery @ query
            assert np.allclose(own, np.sort(exact)[::-1][:200], atol=1e-6)
            assert np.allclose(exact[numbers], own, atol=1e-6)
            bound = float(own[150])
            within = found.within(query, bound)
            assert np.isin(np.flatnonzero(exact >= bound + 1e-6), within).all()
            assert (exact[within] >= bound - 1e-6).all()
            assert (np.diff(within) > 0).all()


@pytest.mark.parametrize("pool", [0, 64, 6000])
@pytest.mark.parametrize("at_once", [1, 9])
def test_what_a_row_may_be_is_never_less_than_what_it_is(monkeypatch, gallery, made, at_once, pool):
    """Whoever passes over rows by these bounds, of a query alone or of many, passes over none that is as near."""
    monkeypatch.setattr(filtered, "POOL", pool)
    found, queries = FilteredRows(gallery, replace(made, always=np.array([7, 4000]))), near(gallery)
    found.scan(queries[:at_once], pool)
    for query in queries[:at_once]:
        exact, told = gallery.astype(np.float64) @ query.astype(np.float64), []

        def near_enough(rows, most, exact=exact, told=told):
            assert (most >= exact[rows] - 1e-9).all()
            assert np.isinf(most[np.isin(rows, [7, 4000])]).all()
            told.append(len(rows))
            return most >= 0.5

        rows, products = found.scored(query, 0.2, near_enough)
        assert np.isin(np.flatnonzero(exact >= 0.5), rows).all()
        assert np.allclose(products, exact[rows], atol=1e-6)
        assert told[0] >= (exact >= 0.2).sum()


def test_more_rows_than_there_are_are_all_rows(gallery, made):
    found = FilteredRows(gallery, made)
    _, [ids] = found.nearest(near(gallery, 1), len(gallery))
    assert np.array_equal(np.sort(ids), np.arange(len(gallery)))
    assert len(found.within(near(gallery, 1)[0], -2.0)) == len(gallery)


def test_what_was_seen_is_kept_within_a_limit(monkeypatch, gallery, made):
    monkeypatch.setattr(filtered, "_KEPT", 3)
    monkeypatch.setattr(filtered, "_KEPT_OF_FEW", 0)
    found = FilteredRows(gallery, made)
    queries = near(gallery)
    for query in queries:
        found.nearest(query[None], 5)
    assert [found.recent.get(query) is not None for query in queries] == [False] * 6 + [True] * 3


def test_some_rows_of_a_store_keep_their_filter(gallery, made):
    store = RowStore((gallery,), (0, len(gallery)), 120, "cosine", (FilteredRows(gallery, made),))
    for kept in (np.arange(len(gallery)) % 3 > 0, np.arange(len(gallery)) < 4000):
        some = store.only(kept)
        assert all(one is not None for one in some.filtered)
        [query] = near(gallery, 1)
        _, [ids] = some.nearest(query[None], 10)
        exact = gallery[kept] @ query
        assert np.allclose(exact[ids], np.sort(exact)[::-1][:10], atol=1e-6)


def stored(tmp_path: Path, rows: np.ndarray, code: str = "float32") -> tuple[Path, str]:
    path = tmp_path / f"rows.{code}"
    path.write_bytes(ROW_CODES[code].encode(rows).tobytes())
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def opened(path: Path, digest: str, cache: Path | None, code: str = "float32") -> RowStore:
    return open_rows([(path, 6000)], dim=120, score="cosine", code=code, digests=[digest], cache=cache)


def filter_of(path: Path, digest: str, cache: Path) -> FilteredRows:
    [found] = opened(path, digest, cache).filtered
    assert found is not None, "there are rows enough for a filter"
    return found


@pytest.fixture
def small(monkeypatch) -> None:
    monkeypatch.setattr(filter_file, "LEAST", 100)


@pytest.mark.usefixtures("small")
def test_a_filter_is_made_once(monkeypatch, tmp_path, gallery):
    path, digest = stored(tmp_path, gallery)
    first = filter_of(path, digest, tmp_path / "cache")
    monkeypatch.setattr(filter_file, "make_filter", None)
    again = filter_of(path, digest, tmp_path / "cache")
    assert isinstance(again.codes.codes, np.memmap)
    assert np.array_equal(first.codes.codes, again.codes.codes)
    assert first.codes.rest == again.codes.rest


@pytest.mark.usefixtures("small")
def test_a_filter_that_was_damaged_is_made_anew(tmp_path, gallery):
    path, digest = stored(tmp_path, gallery)
    first = filter_of(path, digest, tmp_path / "cache")
    [kept] = (tmp_path / "cache" / "filters").iterdir()
    whole = kept.read_bytes()
    scale = whole.index(first.codes.scale.hex().encode())
    for place in (5, scale + 4, len(whole) // 2, len(whole) - 1, None):
        damaged = bytearray(whole if place is not None else whole[:100])
        if place is not None:
            damaged[place] ^= 1
        kept.write_bytes(damaged)
        again = filter_of(path, digest, tmp_path / "cache")
        assert np.array_equal(first.codes.codes, again.codes.codes)
        assert again.codes.scale == first.codes.scale
        assert len(kept.read_bytes()) == len(whole)


@pytest.mark.usefixtures("small")
def test_rows_that_are_not_what_the_snapshot_says_get_no_filter(tmp_path, gallery):
    path, _ = stored(tmp_path, gallery)
    with pytest.raises(IntegrityError, match="SHA-256"):
        opened(path, "0" * 64, tmp_path / "cache")


@pytest.mark.usefixtures("small")
def test_rows_of_no_length_are_refused_when_a_filter_is_made(tmp_path, gallery):
    rows = gallery.copy()
    rows[4321] = 0.0
    with pytest.raises(IntegrityError, match=r"row 4321 of .* has length 0"):
        opened(*stored(tmp_path, rows), tmp_path / "cache")


@pytest.mark.usefixtures("small")
def test_somebody_elses_filter_is_not_read(tmp_path, gallery):
    path, digest = stored(tmp_path, gallery)
    opened(path, digest, tmp_path / "cache")
    [kept] = (tmp_path / "cache" / "filters").iterdir()
    kept.chmod(0o666)
    opened(path, digest, tmp_path / "cache")
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("small")
def test_the_filters_that_were_used_longest_ago_go_first(monkeypatch, tmp_path, gallery):
    monkeypatch.setattr(filter_file, "MOST_BYTES", 1)
    opened(*stored(tmp_path, gallery), tmp_path / "cache")
    opened(*stored(tmp_path, gallery[::-1]), tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "filters").iterdir())) == 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("code", ["int8", "float16"])
def test_codes_are_decoded_where_they_are_looked_at(tmp_path, gallery, code):
    path, digest = stored(tmp_path, gallery, code)
    store = opened(path, digest, tmp_path / "cache", code)
    every = decode(np.fromfile(path, ROW_CODES[code].dtype).reshape(-1, 120), code, where="here")
    assert isinstance(store.parts[0], CodedRows)
    ids = np.array([5, 1, 5999])
    assert np.array_equal(store.take(ids), every[ids])
    [query] = near(gallery, 1)
    assert np.isin(np.argsort(-(every @ query))[:5], store.nearest(query[None], 20)[1]).all()
    assert isinstance(store.only(np.arange(6000) % 2 == 0).parts[0], CodedRows)


@pytest.mark.parametrize(("score", "cache"), [("cosine", None), ("euclidean", "cache")])
def test_no_filter_without_a_place_for_it_or_for_distances(monkeypatch, tmp_path, gallery, score, cache):
    monkeypatch.setattr(filter_file, "LEAST", 100)
    path, digest = stored(tmp_path, gallery)
    folder = None if cache is None else tmp_path / cache
    assert open_rows([(path, 6000)], dim=120, score=score, digests=[digest], cache=folder).filtered == (None,)


@pytest.mark.usefixtures("small")
def test_a_filter_is_made_of_the_very_bytes_that_were_hashed(monkeypatch, tmp_path, gallery):
    """Somebody writes while it is made: the rows were read once, so the filter is that of the rows with the digest."""
    path, digest = stored(tmp_path, gallery)

    def overwrite(*_):
        with path.open("r+b") as file:
            file.write(np.ascontiguousarray(gallery[::-1]).tobytes())

    monkeypatch.setattr(filter_make, "_CHUNK", len(gallery))
    expected = make_filter(gallery)
    monkeypatch.setattr(filter_file, "check_lengths", overwrite)
    assert np.array_equal(filter_of(path, digest, tmp_path / "cache").codes.codes, expected.codes)
