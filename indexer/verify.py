"""``retr verify``: everything an index holds, read and held against what it says of itself; and what can be saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from ..core.errors import IndexStateError, IntegrityError, RetrError
from ..core.files import sha256_file
from ..core.parallel import in_order
from ..core.progress import Progress
from .catalog import read_catalog, read_rejects
from .consistency import catalog_faults, channel_faults, setting_faults
from .garbage import Orphan, collect_garbage, orphans
from .lock import writer_lock
from .snapshot import (
    SegmentInfo,
    Snapshot,
    commit,
    read_current,
    read_snapshot,
    require_current,
    snapshot_ids,
    stored_files,
)
from .thresholds import renew_thresholds


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong.

    Attributes:
        file: relative to the index.
        what: a sentence.
        segment: id of the segment that a repair drops for it.
        snapshot: id of the snapshot that a repair forgets for it.
        told: the table of labels or declared items, or ``gaps``, that a repair drops for it.
    """

    file: str
    what: str
    segment: str | None = None
    snapshot: str | None = None
    told: str | None = None

    @property
    def repairable(self) -> bool:
        """Whether a repair can drop what it is about."""
        return not (self.segment is None and self.snapshot is None and self.told is None)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found.

    Attributes:
        index: the folder; snapshot: id of the current one, None where no one can tell.
        files, bytes: read and compared with their SHA-256.
        rows: stored, in the current snapshot.
        snapshots: how many are there.
        problems: what is wrong; empty where all is well.
        orphans: what nothing names; no fault.
        unfinished: whether a run can be resumed.
    """

    index: str
    snapshot: str | None
    files: int
    bytes: int
    rows: int
    snapshots: int
    problems: tuple[Problem, ...]
    orphans: tuple[Orphan, ...]
    unfinished: bool


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a repair has taken out.

    Attributes:
        what: a sentence.
        paths: of the items that went with it, as far as its catalog can be read.
        items: how many these are; None where the catalog is lost too.
    """

    what: str
    paths: tuple[str, ...] = ()
    items: int | None = 0


def verify_index(index: Path) -> Verified:
    """Read everything and name what is wrong.

    Args:
        index: the folder; nothing in it is changed.

    Raises:
        IndexStateError: there is no index.
    """
    if not (index / "CURRENT").exists() and not snapshot_ids(index):
        require_current(index)
    problems: list[Problem] = []
    current = _current(index, problems)
    readable = _snapshots(index, current, problems)
    files = {file: digest for one in reversed(readable) for file, digest in stored_files(index, one)}
    bad = _compare(index, files, problems, current, readable)
    if current is not None:
        problems += _inner(index, current, bad)
    found = orphans(index) if not any(one.snapshot for one in problems) else []
    return Verified(
        index=str(index),
        snapshot=None if current is None else current.id,
        files=len(files),
        bytes=sum(file.stat().st_size for file in files if file.is_file()),
        rows=0 if current is None else current.rows,
        snapshots=len(snapshot_ids(index)),
        problems=tuple(problems),
        orphans=tuple(found),
        unfinished=(index / "run.json").exists() or (index / "staging" / "plan.json").exists(),
    )


def repair_index(index: Path, progress: Progress | None = None) -> list[Dropped]:
    """Drop what cannot be trusted, and say what that was; what is left is an index again.

    A damaged pointer is set to the newest snapshot that is whole. A segment with a damaged file goes, items and all; so
    do damaged labels, and gaps, which are measured anew. Snapshots that name a damaged file are
    forgotten. Models and settings that are not what they should be cannot be mended here.

    Args:
        index: the folder.
        progress: told while gaps are measured; None for nobody.

    Raises:
        IndexStateError: no index, a writer at work, or nothing whole is left.
    """
    with writer_lock(index):
        dropped: list[Dropped] = []
        before = verify_index(index)
        if before.snapshot is None:
            dropped.append(_point_anew(index))
            before = verify_index(index)
        current = read_current(index)
        assert current is not None, "the pointer was set"
        mended = _without(index, current, before.problems, dropped)
        if mended is not current:
            commit(index, replace(mended, channels=renew_thresholds(index, mended, progress)))
        after = verify_index(index)  # what was current names the damaged file too, and is an older snapshot now
        for name in sorted({one.snapshot for one in after.problems if one.snapshot is not None}):
            (index / "snapshots" / f"{name}.json").unlink(missing_ok=True)
            dropped.append(Dropped(f"snapshot {name}, which is damaged or names a damaged file"))
    return dropped


def clear_index(index: Path) -> list[Orphan]:
    """Remove what nothing names, under the lock. Raises as ``garbage.collect_garbage`` and ``lock.writer_lock``."""
    require_current(index)
    with writer_lock(index):
        return collect_garbage(index)


# -- finding ------------------------------------------------------------------------------------------------------


def _current(index: Path, problems: list[Problem]) -> Snapshot | None:
    try:
        current = read_current(index)
    except IntegrityError as error:
        problems.append(Problem("CURRENT", str(error), told="pointer"))
        return None
    if current is None:
        problems.append(Problem("CURRENT", "the pointer to the current snapshot is missing", told="pointer"))
    return current


def _snapshots(index: Path, current: Snapshot | None, problems: list[Problem]) -> list[Snapshot]:
    """All that can be read, the current one first."""
    found = [] if current is None else [current]
    for name in snapshot_ids(index):
        if current is not None and name == current.id:
            continue
        try:
            found.append(read_snapshot(index, name))
        except IntegrityError as error:
            problems.append(Problem(f"snapshots/{name}.json", str(error), snapshot=name))
    return found


