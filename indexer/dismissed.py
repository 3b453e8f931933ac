"""Pairs that a user has said are no duplicates: kept beside the snapshots, so that they hold for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import IntegrityError
from ..core.files import digest_json, write_atomically
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
_DIGEST = b"retr.sha256"
Pair = tuple[bytes, bytes]
"""SHA-256 of the pixels of two pictures, as hex digits, the smaller first."""


def read_dismissed(index: Path) -> frozenset[Pair]:
    """The pairs, those that a review found to be different among them.

    Raises:
        IntegrityError: a file is damaged, or says something else than what was written.
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
        table = pq.read_table(pa.BufferReader(file.read_bytes())).cast(SCHEMA)
        said = (pq.read_schema(pa.BufferReader(file.read_bytes())).metadata or {}).get(_DIGEST)
        found = _digest(table)  # also where nothing is said: of what is no text there is none
    except (OSError, ValueError, pa.ArrowException) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error
    if said is not None and said != found:  # 0.1.0 wrote none
        raise IntegrityError(f"{file} holds other decisions than were made: remove it, and say them again (--dismiss)")
    return table


def _digest(table: pa.Table) -> bytes:
    return digest_json({"rows": table.to_pydict()}).encode()


def _write(index: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({_DIGEST: _digest(table)}), sink, compression="zstd")
    write_atomically(index / FILE, sink.getvalue().to_pybytes())
