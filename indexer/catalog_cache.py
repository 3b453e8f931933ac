"""Catalogs of large segments as they are used: columns that are mapped from the user's cache, and take no memory.

A catalog is stored as Parquet, which must be unpacked. What comes of it is kept once for every segment, by the digest
of the Parquet file, which is checked when the index is opened; like proofs and filters it is read from the user's own
cache alone, and only while its inode, size and times are those that were noted when it was written.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from ..core.cache import keep_for_us, only_ours
from ..core.files import canonical_json, sha256_bytes, sha256_file
from .kept_files import forget_oldest

LEAST = 2**14
"""Smaller catalogs are unpacked as fast."""
MOST_BYTES = 2**32
"""Of all catalogs in the cache."""
_VERSION = 1


def mapped(digest: str, rows: int, schema: pa.Schema, folder: Path | None) -> pa.Table | None:
    """The kept catalog, or None.

    Args:
        digest: SHA-256 of its Parquet file.
        rows: how many it has.
        schema: that it must have.
        folder: the user's cache.
    """
    if folder is None or rows < LEAST or not digest:
        return None
    path = _place(folder, digest, schema)
    note = path.with_suffix(".json")
    if not (only_ours(path) and only_ours(note)):
        return None
    try:
        if json.loads(note.read_bytes()) != _stamp(path):
            return None
        found = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, ValueError, pa.ArrowException):
        return None
    if found.num_rows != rows or found.schema != schema:
        return None
    return found


def keep(table: pa.Table, digest: str, folder: Path | None, *, path: Path) -> None:
    """Keep an unpacked catalog; a cache that cannot be written is done without.

    Args:
        table: what was unpacked.
        digest: SHA-256 that its Parquet file must have: what another one held is not kept.
        folder: the user's cache.
        path: of that file.
    """
    if folder is None or table.num_rows < LEAST or sha256_file(path) != digest:
        return
    path = _place(folder, digest, table.schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with suppress(OSError):
        keep_for_us(path, sink.getvalue())
        keep_for_us(path.with_suffix(".json"), canonical_json(_stamp(path)))
        forget_oldest(path.parent, MOST_BYTES, kept=path)


def _place(folder: Path, digest: str, schema: pa.Schema) -> Path:
    name = sha256_bytes(canonical_json([_VERSION, digest, str(schema)]))[:32]
    return folder / "catalogs" / f"{name}.arrow"


def _stamp(path: Path) -> list[int]:
    info = os.stat(path)
    return [info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns]
