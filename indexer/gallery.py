"""What a snapshot holds, opened for reading: rows, which item each row is, and where it came from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.cache import user_cache
from ..core.errors import IntegrityError
from . import filter_file
from .catalog import ROW_SCHEMA, read_catalog
from .catalog_cache import LEAST, keep, mapped
from .declared import declared_of, item_digests
from .integrity import ContentCheck, check_content
from .items import Items
from .row_codes import ROW_CODES
from .snapshot import Snapshot
from .vectors import Ids, RowStore, check_size, open_rows


@dataclass(frozen=True)
class Gallery:
    """A snapshot opened for reading.

    Attributes:
        snapshot: what was opened.
        catalog: one row per stored row, in global row order.
        stores: the rows of each channel.
        live: (rows,) False for tombstoned rows and for those of blank images: they are not searched.
        blank: numbers of the rows of blank images, which have no direction and are found by their pixels alone.
        table: which item each row is of, and which rows each item has.
        content: what is known of the bytes behind all of this.
    """

    snapshot: Snapshot
    catalog: pa.Table
    stores: tuple[RowStore, ...]
    live: npt.NDArray[np.bool_]
    blank: Ids
    table: Items
    content: ContentCheck

    @cached_property
    def name(self) -> str:
        """Id of the snapshot, which every answer names: a digest of all that it says, made once."""
        return self.snapshot.id

    @property
    def groups(self) -> Ids:
        """(rows,) item number; rows of files with the same pixels share it; −1 for tombstoned rows."""
        return self.table.groups

    @property
    def items(self) -> int:
        """Number of distinct live items."""
        return self.table.count

    def describe(self, row: int) -> dict[str, object]:
        """Catalog fields of one row."""
        return self.catalog.slice(row, 1).to_pylist()[0]

    def paths_of(self, item: int) -> tuple[str, ...]:
        """Files of one item, in row order."""
        return tuple(dict.fromkeys(self.catalog["path"].take(pa.array(self.table.rows_of(item))).to_pylist()))

    def files_of(self, item: int, row: int) -> list[dict[str, object]]:
        """Catalog rows of an item's files, one each: that of a given row first, then in row order.

        The others are shown by the view that the given row is of, where they have it.
        """
        own = self.describe(row)
        rows = self.table.rows_of(item)
        if len(rows) == 1:
            return [own]
        found = {str(own["path"]): own}
        for one in self.catalog.take(pa.array(rows)).to_pylist():
            if str(one["path"]) not in found or (one["view"] == own["view"] and one["path"] != own["path"]):
                found[str(one["path"])] = one
        return list(found.values())

    def blank_with(self, pixels_sha256: str) -> list[dict[str, object]]:
        """Catalog rows of the blank images with these pixels, in row order."""
        return [row for row in map(self.describe, self.blank.tolist()) if row["pixels_sha256"] == pixels_sha256]

    def originals(self) -> Ids:
        """Global numbers of the live rows that hold an unedited view."""
        unedited = pc.equal(self.catalog["view"], "original")  # pyright: ignore[reportAttributeAccessIssue]
        return np.flatnonzero(unedited.to_numpy() & self.live)


def open_gallery(index: Path, snapshot: Snapshot, *, rows: bool = True) -> Gallery:
    """Open a snapshot's catalog and its rows.

    Args:
        index: the index folder.
        snapshot: one of its snapshots.
        rows: False leaves the stores out: only the sizes of their files are checked, nothing is decoded.

    Raises:
        IntegrityError: a file is missing, has the wrong size, differs from its SHA-256 (as far as
            ``integrity.check_content`` reads), or holds codes that no row has.
    """
    content = check_content(index, snapshot)
    catalog = _read_catalogs(index, snapshot)
    if catalog.num_rows != snapshot.rows:
        raise IntegrityError(f"the catalogs hold {catalog.num_rows} rows; snapshot {snapshot.id} says {snapshot.rows}")
    live, blank = ~_named(catalog, snapshot, snapshot.tombstones), _named(catalog, snapshot, snapshot.blank)
    numbers = range(len(snapshot.channels)) if rows else ()
    stores = tuple(open_store(index, snapshot, number, unread=content.unread) for number in numbers)
    if not rows:
        _check_sizes(index, snapshot)
    declared = declared_of(index, snapshot)
    table = replace(Items.of(item_digests(catalog["pixels_sha256"], declared), live), declared=declared)
    return Gallery(snapshot, catalog, stores, live, np.flatnonzero(blank), table, content)


def open_store(index: Path, snapshot: Snapshot, number: int, *, unread: Collection[str] = ()) -> RowStore:
    """The rows of one channel of a snapshot.

    Args:
        index: the index folder.
        snapshot: one of its snapshots.
        number: of the channel.
        unread: names of files that nobody has compared with their digests. They have no filter, which would belong to
            the rows that the digest names and hide others: these rows are all looked at.

    Raises:
        IntegrityError: a file is missing, has the wrong size, or holds codes that no row has.
    """
    channel = snapshot.channels[number]
    name = ROW_CODES[channel.rows].file(number)
    files = _files(index, snapshot, number)
    read = [path.relative_to(index).as_posix() not in unread for path, _ in files]
    digests = [segment.files.get(name, "") for segment in snapshot.segments]
    return open_rows(
        files,
        dim=channel.dim,
        score=channel.score,
        code=channel.rows,
        digests=[digest if known else None for digest, known in zip(digests, read, strict=True)],
        cache=user_cache(),
    )


def make_filters(index: Path, snapshot: Snapshot) -> None:
    """Make the filters of large segments (``filter_file``), which the first opening would wait for otherwise.

    Raises:
        IntegrityError: as :func:`open_store`.
    """
    if user_cache() is None or all(segment.rows < filter_file.LEAST for segment in snapshot.segments):
        return
    unread = check_content(index, snapshot).unread
    for number, channel in enumerate(snapshot.channels):
        if channel.score == "cosine":
            open_store(index, snapshot, number, unread=unread)


def _check_sizes(index: Path, snapshot: Snapshot) -> None:
    for number, channel in enumerate(snapshot.channels):
        for path, rows in _files(index, snapshot, number):
            check_size(path, rows, channel.dim, ROW_CODES[channel.rows])


def _files(index: Path, snapshot: Snapshot, number: int) -> list[tuple[Path, int]]:
    name = ROW_CODES[snapshot.channels[number].rows].file(number)
    return [(index / "segments" / segment.id / name, segment.rows) for segment in snapshot.segments]


def _read_catalogs(index: Path, snapshot: Snapshot) -> pa.Table:
    """All catalogs as one table: of chunks that are mapped from the cache, or of single ones in memory."""
    cache, schema = user_cache(), ROW_SCHEMA.append(pa.field("segment", pa.string()))
    digests = [segment.files.get("catalog.parquet", "") for segment in snapshot.segments]
    tables, some_mapped = [], False
    for segment, digest in zip(snapshot.segments, digests, strict=True):
        table = mapped(digest, segment.rows, schema, cache)
        if table is None:
            table = _read_one(index, segment.id)
            keep(table, digest, cache, path=index / "segments" / segment.id / "catalog.parquet")
            table = mapped(digest, segment.rows, schema, cache) or table
        some_mapped = some_mapped or table.num_rows >= LEAST
        tables.append(table)
    if some_mapped and cache is not None:
        return pa.concat_tables(tables)
    return _combined(tables) if tables else schema.empty_table()


def _read_one(index: Path, segment: str) -> pa.Table:
    path = index / "segments" / segment / "catalog.parquet"
    try:
        table = read_catalog(path)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error
    return _fitted(table.append_column("segment", pa.repeat(pa.scalar(segment), table.num_rows)))


def _fitted(table: pa.Table) -> pa.Table:
    """The same in buffers that are no larger than they must be, as those that Parquet was read into are."""
    columns = [pa.concat_arrays([*column.chunks, column.slice(0, 0).combine_chunks()]) for column in table.columns]
    found = pa.table(columns, schema=table.schema)
    del table
    pa.default_memory_pool().release_unused()
    return found


def _combined(tables: list[pa.Table]) -> pa.Table:
    """The tables as one of single chunks, made column by column: so that no more than one column is there twice."""
    schema, columns = tables[0].schema, []
    for field in schema:
        chunks = [chunk for table in tables for chunk in table[field.name].chunks]
        columns.append(pa.chunked_array(chunks, type=field.type).combine_chunks())
        for place, table in enumerate(tables):
            tables[place] = table.drop_columns([field.name])
        del chunks
        pa.default_memory_pool().release_unused()
    return pa.table(columns, schema=schema)


def _named(catalog: pa.Table, snapshot: Snapshot, by_segment: Mapping[str, Sequence[str]]) -> npt.NDArray[np.bool_]:
    """(rows,) whether each row is of an item that is named for its segment."""
    found = np.zeros(catalog.num_rows, dtype=np.bool_)
    start = 0
    for segment in snapshot.segments:
        named = by_segment.get(segment.id, ())
        if named:
            ids = catalog["id"].slice(start, segment.rows)
            found[start : start + segment.rows] = pc.is_in(ids, value_set=pa.array(named, pa.string())).to_numpy()  # pyright: ignore[reportAttributeAccessIssue]
        start += segment.rows
    return found


def restricted(gallery: Gallery, kept: npt.NDArray[np.bool_]) -> Gallery:
    """The gallery of some rows alone: what is left out is not there for any search, bound or count.

    Args:
        gallery: an opened snapshot.
        kept: (rows,) which rows stay; rows are numbered anew among them.
    """
    catalog = gallery.catalog.filter(pa.array(kept))
    live = gallery.live[kept]
    stores = tuple(store.only(kept) for store in gallery.stores)
    digests = gallery.table.digests.filter(pa.array(kept))
    table = replace(Items.of(digests, live), declared=gallery.table.declared)
    blank = np.flatnonzero(np.isin(np.flatnonzero(kept), gallery.blank))
    return replace(gallery, catalog=catalog, stores=stores, live=live, blank=blank, table=table)
