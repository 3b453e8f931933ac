"""The only code that writes an index: append, remove, commit, under the lock, safe against a kill at any instant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..core.errors import IndexStateError, UsageError
from ..core.files import canonical_json, write_atomically
from ..core.progress import Progress
from . import staging as stage
from .catalog import BLANK, as_dict, content_is_gone, mark_duplicates, read_rejects, reject_key
from .compact import compacted
from .declared import write_declared
from .held import Held, Places, read_held
from .integrity import check_content
from .labels import Row, labels_of, write_labels
from .lock import writer_lock
from .snapshot import (
    ChannelSpec,
    Rule,
    SegmentInfo,
    Snapshot,
    Threshold,
    commit,
    read_current,
    read_snapshot,
    require_current,
)
from .thresholds import renew_thresholds

if TYPE_CHECKING:  # they need torch, and to remove an item or to compact an index does not
    from .embed import Embedded
    from .prepare import Refused

SEGMENT_ROWS = 65_536
"""Rows after which a segment is sealed and a new one begun."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What one :meth:`Writer.append` did.

    Attributes:
        items: how many images were stored.
        rejects: reject rows (dicts) of those that were refused.
    """

    items: int
    rejects: tuple[dict[str, Any], ...]


class Writer:
    """An index held for writing; use as a context manager.

    ``append`` stores batches durably beside the index, ``remove`` marks items, and ``commit`` makes all of it part of
    the index in one step: readers see the old snapshot or the new one. What a kill, an error or the end of the block
    leaves uncommitted stays in ``staging/``: the next writer goes on with it (``resume``) or drops it (``restart``).

    Args:
        index: its folder.
        create: for an index that is not there yet: its channels, views and policy (``options.template``).
        source: what the images are taken from; part of the plan that a resumed run must share.
        resume: go on with an unfinished run.
        restart: drop an unfinished run.
        segment_rows: rows after which ``append`` commits by itself and begins a new segment.
        progress: told while gaps are measured, at commits; None for nobody.

    Attributes:
        snapshot: the index as it was last committed; what it will begin as, where nothing was.
        held: its live items.
        replaced: files whose older content this writer has replaced.
        dropped: files whose content this writer has dropped, since they hold no acceptable image any more.

    Raises:
        IndexStateError: on entering: another writer, an unfinished run and neither ``resume`` nor ``restart``, or no
            index and no ``create``.
        IntegrityError: on entering: stored bytes differ from their digests.
        UsageError: on entering: the unfinished run was begun with another plan.
    """

    def __init__(
        self,
        index: Path,
        *,
        create: Snapshot | None = None,
        source: str | None = None,
        resume: bool = False,
        restart: bool = False,
        segment_rows: int = SEGMENT_ROWS,
        progress: Progress | None = None,
    ) -> None:
        self.index = index
        self.replaced = self.dropped = 0
        self._create, self._source, self._segment_rows = create, source, segment_rows
        self._resume, self._restart, self._progress = resume, restart, progress
        self._staging: stage.Staging | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if self._create is not None:
            self.index.mkdir(parents=True, exist_ok=True)
        else:
            require_current(self.index)
        with ExitStack() as undo:
            undo.enter_context(writer_lock(self.index))
            self._read()
            self._find_unfinished()
            self._open = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if self._staging is not None:
                self._staging.close()

    # -- what is there --------------------------------------------------------------------------------------------

    def _read(self) -> None:
        current = read_current(self.index)
        self._committed = current is not None
        if current is None:
            assert self._create is not None, "require_current has found a snapshot"
            current = self._begun_empty(self._create)
        else:
            check_content(self.index, current)
        self.snapshot = current
        self.held = read_held(self.index, current)
        self._known_rejects = {reject_key(row) for segment in current.segments for row in self._rejects_of(segment)}
        self._removed: set[int] = set()  # places of ``held``, until the next commit
        self._bad: set[str] = set()  # paths whose stored content is no longer there, until the next commit
        self._told: list[Row] = []  # labels to be set, until the next commit

    def _begun_empty(self, create: Snapshot) -> Snapshot:
        from .models import keep_model

        return replace(create, channels=tuple(keep_model(self.index, channel) for channel in create.channels))

    def _rejects_of(self, segment: SegmentInfo) -> list[dict[str, Any]]:
        folder = self.index / "segments" / segment.id
        return read_rejects(folder / "rejects.parquet").to_pylist() if segment.rejects else []

    # -- an unfinished run ----------------------------------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return self.index / "staging"

    @property
    def _mark(self) -> Path:
        """While a run is unfinished: the snapshot that it began from. Segments sealed since then are its own."""
        return self.index / "run.json"

    def _find_unfinished(self) -> None:
        plan = self._unfinished_plan()
        if plan is not None and not (self._resume or self._restart):
            raise IndexStateError(
                f"{self.index} holds an unfinished run: index with resume (--resume) to go on with it, or with restart "
                "(--restart) to drop what it had done"
            )
        rejoined = self._resume and self._mark.exists()
        self._base = self._begun_on() if rejoined else self._parent
        self._begun = rejoined
        if plan is not None and self._resume:
            self._staging = stage.resume(self._folder, self._plan(), *self._shape())
            self._bad.update(row["path"] for row in self._staging.rejects if content_is_gone(row))

    def _begun_on(self) -> str | None:
        try:
            return json.loads(self._mark.read_bytes())["base"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise IndexStateError(
                f"{self._mark} is damaged, and the unfinished run cannot go on: drop what it had done with restart "
                "(--restart)"
            ) from error

    def _unfinished_plan(self) -> dict[str, Any] | None:
        plan = stage.unfinished_plan(self._folder)
        done = plan is not None and "parent" in plan and plan["parent"] != self._parent
        if plan is not None and done and plan["parent"] == self.snapshot.parent:
            # The kill came after the commit of what this folder holds, before the folder was removed.
            stage.discard(self._folder)
            return None
        return plan

    @property
    def _parent(self) -> str | None:
        return self.snapshot.id if self._committed else None

    def _plan(self) -> dict[str, Any]:
        return {
            "parent": self._parent,
            "root": self._source,
            "models": [channel.model_digest for channel in self.snapshot.channels],
            "views": self.snapshot.views,
            "rows": [channel.rows for channel in self.snapshot.channels],
            "policy": self.snapshot.policy_digest,
        }

    def _shape(self) -> tuple[list[int], list[str]]:
        return [channel.dim for channel in self.snapshot.channels], [channel.rows for channel in self.snapshot.channels]

    @property
    def staged(self) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
        """Catalog rows and reject rows that are stored and not committed."""
        return (self._staging.rows, self._staging.rejects) if self._staging is not None else ((), ())

    def sealed(self) -> tuple[frozenset[str], list[dict[str, Any]]]:
        """Segments that the unfinished run has committed already, and their reject rows."""
        before = {s.id for s in read_snapshot(self.index, self._base).segments} if self._base else set()
        own = [segment for segment in self.snapshot.segments if segment.id not in before]
        return frozenset(s.id for s in own), [row for segment in own for row in self._rejects_of(segment)]

    # -- writing --------------------------------------------------------------------------------------------------

    def append(self, images: Embedded, refused: Sequence[Refused] = ()) -> Stored:
        """Store a batch of embedded images durably. An image replaces, at the next commit, what its path held.

        Args:
            images: what ``embed_batch`` made of them; any views.
            refused: files that were no acceptable images; they are listed as rejects. What was stored of such a file
                is dropped at the next commit, unless it could not be read and may still be there.
        """
        rows = [as_dict(file.row(view)) for file, view in images.kept]
        rejects = [as_dict(one.row()) for one in [*refused, *images.refused]]
        self._make_room({row["path"] for row in rows}.union(row["path"] for row in rejects))
        fresh = [row for row in rejects if reject_key(row) not in self._known_rejects]
        if rows or fresh:
            self._open_staging().append(rows, images.vectors, fresh)
        self._bad.update(row["path"] for row in rejects if content_is_gone(row))
        return Stored(len({row["id"] for row in rows}), tuple(rejects))

    def _make_room(self, paths: set[str]) -> None:
        """Begin a new segment where this one is full, or where a path comes again: the later content replaces it."""
        staging = self._staging
        if staging is not None and (len(staging.rows) >= self._segment_rows or not paths.isdisjoint(staging.paths)):
            self._store()

    def _open_staging(self) -> stage.Staging:
        if self._staging is None:
            if not self._begun:
                write_atomically(self._mark, canonical_json({"base": self._base}))
                self._begun = True
            self._staging = stage.begin(self._folder, self._plan(), *self._shape())
        return self._staging

    def remove(self, *, ids: Iterable[str] = (), paths: Iterable[str] = ()) -> int:
        """Take items out of the index with the next commit.

        Args:
            ids: of committed items.
            paths: of committed items, as the catalog has them.

        Returns:
            How many items were not marked before.

        Raises:
            UsageError: the index holds no such item; nothing is marked then.
        """
        named, located = list(dict.fromkeys(ids)), list(dict.fromkeys(paths))
        places = np.concatenate(
            [_all(self.held.named(named), named, "id"), _all(self.held.located(located), located, "path")]
        )
        before = len(self._removed)
        self._removed.update(places.tolist())
        return len(self._removed) - before

    def label(self, rows: Iterable[Row]) -> None:
        """Set labels (path, key, value) with the next commit, of files that the index holds then; "" takes one away."""
        self._told.extend(rows)

    def commit(self) -> Snapshot:
        """Make all that was appended and removed part of the index; the run is finished.

        Returns:
            The new snapshot; the old one where nothing has changed.
        """
        self._store(self._told)
        self._told = []
        self._mark.unlink(missing_ok=True)
        self._begun, self._base = False, self._parent
        return self.snapshot

    def set_thresholds(self, thresholds: Sequence[Threshold], *, on: str) -> Snapshot:
        """Commit new thresholds.

        Args:
            thresholds: one for each channel.
            on: id of the snapshot whose rows they were set on.

        Raises:
            IndexStateError: the index is at another snapshot by now, or something is waiting for a commit.
        """
        self._check_idle()
        if self.snapshot.id != on:
            raise IndexStateError(f"{self.index} is at snapshot {self.snapshot.id} by now, and no longer at {on}")
        channels = tuple(replace(c, threshold=t) for c, t in zip(self.snapshot.channels, thresholds, strict=True))
        self.snapshot = commit(self.index, replace(self.snapshot, channels=channels, parent=on, created=""))
        return self.snapshot

    def declare(self, declared: Mapping[str, str]) -> Snapshot:
        """Commit which pictures are one item: pixels → the pixels that name it; an empty map withdraws all.

        Raises:
            IndexStateError: something is waiting for a commit.
        """
        self._check_idle()
        digest = write_declared(self.index, declared)
        if digest != self.snapshot.declared:
            grown = replace(self.snapshot, declared=digest, parent=self.snapshot.id, created="")
            self.snapshot = commit(self.index, replace(grown, channels=self._renewed(grown)))
        return self.snapshot

    def rule(self, rules: Sequence[Rule]) -> Snapshot:
        """Commit the rules for some of the items, in place of those that there were.

        Raises:
            IndexStateError: something is waiting for a commit.
        """
        self._check_idle()
        if tuple(rules) != self.snapshot.rules:
            self.snapshot = commit(
                self.index, replace(self.snapshot, rules=tuple(rules), parent=self.snapshot.id, created="")
            )
        return self.snapshot

    def restore(self, name: str) -> Snapshot:
        """Make an earlier snapshot the current one again.

        Raises:
            IntegrityError: it is missing or damaged.
            IndexStateError: something is waiting for a commit.
        """
        self._check_idle()
        commit(self.index, read_snapshot(self.index, name))
        self._read()
        return self.snapshot

    def compact(self) -> Snapshot:
        """Commit the same live rows in as few segments as they need; the old snapshot where that is what it has.

        Raises:
            IndexStateError: something is waiting for a commit.
        """
        self._check_idle()
        merged = compacted(self.index, self.snapshot, self.held, segment_rows=self._segment_rows)
        if merged is not self.snapshot:
            commit(self.index, merged)
            self._read()
        return self.snapshot

    def _check_idle(self) -> None:
        if self._staging is not None or self._removed or self._told:
            raise IndexStateError("commit what was appended, removed and labelled first")

    # -- commits --------------------------------------------------------------------------------------------------

    def _store(self, told: Sequence[Row] = ()) -> None:
        rows, rejects = self.staged
        replaced = self.held.located({row["path"] for row in rows})
        dropped = np.setdiff1d(self.held.located(self._bad), replaced)
        gone = np.union1d(np.union1d(replaced, dropped), np.fromiter(self._removed, np.int64)).astype(np.int64)
        if rows or rejects or len(gone) or told or not self._committed:
            self._replace_snapshot(gone, told)
        self._staging = None
        stage.discard(self._folder)
        self.replaced, self.dropped = self.replaced + len(replaced), self.dropped + len(dropped)
        self._removed, self._bad = set(), set()

    def _replace_snapshot(self, gone: Places, told: Sequence[Row]) -> None:
        tombstones, blank = self._tombstones(gone), self._still_blank(gone)
        segments, left = self.snapshot.segments, self.held.without(gone)
        staging = self._staging
        if staging is not None and (staging.rows or staging.rejects):
            known = left.first_by_pixels({row["pixels_sha256"] for row in staging.rows})
            rows = mark_duplicates(staging.rows, known)
            taken = {segment.id for segment in segments}
            sealed = stage.seal(staging, self.index, rows, place=len(segments), taken=taken)
            segments = (*segments, sealed)
            left = left.plus(rows, segments[-1].id)
            new = tuple(sorted({str(row["id"]) for row in rows if row["view"] == BLANK}))
            tombstones[segments[-1].id] = blank[segments[-1].id] = new
        labels = self._labels(left, told)
        grown = replace(self.snapshot, segments=segments, tombstones=tombstones, blank=blank, labels=labels)
        if grown.as_json() == self.snapshot.as_json() and self._committed:
            return  # all labels were there
        grown = replace(grown, parent=self._parent, created="")
        if len(gone) or segments != self.snapshot.segments or not self._committed:
            grown = replace(grown, channels=self._renewed(grown))
        self.snapshot = commit(self.index, grown)
        self._committed, self.held = True, left
        if staging is not None:
            self._known_rejects.update(map(reject_key, staging.rejects))

    def _renewed(self, grown: Snapshot) -> tuple[ChannelSpec, ...]:
        return renew_thresholds(self.index, grown, self._progress)

    def _labels(self, left: Held, told: Sequence[Row]) -> str | None:
        """The labels of the next snapshot: with what was told of items that it holds, without removed items."""
        if not told and (not self._removed or self.snapshot.labels is None):
            return self.snapshot.labels
        removed = self.held.table["path"].take(np.fromiter(self._removed, np.int64)).to_pylist()
        places = left.find([path for path, _, _ in told]).tolist()
        known = [row for row, place in zip(told, places, strict=True) if place >= 0]
        return write_labels(self.index, labels_of(self.index, self.snapshot).without(removed).with_rows(known))

    def _tombstones(self, gone: Places) -> dict[str, tuple[str, ...]]:
        merged = {segment: set(ids) for segment, ids in self.snapshot.tombstones.items()}
        for segment, ids in self.held.by_segment(gone).items():
            merged.setdefault(segment, set()).update(ids)
        return {segment: tuple(sorted(ids)) for segment, ids in merged.items()}

    def _still_blank(self, gone: Places) -> dict[str, tuple[str, ...]]:
        left = self.held.by_segment(gone)
        return {
            segment: tuple(sorted(set(ids).difference(left.get(segment, ()))))
            for segment, ids in self.snapshot.blank.items()
        }


def _all(places: Places, wanted: Sequence[str], what: str) -> Places:
    if len(places) < len(wanted):
        raise UsageError(f"{len(wanted) - len(places)} of {len(wanted)} items are not in the index by their {what}")
    return places
