"""What an index holds, one line per live item, in columns: no Python object for any of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import IntegrityError
from .catalog import ROW_SCHEMA, read_catalog
from .snapshot import SegmentInfo, Snapshot

Places = npt.NDArray[np.int64]

_COLUMNS = ("id", "path", "bytes", "mtime_ns", "bytes_sha256", "pixels_sha256")
_SCHEMA = pa.schema(
    [
        *(ROW_SCHEMA.field(name) for name in _COLUMNS),
        pa.field("rows", pa.int32(), nullable=False),
        pa.field("segment", pa.dictionary(pa.int32(), pa.string()), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Held:
    """The items of a snapshot, blank ones too, in row order.

    Attributes:
        table: id, path, bytes, mtime_ns, bytes_sha256 and pixels_sha256 as in the catalog, ``rows`` (stored for the
            item) and ``segment``. A path is there once.
    """

    table: pa.Table

    @property
    def rows(self) -> int:
        """Live rows."""
        return int(np.asarray(self.table["rows"], dtype=np.int64).sum())

    @property
    def items(self) -> int:
        """Items as the search counts them: files with the same pixels are one."""
        return len(self.table["pixels_sha256"].unique())

    def find(self, paths: Sequence[str] | pa.Array) -> Places:
        """(n,) place of the item at each path, −1 where there is none."""
        return _places(self.table["path"], pa.array(paths, pa.string()))

    def at(self, place: int) -> dict[str, Any]:
        """One item."""
        return self.table.slice(place, 1).to_pylist()[0]

    def located(self, paths: Iterable[str]) -> Places:
        """Places of the items at these paths, in row order; quicker than :meth:`find` for a few paths."""
        return np.flatnonzero(among(self.table["path"], paths))

    def named(self, ids: Iterable[str]) -> Places:
        """Places of the items with these ids, in row order."""
        return np.flatnonzero(among(self.table["id"], ids))

    def of_segments(self, names: Collection[str]) -> npt.NDArray[np.bool_]:
        """(items,) whether each lies in one of some segments."""
        return among(self.table["segment"].cast(pa.string()), names)

    def first_by_pixels(self, digests: Iterable[str]) -> dict[str, str]:
        """pixels_sha256 → id of the first item with such pixels, of those that are asked for."""
        mine = np.flatnonzero(among(self.table["pixels_sha256"], digests))
        found = self.table.select(["pixels_sha256", "id"]).take(mine[::-1]).to_pydict()
        return dict(zip(found["pixels_sha256"], found["id"], strict=True))  # of equal keys the last, the first item

    def by_segment(self, places: Places) -> dict[str, list[str]]:
        """Segment → ids of the items at some places."""
        found: dict[str, list[str]] = {}
        chosen = self.table.select(["segment", "id"]).take(places).to_pydict()
        for segment, name in zip(chosen["segment"], chosen["id"], strict=True):
            found.setdefault(segment, []).append(name)
        return found

    def without(self, places: Places) -> Held:
        """What is left when some items go."""
        if not len(places):
            return self
        keep = np.ones(self.table.num_rows, dtype=np.bool_)
        keep[places] = False
        return Held(self.table.filter(pa.array(keep)))

    def plus(self, rows: Sequence[Mapping[str, Any]], segment: str) -> Held:
        """With the items of a new segment, given by its catalog rows as dicts."""
        new = _items(pa.Table.from_pylist([dict(row) for row in rows], schema=ROW_SCHEMA), segment)
        return Held(pa.concat_tables([self.table, new]).unify_dictionaries())


def read_held(index: Path, snapshot: Snapshot) -> Held:
    """The live items of a snapshot, from its catalogs.

    Raises:
        IntegrityError: a catalog is missing, damaged, or has another number of rows than the snapshot says.
    """
    tables = [_live_items(index, segment, snapshot.removed(segment.id)) for segment in snapshot.segments]
    return Held(pa.concat_tables([_SCHEMA.empty_table(), *tables]).unify_dictionaries())


def _live_items(index: Path, segment: SegmentInfo, gone: Collection[str]) -> pa.Table:
    path = index / "segments" / segment.id / "catalog.parquet"
    try:
        catalog = read_catalog(path, _COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error
    if catalog.num_rows != segment.rows:
        raise IntegrityError(f"{path} holds {catalog.num_rows} rows; the snapshot says {segment.rows}")
    items = _items(catalog, segment.id)
    return items.filter(pa.array(~among(items["id"], gone))) if gone else items


def _items(catalog: pa.Table, segment: str) -> pa.Table:
    """One line per item of a segment's catalog, at its first row."""
    codes = np.asarray(catalog["id"].combine_chunks().dictionary_encode().indices, dtype=np.int64)
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    names = pa.DictionaryArray.from_arrays(np.zeros(len(first), dtype=np.int32), pa.array([segment]))
    items = catalog.select(list(_COLUMNS)).take(first)
    items = items.append_column("rows", pa.array(counts.astype(np.int32))).append_column("segment", names)
    return items.cast(_SCHEMA)


def _places(column: pa.ChunkedArray, wanted: pa.Array) -> Places:
    found = pc.call_function("index_in", [wanted], pc.SetLookupOptions(value_set=column))
    return np.asarray(found.fill_null(-1), dtype=np.int64)


def among(column: pa.ChunkedArray, values: Iterable[str]) -> npt.NDArray[np.bool_]:
    """(rows,) whether each string of a column is one of some values."""
    wanted = pc.SetLookupOptions(value_set=pa.array(list(values), pa.string()))
    return np.asarray(pc.call_function("is_in", [column], wanted), dtype=np.bool_)
