"""Compaction: the live rows of many small or thinned segments are written into few full ones, bit for bit, in order.

No image is read and nothing is embedded: rows are copied as they are stored, so every answer stays the same. What an
older version wrote gets the plain files that proofs are checked against (``row_names.PLAIN``; labels, declared items).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .catalog import BLANK, ROW_SCHEMA, read_catalog, read_rejects
from .declared import declared_of, write_declared
from .gaps import all_of, gaps_of, read_gaps, read_neighbours, write_gaps, write_neighbours
from .held import Held, among
from .labels import labels_of, write_labels
from .row_codes import ROW_CODES
from .row_names import is_plain
from .snapshot import ChannelSpec, SegmentInfo, Snapshot, told_file
from .staging import seal_folder, sealing_folder

_AT_ONCE = 65_536
"""Rows copied at a time."""
Mask = npt.NDArray[np.bool_]
Part = tuple[SegmentInfo, Mask, pa.Table]
"""A segment, which of its rows are live, and what the catalog says of these."""


def compacted(index: Path, snapshot: Snapshot, held: Held, *, segment_rows: int) -> Snapshot:
    """A snapshot of the same live rows in as few segments as they need, all in the files that this version writes.

    The same one where that is what it has.

    Its segments are written, and nothing else is changed: committing it is the caller's.

    Args:
        index: the index folder, locked by the caller.
        snapshot: its current one.
        held: the live items of it.
        segment_rows: rows that a segment may have; an item's rows are never parted.
    """
    runs = _runs(snapshot, segment_rows)
    told = _plainly_told(index, snapshot)
    if told == (snapshot.labels, snapshot.declared) and all(_is_fit(snapshot, run) for run in runs):
        return snapshot
    segments: list[SegmentInfo] = []
    for run in runs:
        if _is_fit(snapshot, run):
            segments.append(run[0])
        else:
            segments += _rewrite(index, snapshot, run, held, place=len(segments), segment_rows=segment_rows)
    blank = _blank(index, snapshot, segments)
    grown = replace(snapshot, segments=tuple(segments), tombstones=blank, blank=blank, parent=snapshot.id, created="")
    grown = replace(grown, labels=told[0], declared=told[1])
    return replace(grown, channels=tuple(_channel(index, snapshot, grown, channel) for channel in snapshot.channels))


def _is_fit(snapshot: Snapshot, run: Sequence[SegmentInfo]) -> bool:
    """Whether a run is one segment that can stay as it is."""
    return len(run) == 1 and not snapshot.removed(run[0].id) and is_plain(run[0].files)


def _plainly_told(index: Path, snapshot: Snapshot) -> tuple[str | None, str | None]:
    """SHA-256 of the tables of labels and of declared items, written anew where they are no plain JSON."""
    labels, declared = snapshot.labels, snapshot.declared
    if labels is not None and told_file(index, "labels", labels).suffix != ".json":
        labels = write_labels(index, labels_of(index, snapshot))
    if declared is not None and told_file(index, "declared", declared).suffix != ".json":
        declared = write_declared(index, declared_of(index, snapshot))
    return labels, declared


def _runs(snapshot: Snapshot, segment_rows: int) -> list[list[SegmentInfo]]:
    """Consecutive segments that are written anew together; those that are whole and half full stand alone."""

    def stays(segment: SegmentInfo) -> bool:
        return _is_fit(snapshot, [segment]) and 2 * segment.rows >= segment_rows

    runs: list[list[SegmentInfo]] = []
    for alone, group in groupby(snapshot.segments, stays):
        members = list(group)
        runs += [[one] for one in members] if alone else [members]
    return runs


def _rewrite(
    index: Path, snapshot: Snapshot, run: Sequence[SegmentInfo], held: Held, *, place: int, segment_rows: int
) -> Iterator[SegmentInfo]:
    parts = [(segment, *_live_catalog(index, snapshot, segment)) for segment in run]
    catalog = pa.concat_tables([ROW_SCHEMA.empty_table(), *(table for _, _, table in parts)])
    catalog = _with_originals(catalog.combine_chunks(), held)
    rejects = _rejects(index, run, held)
    if not catalog.num_rows and not rejects:
        return
    starts = _cuts(catalog, segment_rows)
    for number, (start, stop) in enumerate(pairwise(starts)):
        folder = sealing_folder(index)
        for channel, spec in enumerate(snapshot.channels):
            name = ROW_CODES[spec.rows].file(channel)
            with (folder / name).open("wb") as out:
                for piece in _stored_rows(index, name, spec, parts, start, stop):
                    out.write(piece.tobytes())
        rows = catalog.slice(start, stop - start)
        yield seal_folder(folder, index, rows, rejects if number == 0 else [], place=place + number)


def _live_catalog(index: Path, snapshot: Snapshot, segment: SegmentInfo) -> tuple[Mask, pa.Table]:
    """(rows,) which rows are live, and what the catalog says of these."""
    table = read_catalog(index / "segments" / segment.id / "catalog.parquet").cast(ROW_SCHEMA)
    live = ~among(table["id"], snapshot.removed(segment.id))
    return live, table.filter(pa.array(live))


def _blank(index: Path, snapshot: Snapshot, segments: Sequence[SegmentInfo]) -> dict[str, tuple[str, ...]]:
    """Segment → ids of its blank items; a segment that stays keeps its own."""
    found = {}
    for segment in segments:
        ids = snapshot.blank.get(segment.id)
        if ids is None and any(snapshot.blank.values()):
            table = read_catalog(index / "segments" / segment.id / "catalog.parquet", ["id", "view"])
            ids = tuple(sorted(set(table["id"].filter(pa.array(among(table["view"], [BLANK]))).to_pylist())))
        if ids:
            found[segment.id] = ids
    return found


def _with_originals(catalog: pa.Table, held: Held) -> pa.Table:
    """``duplicate_of`` again, since the item that was first with some pixels may be gone."""
    firsts = held.first_by_pixels(catalog["pixels_sha256"].unique().to_pylist())
    pairs = zip(catalog["id"].to_pylist(), catalog["pixels_sha256"].to_pylist(), strict=True)
    column = pa.array([None if firsts[pixels] == name else firsts[pixels] for name, pixels in pairs], pa.string())
    return catalog.set_column(catalog.schema.get_field_index("duplicate_of"), ROW_SCHEMA.field("duplicate_of"), column)


def _rejects(index: Path, run: Sequence[SegmentInfo], held: Held) -> list[dict[str, Any]]:
    """The last reject of each path that holds no item now."""
    found: dict[str, dict[str, Any]] = {}
    for segment in run:
        if segment.rejects:
            rows = read_rejects(index / "segments" / segment.id / "rejects.parquet").to_pylist()
            found.update((row["path"], row) for row in rows)
    places = held.find(list(found)).tolist()
    return [row for row, place in zip(found.values(), places, strict=True) if place < 0]


def _cuts(catalog: pa.Table, segment_rows: int) -> list[int]:
    """Where segments begin, and the end: after so many rows, but never between two rows of an item."""
    if not catalog.num_rows:
        return [0, 0]
    ids = np.asarray(catalog["id"].combine_chunks().dictionary_encode().indices)
    allowed = np.append(np.flatnonzero(np.diff(ids) != 0) + 1, len(ids))
    cuts = [0]
    while cuts[-1] < len(ids):
        after = allowed[allowed > cuts[-1]]
        fits = after[after <= cuts[-1] + segment_rows]
        cuts.append(int(fits[-1] if len(fits) else after[0]))
    return cuts


def _stored_rows(
    index: Path,
    name: str,
    spec: ChannelSpec,
    parts: Sequence[Part],
    start: int,
    stop: int,
) -> Iterator[npt.NDArray[np.generic]]:
    """The live rows numbered start to stop of all parts, as they are stored."""
    begin = 0
    for segment, live, table in parts:
        own = np.flatnonzero(live)[max(0, start - begin) : max(0, stop - begin)]
        begin += table.num_rows
        if not len(own):
            continue
        file = index / "segments" / segment.id / name
        rows = np.memmap(file, dtype=ROW_CODES[spec.rows].dtype, mode="r", shape=(segment.rows, spec.dim))
        for first in range(0, len(own), _AT_ONCE):
            yield rows[own[first : first + _AT_ONCE]]


def _channel(index: Path, old: Snapshot, new: Snapshot, channel: ChannelSpec) -> ChannelSpec:
    """The channel with its threshold as it was; the gaps of a local one are stored by the segments' new names."""
    threshold = channel.threshold
    if threshold is None or threshold.gaps is None:
        return channel
    live = np.concatenate([_live_catalog(index, old, segment)[0] for segment in old.segments])
    gaps = write_gaps(index, new, gaps_of(old, read_gaps(index, threshold.gaps))[live])
    if threshold.neighbours is None:
        return replace(channel, threshold=replace(threshold, gaps=gaps))
    by_segment, basis = read_neighbours(index, threshold.gaps, threshold.neighbours)
    known = write_neighbours(index, new, all_of(old, by_segment).take(live), basis=basis)
    return replace(channel, threshold=replace(threshold, gaps=gaps, neighbours=known))
