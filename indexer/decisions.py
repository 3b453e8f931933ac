"""What a person has said of pairs of pictures: kept beside the snapshots, so that it holds for all of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import IntegrityError
from ..core.files import write_atomically
from .lock import writer_lock

FILE = "decisions.parquet"
SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("one", "other", "relation", "since")])
RELATIONS = ("same", "different")


@dataclass(frozen=True, slots=True)
class Decision:
    """One pair.

    Attributes:
        one, other: SHA-256 of the pixels of two pictures, the smaller first.
        relation: ``same``, copies of one another, or ``different``.
        since: when that was said, ISO 8601.
    """

    one: str
    other: str
    relation: str
    since: str


def read_decisions(index: Path) -> list[Decision]:
    """All of them, the first one first.

    Raises:
        IntegrityError: the file is damaged.
    """
    file = index / FILE
    if not file.exists():
        return []
    try:
        return [Decision(**row) for row in pq.read_table(file, schema=SCHEMA).to_pylist()]
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error


def remember(index: Path, one: str, other: str, relation: str) -> Decision:
    """Keep what was said of a pair, in place of what was said before. Under the lock."""
    assert relation in RELATIONS, relation
    assert one != other, "a picture is a copy of itself"
    first, second = sorted((one, other))
    decision = Decision(first, second, relation, datetime.now(UTC).isoformat(timespec="seconds"))
    with writer_lock(index):
        held = [known for known in read_decisions(index) if (known.one, known.other) != (first, second)]
        _write(index, [*held, decision])
    return decision


def forget(index: Path) -> Decision | None:
    """Take back what was said last; None where nothing was. Under the lock."""
    with writer_lock(index):
        *held, last = [None, *read_decisions(index)]
        if last is not None:
            _write(index, [one for one in held if one is not None])
    return last


def _write(index: Path, decisions: list[Decision]) -> None:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist([asdict(one) for one in decisions], schema=SCHEMA)
    pq.write_table(table, sink, compression="zstd")
    write_atomically(index / FILE, sink.getvalue().to_pybytes())
