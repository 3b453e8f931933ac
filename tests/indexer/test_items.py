"""Items by the digest of their pixels: numbers, rows and names against a plain dictionary."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.core.errors import IntegrityError
from retr.indexer.items import NO_KEYS, Items, as_keys


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def column(names: list[str], cuts: int = 1) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(part.tolist(), pa.string()) for part in np.array_split(names, cuts)], pa.string())


def keys(names: list[str]):
    return np.array(names, dtype=NO_KEYS.dtype)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=30), st.integers(1, 3))
def test_items_are_those_of_a_dictionary(rows, cuts):
    names, live = [digest(number) for number, _ in rows], np.array([alive for _, alive in rows], dtype=np.bool_)
    items = Items.of(column(names, cuts), live)
    expected: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if live[row]:
            expected.setdefault(name, []).append(row)
    assert items.count == len(expected)
    assert items.live_rows == live.sum()
    assert items.groups.tolist() == [list(expected).index(n) if a else -1 for n, a in zip(names, live, strict=True)]
    assert [items.rows_of(number).tolist() for number in range(items.count)] == list(expected.values())
    every = np.arange(items.count)
    assert items.sizes(every).tolist() == [len(found) for found in expected.values()]
    assert items.first_rows(every).tolist() == [found[0] for found in expected.values()]
    assert items.keys(every).tolist() == [name.encode() for name in expected]
    asked = [digest(number) for number in range(8)]
    assert items.numbers(keys(asked)).tolist() == [list(expected).index(n) if n in expected else -1 for n in asked]
    assert [items.holds(name) for name in asked] == [name in expected for name in asked]


def test_names_that_begin_alike_are_told_apart():
    names = [digest(0)[:20] + digest(number)[20:] for number in range(5)]
    items = Items.of(column(names), np.array([True, False, True, True, True]))
    assert items.numbers(keys([names[3], names[1], names[0], digest(0)[:20] + "0" * 44])).tolist() == [2, -1, 0, -1]


@pytest.mark.parametrize("bad", ["", "ab", digest(0) + "0"])
def test_a_digest_that_is_none_is_refused(bad):
    with pytest.raises(IntegrityError, match="no SHA-256"):
        as_keys(column([digest(1), bad]))
