"""What no snapshot names: found, and removed when asked. Old snapshots go only when they are to be forgotten."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import IntegrityError
from .snapshot import TOLD, Snapshot, read_current, read_snapshot, snapshot_ids, stored_files

FOLDERS = ("gaps", "models", *TOLD)
"""Folders of an index that hold single files which snapshots name."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file or folder that nothing names.

    Attributes:
        path: relative to the index.
        bytes: that it takes.
    """

    path: str
    bytes: int


def every_snapshot(index: Path) -> list[Snapshot]:
    """All snapshots that are there, the oldest first.

    Raises:
        IntegrityError: one of them is damaged.
    """
    return sorted((read_snapshot(index, name) for name in snapshot_ids(index)), key=lambda one: (one.created, one.id))


def orphans(index: Path) -> list[Orphan]:
    """What is left over: of killed writers, of compaction, of snapshots that were forgotten.

    A run that is unfinished is none of it, nor is what it has stored.

    Raises:
        IntegrityError: a snapshot is damaged, so that nobody knows what it names.
    """
    named = _named(index)
    found = [path for path in _candidates(index) if path.relative_to(index).as_posix() not in named]
    return [Orphan(path.relative_to(index).as_posix(), _size(path)) for path in found]


def collect_garbage(index: Path) -> list[Orphan]:
    """Remove the orphans; the caller holds the lock.

    Raises:
        IntegrityError: as :func:`orphans`; nothing is removed then.
    """
    found = orphans(index)
    for one in found:
        path = index / one.path
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return found


def forget_snapshots(index: Path) -> list[str]:
    """Remove every snapshot but the current one; the caller holds the lock. Returns their ids.

    Their files stay until :func:`collect_garbage`, so that a kill in between loses nothing that is named.

    Raises:
        IntegrityError: the current one is damaged.
    """
    current = read_current(index)
    gone = [name for name in snapshot_ids(index) if current is not None and name != current.id]
    for name in gone:
        (index / "snapshots" / f"{name}.json").unlink()
    return gone


def _named(index: Path) -> set[str]:
    named: set[str] = set()
    try:
        snapshots = every_snapshot(index)
    except IntegrityError as error:
        raise IntegrityError(
            f"{error}; what it names is not known, so nothing can be cleared away: repair first"
        ) from error
    for snapshot in snapshots:
        named.update(file.relative_to(index).as_posix() for file, _ in stored_files(index, snapshot))
        named.update(f"segments/{segment.id}" for segment in snapshot.segments)
        named.update(channel.model_file for channel in snapshot.channels if channel.model_file is not None)
    return named


def _candidates(index: Path) -> Iterator[Path]:
    segments = index / "segments"
    yield from sorted(segments.iterdir()) if segments.is_dir() else ()
    for name in FOLDERS:
        yield from sorted((index / name).iterdir()) if (index / name).is_dir() else ()
    for folder in (index, index / "snapshots"):
        yield from sorted(folder.glob(".*.tmp")) if folder.is_dir() else ()


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