def _compare(
    index: Path, files: dict[Path, str], problems: list[Problem], current: Snapshot | None, readable: list[Snapshot]
) -> set[Path]:
    """Every file with its digest; returns those that differ."""
    bad: dict[Path, str] = {}

    def check(file: Path) -> tuple[Path, str | None]:
        try:
            return file, None if sha256_file(file) == files[file] else "it does not match its SHA-256"
        except OSError as error:
            return file, f"it cannot be read: {error.strerror}"

    for file, why in in_order(check, files, workers=2):
        if why is not None:
            bad[file] = why
    own = {file for file, _ in stored_files(index, current)} if current is not None else set()
    for file, why in bad.items():
        name = file.relative_to(index).as_posix()
        if file in own:
            segment = name.split("/")[1] if name.startswith("segments/") else None
            problems.append(Problem(name, why, segment=segment, told=None if segment else name.split("/")[0]))
    for one in readable:
        if one is current:
            continue
        lost = sorted(f.relative_to(index).as_posix() for f, _ in stored_files(index, one) if f in bad)
        if lost:
            problems.append(Problem(lost[0], f"{bad[index / lost[0]]}; snapshot {one.id} names it", snapshot=one.id))
    return set(bad)


def _inner(index: Path, current: Snapshot, bad: set[Path]) -> Iterator[Problem]:
    """What digests do not tell: whether the contents fit together. Files that differ are not looked into."""
    whole = {
        segment.id
        for segment in current.segments
        if not any(index / "segments" / segment.id / name in bad for name in segment.files)
    }
    for segment in current.segments:
        if segment.id in whole:
            yield from (Problem(f"segments/{segment.id}", why, segment=segment.id) for why in _segment(index, segment))
    for segment_id, file, why in catalog_faults(index, current, whole):
        yield Problem(file, why, segment=segment_id)
    for segment_id, file, why in channel_faults(index, current, whole):
        yield Problem(file, why, segment=segment_id)
    for file, why, told in setting_faults(index, current, bad):
        yield Problem(file, why, told=told)


def _segment(index: Path, segment: SegmentInfo) -> Iterator[str]:
    folder = index / "segments" / segment.id
    counted: dict[str, Callable[[Path], pa.Table]] = {"catalog.parquet": read_catalog, "rejects.parquet": read_rejects}
    for name, read in counted.items():
        said = segment.rows if name == "catalog.parquet" else segment.rejects
        try:
            rows = read(folder / name).num_rows
        except (OSError, pa.ArrowException, RetrError) as error:
            yield f"{name} cannot be read: {error}"
            continue
        if rows != said:
            yield f"{name} holds {rows} rows; the snapshot says {said}"


# -- mending ------------------------------------------------------------------------------------------------------


def _point_anew(index: Path) -> Dropped:
    whole = []
    for name in snapshot_ids(index):
        try:
            whole.append(read_snapshot(index, name))
        except IntegrityError:
            continue
    if not whole:
        raise IndexStateError(f"{index} holds no snapshot that can be read: there is nothing to repair it from")
    before = {one.parent for one in whole}
    last = [one for one in whole if one.id not in before] or whole  # times are whole seconds: descent tells more
    newest = max(last, key=lambda one: (one.created, one.id))
    commit(index, newest)
    return Dropped(f"the damaged pointer CURRENT; it names {newest.id} now, the newest snapshot that can be read")


def _without(index: Path, current: Snapshot, problems: tuple[Problem, ...], dropped: list[Dropped]) -> Snapshot:
    """The snapshot without what is damaged; itself where nothing of it is."""
    segments = {one.segment for one in problems if one.segment is not None}
    told = {one.told for one in problems if one.told is not None} - {"pointer"}
    if not segments and not told:
        return current
    for name in sorted(segments):
        dropped.append(_lost(index, current, name))
    channels = current.channels
    if "gaps" in told:
        dropped.append(Dropped("damaged gaps, and the calibrated thresholds that need them: calibrate again"))
        channels = tuple(
            replace(c, threshold=None) if c.threshold is not None and c.threshold.gaps is not None else c
            for c in channels
        )
    for one in problems:
        if one.told == "references":
            (index / one.file).unlink(missing_ok=True)
            dropped.append(Dropped(f"{one.file}, a damaged set of reference vectors; it is made again"))
    for name in sorted(told - {"gaps", "references"}):
        dropped.append(Dropped(f"the damaged table of {name}"))
    return replace(
        current,
        channels=channels,
        segments=tuple(one for one in current.segments if one.id not in segments),
        tombstones={key: ids for key, ids in current.tombstones.items() if key not in segments},
        blank={key: ids for key, ids in current.blank.items() if key not in segments},
        labels=None if "labels" in told else current.labels,
        declared=None if "declared" in told else current.declared,
        parent=current.id,
        created="",
    )


def _lost(index: Path, current: Snapshot, name: str) -> Dropped:
    what = f"segment {name}, which is damaged: its items are no longer part of the index; add them again"
    gone = current.removed(name)
    try:
        table = read_catalog(index / "segments" / name / "catalog.parquet", ["id", "path"])
        pairs = dict(zip(table["id"].to_pylist(), table["path"].to_pylist(), strict=True))
    except (OSError, pa.ArrowException, KeyError):
        return Dropped(what, items=None)
    paths = tuple(path for key, path in pairs.items() if key not in gone)
    return Dropped(what, paths, len(paths))
