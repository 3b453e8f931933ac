"""``retr export``: what an index holds, for other programs: Parquet with rows, a FAISS index, or the catalog as CSV."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from ..core.errors import UsageError
from ..core.files import check_place
from .catalog import ROW_SCHEMA
from .gallery import Gallery, open_gallery
from .labels import labels_of
from .snapshot import Snapshot
from .where import Condition, rows_where

ENDINGS = (".parquet", ".csv", ".faiss")
_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        files: in the order written; rows: in each of them.
    """

    files: tuple[str, ...]
    rows: int


def export_rows(
    index: Path, snapshot: Snapshot, out: Path, *, conditions: Sequence[Condition] = (), channel: str | None = None
) -> Exported:
    """Write the live rows of a snapshot to a file, which must not be there.

    ``.parquet``: catalog columns, ``label.KEY``, and the row of each channel as a list of float32. ``.csv``: the same
    without rows. ``.faiss``: a flat index of one channel's rows (inner products for cosine), and beside it
    ``.faiss.parquet``, whose line n is what row n is of.

    Args:
        index: the index folder.
        snapshot: one of its snapshots.
        out: the file; its ending says what it is.
        conditions: all of which a row's item fulfils.
        channel: name of the channel, for FAISS; None where there is one only.

    Raises:
        UsageError: another ending, a file that is there, or no such channel.
        IntegrityError: the index is damaged.
    """
    kind = out.suffix.lower()
    if kind not in ENDINGS:
        raise UsageError(f"{out} names no format: end it with {', '.join(ENDINGS)}")
    targets = [out, out.with_name(f"{out.name}.parquet")] if kind == ".faiss" else [out]
    for target in targets:
        if target.exists():
            raise UsageError(f"{target} is there already; name another file")
        check_place(target)
    gallery = open_gallery(index, snapshot, rows=kind != ".csv")
    kept = np.flatnonzero(rows_where(gallery.catalog, labels_of(index, snapshot), conditions) & gallery.live)
    table = _catalog(index, gallery, kept)
    if kind == ".csv":
        _finish(out, lambda part: pv.write_csv(table, part))
    elif kind == ".parquet":
        _finish(out, lambda part: _write_parquet(part, gallery, table, kept))
    else:
        number = _channel(snapshot, channel)
        _finish(targets[1], lambda part: pq.write_table(table, part, compression="zstd"))
        _finish(out, lambda part: _write_faiss(part, gallery, number, kept))
    return Exported(tuple(map(str, targets)), len(kept))


def _finish(out: Path, write: Callable[[str], object]) -> None:
    """Written under another name first: what is there is whole."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        write(str(part))
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _catalog(index: Path, gallery: Gallery, kept: npt.NDArray[np.int64]) -> pa.Table:
    table = gallery.catalog.select(ROW_SCHEMA.names).take(kept)
    labels = labels_of(index, gallery.snapshot)
    paths = table["path"].to_pylist() if labels.keys else []
    for key in labels.keys:
        values = [labels.by_path.get(path, {}).get(key) for path in paths]
        table = table.append_column(f"label.{key}", pa.array(values, pa.string()))
    return table


def _write_parquet(part: str, gallery: Gallery, table: pa.Table, kept: npt.NDArray[np.int64]) -> None:
    names = [channel.name for channel in gallery.snapshot.channels]
    fields = [pa.field(f"row.{n}", pa.list_(pa.float32(), s.dim)) for n, s in zip(names, gallery.stores, strict=True)]
    schema = pa.schema([*table.schema, *fields])
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for first in range(0, len(kept), _AT_ONCE):
            ids = kept[first : first + _AT_ONCE]
            rows = [pa.FixedSizeListArray.from_arrays(pa.array(s.take(ids).ravel()), s.dim) for s in gallery.stores]
            columns = [*table.slice(first, len(ids)).columns, *rows]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _write_faiss(part: str, gallery: Gallery, number: int, kept: npt.NDArray[np.int64]) -> None:
    store = gallery.stores[number]
    flat = faiss.IndexFlatIP(store.dim) if store.score == "cosine" else faiss.IndexFlatL2(store.dim)
    for first in range(0, len(kept), _AT_ONCE):
        flat.add(store.take(kept[first : first + _AT_ONCE]))  # pyright: ignore[reportCallIssue]
    faiss.write_index(flat, part)


def _channel(snapshot: Snapshot, name: str | None) -> int:
    names = [channel.name for channel in snapshot.channels]
    if name is None and len(names) == 1:
        return 0
    if name not in names:
        raise UsageError(f"a FAISS file holds one channel (--channel): {', '.join(names)}; got {name!r}")
    return names.index(name)
