"""``retr snapshots``: the states that an index has been in and can be asked in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import IntegrityError
from .gallery import make_filters
from .garbage import Orphan, collect_garbage, forget_snapshots
from .lock import writer_lock
from .snapshot import Snapshot, find_snapshot, read_snapshot, require_current, snapshot_ids, stored_files
from .writer import Writer


@dataclass(frozen=True, slots=True)
class State:
    """One snapshot.

    Attributes:
        id: of it; parent: of the one before it; created: when, ISO 8601.
        rows: stored in its segments; tombstones: items of them that were taken out; segments: how many.
        current: whether it is the one that is asked.
        whole: whether every file that it names is there.
    """

    id: str
    created: str
    parent: str | None
    rows: int
    tombstones: int
    segments: int
    current: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did.

    Attributes:
        index: the folder; snapshot: the current one now.
        segments: before and after; rows: before, dead ones included, and after.
        forgotten: ids of snapshots that were forgotten.
        freed: bytes of files that nothing names any more, removed.
        held: bytes of files that only old snapshots name.
    """

    index: str
    snapshot: str
    segments: tuple[int, int]
    rows: tuple[int, int]
    forgotten: tuple[str, ...]
    freed: int
    held: int


def list_snapshots(index: Path) -> list[State]:
    """Every snapshot that can be read, the newest first.

    Raises:
        IndexStateError: there is no index.
    """
    current = require_current(index)
    states = {one.id: _state(index, one, current.id) for one in _readable(index)}

    def depth(state: State) -> int:
        """How many came before it: within a second the time does not tell."""
        found, above = 0, states.get(state.parent or "")
        while above is not None and found <= len(states):
            found, above = found + 1, states.get(above.parent or "")
        return found

    return sorted(states.values(), key=lambda one: (one.current, one.created, depth(one), one.id), reverse=True)


def _readable(index: Path) -> Iterator[Snapshot]:
    for name in snapshot_ids(index):
        try:
            yield read_snapshot(index, name)
        except IntegrityError:
            continue  # retr verify names it


def _state(index: Path, snapshot: Snapshot, current: str) -> State:
    return State(
        id=snapshot.id,
        created=snapshot.created,
        parent=snapshot.parent,
        rows=snapshot.rows,
        tombstones=sum(len(snapshot.removed(segment.id)) for segment in snapshot.segments),
        segments=len(snapshot.segments),
        current=snapshot.id == current,
        whole=all(file.is_file() for file, _ in stored_files(index, snapshot)),
    )


def compact_index(index: Path, *, forget: bool = False) -> Compacted:
    """Write the live rows into few segments; answers stay the same, bit for bit.

    Args:
        index: the folder.
        forget: also forget all older snapshots, and remove the files that only they name. Else these stay, and so does
            the room that they take.

    Raises:
        IndexStateError: no index, another writer, or an unfinished run.
    """
    with Writer(index) as writer:
        before = writer.snapshot
        after = writer.compact()
    make_filters(index, after)
    gone: list[str] = []
    cleared: list[Orphan] = []
    with writer_lock(index):
        if forget:
            gone = forget_snapshots(index)
            cleared = collect_garbage(index)
        own = {file for file, _ in stored_files(index, after)}
        others = {file for one in _readable(index) for file, _ in stored_files(index, one)} - own
    return Compacted(
        index=str(index),
        snapshot=after.id,
        segments=(len(before.segments), len(after.segments)),
        rows=(before.rows, after.rows),
        forgotten=tuple(gone),
        freed=sum(one.bytes for one in cleared),
        held=sum(file.stat().st_size for file in others if file.is_file()),
    )


def restore_snapshot(index: Path, name: str) -> Snapshot:
    """Make an earlier snapshot the current one again. Raises as ``snapshot.find_snapshot`` and ``Writer.restore``."""
    wanted = find_snapshot(index, name)
    with Writer(index) as writer:
        return writer.restore(wanted.id)
