"""The catalog: what each stored row is, and what was refused, as Parquet tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import IntegrityError
from ..core.files import sha256_bytes

BLANK = "blank"
"""View of the one row of an image that has no direction: it is found by its pixels, and no part of what is searched."""

ROW_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes_sha256", pa.string(), nullable=False),
        pa.field("pixels_sha256", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("view", pa.string(), nullable=False),
        pa.field("duplicate_of", pa.string()),
    ]
)

REJECT_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("bytes", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One stored row: one view of one file. Items with equal ``pixels_sha256`` are one item to the search."""

    id: str
    path: str
    bytes_sha256: str
    pixels_sha256: str
    bytes: int
    mtime_ns: int
    width: int
    height: int
    format: str
    view: str
    duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class RejectRow:
    """One refused input: stage (read, identify, limits, decode, embed), reason name, sentence, size."""

    path: str
    stage: str
    error: str
    detail: str
    bytes: int | None


def item_id(path: str, bytes_sha256: str) -> str:
    """16 hex digits naming one content at one path; stable across runs and machines with the same paths."""
    return sha256_bytes(f"{path}\0{bytes_sha256}".encode())[:16]


def mark_duplicates(rows: Sequence[Mapping[str, Any]], known: Mapping[str, str]) -> list[dict[str, Any]]:
    """Fill ``duplicate_of``: the first item, stored before or in these rows, that has the same pixels.

    Args:
        rows: catalog rows as dicts, in row order.
        known: pixels_sha256 → id of the first live item that is already stored.
    """
    first = dict(known)
    marked = []
    for row in rows:
        original = first.setdefault(row["pixels_sha256"], row["id"])
        marked.append({**row, "duplicate_of": None if original == row["id"] else original})
    return marked


def catalog_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Catalog rows (dicts with the fields of CatalogRow) in columns."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=ROW_SCHEMA)


def write_catalog(path: Path, rows: pa.Table) -> None:
    """Write catalog rows as Parquet."""
    pq.write_table(rows, path, compression="zstd")


def write_rejects(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write reject rows (dicts with the fields of RejectRow) as Parquet."""
    pq.write_table(pa.Table.from_pylist([dict(r) for r in rows], schema=REJECT_SCHEMA), path, compression="zstd")


def read_catalog(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a segment's catalog, all columns or some."""
    with pq.ParquetFile(path, memory_map=True) as file:
        return file.read(columns=list(columns) if columns else None)


def read_rejects(path: Path) -> pa.Table:
    """Read a segment's rejects.

    Raises:
        IntegrityError: the file is missing or damaged.
    """
    try:
        return pq.read_table(path, memory_map=True)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error


def reject_key(row: Mapping[str, Any]) -> tuple[str, str, int | None]:
    """What makes two rejects the same: they are listed once."""
    return row["path"], row["error"], row["bytes"]


def content_is_gone(reject: Mapping[str, Any]) -> bool:
    """Whether a reject tells that the file holds something else now than the image that was stored of it."""
    if reject["stage"] == "read":
        return reject["error"] == "not-a-regular-file"
    return reject["error"] not in _KEEPS_CONTENT


_KEEPS_CONTENT = frozenset({"needs-heif-extra", "out-of-memory"})
"""They say nothing about the file, as others of stage ``read`` do not: what was stored of it stays."""


def as_dict(row: CatalogRow | RejectRow) -> dict[str, Any]:
    """The row as a plain dict in field order."""
    return {one.name: getattr(row, one.name) for one in fields(row)}  # all of them are plain
