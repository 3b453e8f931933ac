"""Rows over several segments: what the float32 search proposes, against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from retr.core.errors import IntegrityError, UsageError
from retr.indexer.vectors import choose_gpu, gpu_available, open_rows

SIZES = (7, 0, 12, 1)


@pytest.fixture(params=["cosine", "euclidean"])
def stored(request, tmp_path):
    """Integer rows, so that float32 products are exact; the second segment is empty, and row 3 comes twice."""
    rng = np.random.default_rng(0)
    rows = rng.integers(-4, 5, (sum(SIZES), 6)).astype("<f4")
    rows[15] = rows[3]
    files, start = [], 0
    for number, size in enumerate(SIZES):
        file = tmp_path / f"rows-{number}.f32"
        file.write_bytes(rows[start : start + size].tobytes())
        files.append((file, size))
        start += size
    return open_rows(files, dim=6, score=request.param), rows


def truth(rows, query, score):
    """Per row: what is better when smaller."""
    return -(rows @ query) if score == "cosine" else ((rows - query) ** 2).sum(1)


def test_rows_are_mapped_not_copied(stored):
    store, rows = stored
    assert store.rows == 20
    assert all(isinstance(part, np.memmap) for part, size in zip(store.parts, SIZES, strict=True) if size)
    ids = np.array([19, 0, 7, 6, 7])
    np.testing.assert_array_equal(store.take(ids), rows[ids])
    assert store.take(np.empty(0, dtype=np.int64)).shape == (0, 6)


@pytest.mark.parametrize("count", [1, 5, 20, 100])
def test_nearest_is_brute_force_over_all_segments(stored, count):
    store, rows = stored
    queries = np.random.default_rng(1).integers(-4, 5, (3, 6)).astype(np.float32)
    scores, ids = store.nearest(queries, count)
    assert ids.shape == scores.shape == (3, min(count, 20))
    for query, found, score in zip(queries, ids, scores, strict=True):
        costs = truth(rows, query, store.score)
        assert len(set(found.tolist())) == len(found)
        np.testing.assert_array_equal(costs[found], np.sort(costs)[: len(found)])
        np.testing.assert_array_equal(-score if store.score == "cosine" else score, costs[found])


def test_within_holds_every_row_up_to_the_bound_and_on_it(stored):
    store, rows = stored
    query = np.array([1, -2, 3, 0, 2, -1], dtype=np.float32)
    costs = truth(rows, query, store.score)
    for cost in np.unique(costs):  # each bound is the score of some row: those rows must be found
        bound = -cost if store.score == "cosine" else cost
        np.testing.assert_array_equal(store.within(query, float(bound)), np.flatnonzero(costs <= cost))
    beyond = costs.min() - 1
    assert store.within(query, float(-beyond if store.score == "cosine" else beyond)).size == 0


def test_files_that_do_not_hold_the_rows(tmp_path):
    file = tmp_path / "rows.f32"
    file.write_bytes(bytes(4 * 6 * 3 - 1))
    with pytest.raises(IntegrityError, match="71 bytes"):
        open_rows([(file, 3)], dim=6, score="cosine")
    with pytest.raises(IntegrityError, match="cannot be read"):
        open_rows([(tmp_path / "none.f32", 3)], dim=6, score="cosine")


def test_devices():
    assert choose_gpu("cpu") is False
    assert choose_gpu("auto") is gpu_available()
    with pytest.raises(UsageError, match="choose auto, cpu or cuda"):
        choose_gpu("tpu")
    if not gpu_available():
        with pytest.raises(UsageError, match="sees no GPU"):
            choose_gpu("cuda")
