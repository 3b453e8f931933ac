"""``retr list``: the live items of a snapshot in columns, those that fulfil some conditions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..core.errors import IntegrityError, UsageError
from .catalog import ROW_SCHEMA, read_catalog
from .held import among
from .labels import Labels, labels_of
from .snapshot import SegmentInfo, Snapshot
from .where import Condition, rows_where

COLUMNS = tuple(name for name in ROW_SCHEMA.names if name != "view")


def list_items(
    index: Path,
    snapshot: Snapshot,
    conditions: Sequence[Condition] = (),
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> pa.Table:
    """One line per live item, in row order: what the catalog says of it, ``rows``, ``segment``, and its labels.

    Args:
        index: the index folder.
        snapshot: one of its snapshots.
        conditions: all of which an item fulfils.
        since: its file was last changed then or later.
        until: its file was last changed before then.

    Returns:
        The columns of the catalog but ``view``; ``rows`` stored for the item; ``segment``; ``label.KEY`` for each key.

    Raises:
        IntegrityError: a catalog or the table of labels is missing or damaged.
    """
    labels = labels_of(index, snapshot)
    tables = [_items(index, segment, snapshot.removed(segment.id)) for segment in snapshot.segments]
    table = pa.concat_tables([_SCHEMA.empty_table(), *tables])
    chosen = rows_where(table, labels, conditions) & _between(table, since, until)
    return _with_labels(table.filter(pa.array(chosen)), labels)


_SCHEMA = pa.schema(
    [
        *(ROW_SCHEMA.field(name) for name in COLUMNS),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("segment", pa.string(), nullable=False),
    ]
)


def _items(index: Path, segment: SegmentInfo, gone: Collection[str]) -> pa.Table:
    path = index / "segments" / segment.id / "catalog.parquet"
    try:
        catalog = read_catalog(path, COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error
    codes = np.asarray(catalog["id"].combine_chunks().dictionary_encode().indices, dtype=np.int64)
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    items = catalog.select(list(COLUMNS)).take(first)
    items = items.append_column("rows", pa.array(counts.astype(np.int64)))
    items = items.append_column("segment", pa.repeat(pa.scalar(segment.id), items.num_rows)).cast(_SCHEMA)
    return items.filter(pa.array(~among(items["id"], gone))) if gone else items


def _between(table: pa.Table, since: datetime | None, until: datetime | None) -> np.ndarray:
    times = np.asarray(table["mtime_ns"], dtype=np.int64)
    chosen = np.ones(len(times), dtype=np.bool_)
    if since is not None:
        chosen &= times >= _nanoseconds(since)
    if until is not None:
        chosen &= times < _nanoseconds(until)
    return chosen


def _nanoseconds(time: datetime) -> int:
    return round(time.timestamp() * 1e6) * 1000


def _with_labels(table: pa.Table, labels: Labels) -> pa.Table:
    paths = table["path"].to_pylist() if labels.keys else []
    for key in labels.keys:
        values = [labels.by_path.get(path, {}).get(key) for path in paths]
        table = table.append_column(f"label.{key}", pa.array(values, pa.string()))
    return table


def parse_time(text: str) -> datetime:
    """A day or a moment in ISO 8601; without a zone it is that of this machine.

    Raises:
        UsageError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"a time is written 2026-11-29 or 2026-11-29T12:30, not {text!r}") from None
    return found.astimezone(UTC)
