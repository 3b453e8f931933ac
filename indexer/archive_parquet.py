"""Parquet files with the bytes of images, in the layout of Hugging Face: a member is COLUMN/ROW, counted from 0.

A column of images is a struct with a field ``bytes``, or bytes under one of a few names.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import ImageRejected
from .archive_kind import Kind, Member
from .places import opened, place_stamp

NAMES = frozenset({"image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp"})
"""Columns of bytes that hold images."""
_GROUP = 2**31
"""Bytes of images that one row group may hold: it is read as a whole."""
_KEPT = 3
_LOCK = threading.Lock()


def scan(file: BinaryIO) -> Iterator[Member | tuple[str, ImageRejected]]:
    """The rows of all columns of images, column by column."""
    with pq.ParquetFile(file) as table:
        columns = _columns(table.schema_arrow)
        if not columns:
            detail = f"no column of images: {', '.join(table.schema_arrow.names)[:200]}"
            raise ImageRejected(stage="read", reason="damaged-archive", detail=detail)
        counts = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
        for column, name in columns:
            yield from _rows(counts, column, name)


def _rows(counts: list[int], column: int, name: str) -> Iterator[Member]:
    number = 0
    for group, rows in enumerate(counts):
        for row in range(rows):
            yield Member(f"{name}/{number}", None, (column, group, row))
            number += 1


def _columns(schema: pa.Schema) -> list[tuple[int, str]]:
    """(place, name) of the columns that hold images."""
    return [(place, field.name) for place, field in enumerate(schema) if _holds_images(field)]


def _holds_images(field: pa.Field) -> bool:
    kind = field.type
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_bytes(kind.field(place).type)
    return _is_bytes(kind) and field.name.lower() in NAMES


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def read(archive: str, member: Member, most: int) -> bytes:
    """The bytes of a row.

    Raises:
        ImageRejected: the row holds none, or too many.
    """
    column, group, row = member.where
    cell = _group(archive, column, group)[row]
    value = cell.get("bytes") if cell.is_valid and isinstance(cell, pa.StructScalar) else cell
    size = len(value.as_buffer()) if value is not None and value.is_valid and hasattr(value, "as_buffer") else None
    if value is None or size is None:
        raise ImageRejected(stage="read", reason="not-found", detail="the row holds no bytes of an image")
    if size > most:
        detail = f"{size} bytes; the policy allows {most}"
        raise ImageRejected(stage="limits", reason="too-many-bytes", detail=detail, byte_count=size)
    return value.as_py()


def _group(archive: str, column: int, group: int) -> pa.ChunkedArray:
    stamp = place_stamp(archive)
    with _LOCK:  # one thread reads a row group, the others wait for it
        return _read_group(archive, stamp, column, group)


@lru_cache(maxsize=_KEPT)
def _read_group(archive: str, stamp: tuple[int, int] | None, column: int, group: int) -> pa.ChunkedArray:  # noqa: ARG001
    with opened(archive) as file, pq.ParquetFile(file) as table:
        name = table.schema_arrow.field(column).name
        facts = table.metadata.row_group(group)
        size = sum(
            facts.column(place).total_uncompressed_size
            for place in range(facts.num_columns)
            if facts.column(place).path_in_schema.split(".")[0] == name
        )
        if size > _GROUP:
            raise ValueError(f"row group {group} holds {size} bytes of images; write it with fewer rows in a group")
        return table.read_row_group(group, columns=[name], use_threads=False).column(0)


KIND = Kind(scan, read, (pa.ArrowException, KeyError, IndexError))
