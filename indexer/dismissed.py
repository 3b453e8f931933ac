"""Pairs that a user has said are no duplicates: kept beside the snapshots, so that they hold for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import IntegrityError
from ..core.files import write_atomically
from .decisions import read_decisions
from .lock import writer_lock

FILE = "dismissed.parquet"
SCHEMA = pa.schema(
    [
        pa.field("one", pa.string(), nullable=False),
        pa.field("other", pa.string(), nullable=False),
        pa.field("since", pa.string(), nullable=False),
    ]
)
Pair = tuple[bytes, bytes]
"""SHA-256 of the pixels of two pictures, as hex digits, the smaller first."""


def read_dismissed(index: Path) -> frozenset[Pair]:
    """The pairs, those that a review found to be different among them.

    Raises:
        IntegrityError: a file is damaged.
    """
    table = _read(index)
    pairs = zip(table["one"].to_pylist(), table["other"].to_pylist(), strict=True)
    told = ((one.one, one.other) for one in read_decisions(index) if one.relation == "different")
    return frozenset((one.encode(), other.encode()) for one, other in (*pairs, *told))


def dismiss(index: Path, pairs: Iterable[Pair]) -> int:
    """Remember that some pairs are no duplicates; returns how many were not known. Under the lock."""
    with writer_lock(index):
        table = _read(index)
        known = set(zip(table["one"].to_pylist(), table["other"].to_pylist(), strict=True))
        wanted = {(one.decode(), other.decode()) for one, other in pairs}
        new = sorted(wanted - known)
        if new:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            rows = [{"one": one, "other": other, "since": now} for one, other in new]
            _write(index, pa.concat_tables([table, pa.Table.from_pylist(rows, schema=SCHEMA)]))
    return len(new)


def _read(index: Path) -> pa.Table:
    file = index / FILE
    if not file.exists():
        return SCHEMA.empty_table()
    try:
        return pq.read_table(file, schema=SCHEMA)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error


def _write(index: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomically(index / FILE, sink.getvalue().to_pybytes())
