"""Catalogs that are mapped from the user's cache say what the index says, or are not read."""

from __future__ import annotations

import hashlib
import json
import os
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from retr.indexer import catalog_cache
from retr.indexer.catalog import ROW_SCHEMA
from retr.indexer.catalog_cache import keep, mapped
from retr.indexer.items import Items, Names

ROWS = 50
DIGEST = hashlib.sha256(b"parquet").hexdigest()


def kept(table: pa.Table, cache: Path, content: bytes = b"parquet") -> None:
    path = cache / "catalog.parquet"
    path.write_bytes(content)
    keep(table, DIGEST, cache, path=path)


@pytest.fixture
def table(monkeypatch) -> pa.Table:
    monkeypatch.setattr(catalog_cache, "LEAST", 10)
    row = {field.name: 1 if pa.types.is_integer(field.type) else "x" for field in ROW_SCHEMA}
    return pa.Table.from_pylist([{**row, "id": str(number)} for number in range(ROWS)], schema=ROW_SCHEMA)


def test_what_was_kept_is_mapped(table, tmp_path):
    kept(table, tmp_path)
    before = pa.total_allocated_bytes()
    found = mapped(DIGEST, ROWS, ROW_SCHEMA, tmp_path)
    assert found is not None
    assert found.equals(table)
    assert pa.total_allocated_bytes() == before


@pytest.mark.parametrize("what", ["another digest", "another number", "another schema", "no cache", "nobody's"])
def test_what_is_not_the_same_is_not_read(table, tmp_path, what):
    kept(table, tmp_path)
    digest, rows, schema, folder = DIGEST, ROWS, ROW_SCHEMA, tmp_path
    if what == "another digest":
        digest = "e"
    elif what == "another number":
        rows = ROWS + 1
    elif what == "another schema":
        schema = pa.schema([pa.field("id", pa.string())])
    elif what == "no cache":
        folder = None
    else:
        (tmp_path / "catalogs").chmod(0o777)
    assert mapped(digest, rows, schema, folder) is None


@pytest.mark.parametrize("damage", ["a byte", "cut", "note", "written again"])
def test_a_file_that_was_touched_is_not_read(table, tmp_path, damage):
    kept(table, tmp_path)
    [path] = (tmp_path / "catalogs").glob("*.arrow")
    data = bytearray(path.read_bytes())
    if damage == "a byte":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        os.truncate(path, len(data) // 2)
    elif damage == "note":
        path.with_suffix(".json").write_text("{}")
    else:
        path.write_bytes(data)
        os.utime(path, ns=(path.stat().st_atime_ns, json.loads(path.with_suffix(".json").read_text())[3]))
    assert mapped(DIGEST, ROWS, ROW_SCHEMA, tmp_path) is None
    kept(table, tmp_path)
    assert mapped(DIGEST, ROWS, ROW_SCHEMA, tmp_path) is not None


def test_what_another_file_held_is_not_kept(table, tmp_path):
    kept(table, tmp_path, b"changed since")
    assert mapped(DIGEST, ROWS, ROW_SCHEMA, tmp_path) is None


def test_small_ones_are_not_kept(table, tmp_path):
    kept(table.slice(0, 5), tmp_path)
    assert not (tmp_path / "catalogs").exists()


@pytest.mark.parametrize("cuts", [(), (1,), (7, 7, 30)])
def test_names_are_the_same_in_however_many_chunks(cuts):
    digests = [f"{number % 20:064x}" for number in range(ROWS)]
    edges = [0, *cuts, ROWS]
    column = pa.chunked_array([pa.array(digests[a:b], pa.string()) for a, b in pairwise(edges)])
    names = Names.of(column)
    some = pa.array([3, 49, 7, 0, 8]).to_numpy()
    assert [name.decode() for name in names.take(some)] == [digests[number] for number in some]
    items = Items.of(column, pa.array([True] * ROWS).to_numpy(zero_copy_only=False))
    assert items.groups.tolist() == [number % 20 for number in range(ROWS)]
