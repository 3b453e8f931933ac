"""``retr index``: corpus → decode → embed → segment → snapshot, with nothing lost or repeated by a kill."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import ImageRejected, IndexStateError, UsageError
from ..core.files import canonical_json, write_atomically
from ..embedding.contract import Embedder
from ..images.policy import DecodePolicy
from ..images.views import VIEW_SETS
from . import staging as stage
from .catalog import CatalogRow, RejectRow, as_dict, item_id, mark_duplicates, read_rejects
from .corpus import Corpus, file_stamp, iter_batches, read_corpus, text_to_path
from .embed import embed_batch, prepare_all
from .gallery import Gallery, open_gallery
from .gaps import measure_gaps, read_gaps, write_gaps
from .lock import writer_lock
from .models import keep_model, open_model
from .options import IndexOptions, IndexReport, Progress, check_options, choose_device, template
from .prepare import Prepared, Recipe, Refused
from .snapshot import ChannelSpec, SegmentInfo, Snapshot, commit, read_current, read_snapshot
from .thresholds import leave_one_out


def build_index(source: str, index: Path, options: IndexOptions, progress: Progress) -> IndexReport:
    """Index a corpus into a new or an existing index.

    Args:
        source: folder, list file or ``-`` (see ``corpus.read_corpus``).
        index: the index folder; made if absent.
        options: what to do.
        progress: told how far it is.

    Raises:
        UsageError: bad options, or options that differ from what the index holds.
        IndexStateError: an unfinished run and neither resume nor restart, or another writer.
    """
    check_options(options)
    if index.exists() and not index.is_dir():
        raise UsageError(f"{index} is a file; the index is a folder")
    current = read_current(index) if index.exists() else None
    base = template(current, options)
    corpus = read_corpus(source, exclude=index)
    embedders = tuple(open_model(index, channel, device=choose_device(options)) for channel in base.channels)
    index.mkdir(parents=True, exist_ok=True)
    with writer_lock(index):
        return _Run(index, options, corpus, embedders, read_current(index), base, progress).go()


class _Run:
    """One run of the pipeline over one corpus. Holds the writer's lock throughout."""

    def __init__(
        self,
        index: Path,
        options: IndexOptions,
        corpus: Corpus,
        embedders: tuple[Embedder, ...],
        current: Snapshot | None,
        base: Snapshot,
        progress: Progress,
    ) -> None:
        self.index, self.options, self.corpus, self.embedders = index, options, corpus, embedders
        self.snapshot = current or replace(base, channels=tuple(keep_model(index, c) for c in base.channels))
        self.committed = current is not None
        self.progress = progress
        self.report = IndexReport(index=str(index))
        policy = DecodePolicy.from_json(dict(base.policy))
        self.recipe = Recipe(policy, VIEW_SETS[base.views], tuple({e.input_size for e in embedders}))
        self.known = self._known()
        self.old_rejects = self._old_rejects()

    # -- what is already there ------------------------------------------------------------------------------------

    def _known(self) -> dict[str, dict[str, Any]]:
        """Live items by path: id, segment, stamp and content digest."""
        if not self.committed:
            return {}
        gallery = open_gallery(self.index, self.snapshot, rows=False)
        columns = ("id", "path", "bytes", "mtime_ns", "bytes_sha256", "pixels_sha256", "segment")
        table = gallery.catalog.select(list(columns)).to_pylist()
        return {row["path"]: row for row, live in zip(table, gallery.live, strict=True) if live}

    def _old_rejects(self) -> set[tuple[Any, ...]]:
        folders = [self.index / "segments" / s.id for s in self.snapshot.segments if s.rejects]
        rows = [row for folder in folders for row in read_rejects(folder / "rejects.parquet").to_pylist()]
        return {(row["path"], row["error"], row["bytes"]) for row in rows}

    # -- the run --------------------------------------------------------------------------------------------------

    def go(self) -> IndexReport:
        began = time.perf_counter()
        self.staging = self._open_staging()
        earlier = self._begin_or_rejoin()
        done = {row["path"] for row in earlier} | self.staging.done_paths()
        todo = self._todo(done)
        self.report.seen = len(self.corpus.paths) + self.corpus.repeated + len(self.corpus.unlistable)
        self.report.skipped += self.corpus.repeated
        self.progress.start(len(self.corpus.paths), len(self.corpus.paths) - len(todo))
        try:
            self._work(todo, done)
        finally:
            self.staging.close()
        self.report.wall_s = time.perf_counter() - began
        return self.report

    def _open_staging(self) -> stage.Staging:
        folder = self.index / "staging"
        begun = stage.unfinished_plan(folder)
        if begun is not None and begun["parent"] != self._parent() and begun["parent"] == self.snapshot.parent:
            # The kill came after the commit of what this folder holds, before the folder was removed.
            stage.discard(folder)
            begun = None
        shape = [c.dim for c in self.snapshot.channels], [c.rows for c in self.snapshot.channels]
        if begun is None or self.options.restart:
            return stage.begin(folder, self._plan(), *shape)
        if not self.options.resume:
            raise IndexStateError(
                f"{self.index} holds an unfinished run; go on with --resume, or drop what it had done with --restart"
            )
        return stage.resume(folder, self._plan(), *shape)

    def _parent(self) -> str | None:
        return self.snapshot.id if self.committed else None

    def _plan(self) -> dict[str, Any]:
        return {
            "parent": self._parent(),
            "root": self.corpus.root,
            "models": [channel.model_digest for channel in self.snapshot.channels],
            "views": self.snapshot.views,
            "rows": [channel.rows for channel in self.snapshot.channels],
            "policy": self.snapshot.policy_digest,
        }

    def _begin_or_rejoin(self) -> list[dict[str, Any]]:
        """Note where this run began, or find it again, and count what it had done; returns rejects it had sealed.

        ``run.json`` names the snapshot that the run started from: segments sealed since then are its own.
        """
        file = self.index / "run.json"
        rejoined = self.options.resume and file.exists()
        base = json.loads(file.read_bytes())["base"] if rejoined else self._parent()
        if not rejoined:
            write_atomically(file, canonical_json({"base": base}))
        before = {segment.id for segment in read_snapshot(self.index, base).segments} if base else set()
        sealed = [segment for segment in self.snapshot.segments if segment.id not in before]
        folders = [self.index / "segments" / segment.id for segment in sealed]
        rejects = [row for folder in folders for row in read_rejects(folder / "rejects.parquet").to_pylist()]
        here = {*self.corpus.paths, *(path for path, _ in self.corpus.unlistable)}  # files may have gone since
        names = {segment.id for segment in sealed}
        known = {path for path, row in self.known.items() if row["segment"] in names and path in here}
        self.recovered = {path for path in known if self._unchanged(path)}
        staged = {row["path"] for row in self.staging.rows} & here
        self.report.recovered = self.report.indexed = len(self.recovered) + len(staged)
        refused = [row for row in [*rejects, *self.staging.rejects] if row["path"] in here]
        self.report.rejected = len(refused)
        self._count_reasons(row["error"] for row in refused)
        return rejects

    def _todo(self, done: set[str]) -> list[str]:
        todo = []
        for path in self.corpus.paths:
            if path in done or path in self.recovered:
                continue
            if self._unchanged(path):
                self.report.skipped += 1
            else:
                todo.append(path)
        return todo

    def _unchanged(self, path: str) -> bool:
        known = self.known.get(path)
        return known is not None and file_stamp(text_to_path(path)) == (known["bytes"], known["mtime_ns"])

    def _work(self, todo: list[str], done: set[str]) -> None:
        self._store([], [Refused(path, why) for path, why in self.corpus.unlistable if path not in done])
        ready = prepare_all(todo, self.recipe, self.options.workers)
        for batch in iter_batches(todo, self.options.batch_size):
            self._start_next_segment_if_full()
            outcomes = [next(ready) for _ in batch]
            self._store(
                [o for o in outcomes if isinstance(o, Prepared) and not self._same_content(o)],
                [o for o in outcomes if isinstance(o, Refused)],
            )
            self._time(outcomes)
            self.progress.advance(len(batch))
        self._commit(final=True)
        (self.index / "run.json").unlink()

    def _start_next_segment_if_full(self) -> None:
        if len(self.staging.rows) >= self.options.segment_rows:
            self._commit(final=False)
            rows = [code.name for code in self.staging.codes]
            self.staging = stage.begin(self.index / "staging", self._plan(), self.staging.dims, rows)

    def _same_content(self, file: Prepared) -> bool:
        """Touched, not changed: its rows are already there."""
        known = self.known.get(file.path)
        same = known is not None and known["bytes_sha256"] == file.bytes_sha256
        self.report.skipped += same
        return same

    def _time(self, outcomes: Sequence[Prepared | Refused]) -> None:
        self.report.seconds["decode"] += sum(o.decode_s for o in outcomes)
        self.report.seconds["resize"] += sum(o.resize_s for o in outcomes if isinstance(o, Prepared))

    def _store(self, files: list[Prepared], refused: list[Refused]) -> None:
        began = time.perf_counter()
        embedded = embed_batch(files, self.embedders, self.recipe)
        middle = time.perf_counter()
        rows = [as_dict(self._row(file, view)) for file, view in embedded.kept]
        rejects = [as_dict(_reject_row(r.path, r.why)) for r in [*refused, *embedded.refused]]
        fresh = [r for r in rejects if (r["path"], r["error"], r["bytes"]) not in self.old_rejects]
        if rows or fresh:
            self.staging.append(rows, embedded.vectors, fresh)
        self.report.indexed += len({row["id"] for row in rows})
        self.report.rejected += len(rejects)
        self._count_reasons(row["error"] for row in rejects)
        self.report.seconds["embed"] += middle - began
        self.report.seconds["write"] += time.perf_counter() - middle

    def _count_reasons(self, reasons: Any) -> None:
        for reason in reasons:
            self.report.reasons[reason] = self.report.reasons.get(reason, 0) + 1

    def _row(self, file: Prepared, view: str) -> CatalogRow:
        return CatalogRow(
            id=item_id(file.path, file.bytes_sha256),
            path=file.path,
            bytes_sha256=file.bytes_sha256,
            pixels_sha256=file.pixels_sha256,
            bytes=file.byte_count,
            mtime_ns=file.mtime_ns,
            width=file.width,
            height=file.height,
            format=file.format,
            view=view,
        )

    # -- commits --------------------------------------------------------------------------------------------------

    def _commit(self, *, final: bool) -> None:
        began = time.perf_counter()
        tombstones = self._tombstones(final)
        changed = bool(self.staging.rows or self.staging.rejects) or tombstones != self.snapshot.tombstones
        if changed or not self.committed:
            self._replace_snapshot(tombstones)
        stage.discard(self.index / "staging")
        gallery = open_gallery(self.index, self.snapshot, rows=False)
        self.report.snapshot, self.report.rows = self.snapshot.id, int(gallery.live.sum())
        self.report.items = gallery.items
        self.report.seconds["write"] += time.perf_counter() - began

    def _replace_snapshot(self, tombstones: dict[str, tuple[str, ...]]) -> None:
        segments: tuple[SegmentInfo, ...] = self.snapshot.segments
        if self.staging.rows or self.staging.rejects:
            rows = mark_duplicates(self.staging.rows, self._first_by_pixels(tombstones))
            segments = (*segments, stage.seal(self.staging, self.index, rows, place=len(segments)))
        grown = replace(
            self.snapshot, segments=segments, tombstones=tombstones, parent=self._parent(), created="", channels=()
        )
        channels = _provisional(self.index, replace(grown, channels=self.snapshot.channels))
        self.snapshot = commit(self.index, replace(grown, channels=channels))
        self.committed = True
        self.known = self._known()
        self.old_rejects = self._old_rejects()

    def _tombstones(self, final: bool) -> dict[str, tuple[str, ...]]:
        """What is no longer true: older content of files stored anew and, with prune, files that are gone."""
        gone = {path: row for path in {r["path"] for r in self.staging.rows} if (row := self.known.get(path))}
        self.report.replaced += len(gone)
        if final and self.options.prune and self.corpus.root is not None:
            prefix, present = self.corpus.root.rstrip("/") + "/", set(self.corpus.paths)
            pruned = {p: r for p, r in self.known.items() if p.startswith(prefix) and p not in present}
            self.report.pruned = len(pruned)
            gone.update(pruned)
        merged = {segment: set(ids) for segment, ids in self.snapshot.tombstones.items()}
        for row in gone.values():
            merged.setdefault(row["segment"], set()).add(row["id"])
        return {segment: tuple(sorted(ids)) for segment, ids in merged.items()}

    def _first_by_pixels(self, tombstones: dict[str, tuple[str, ...]]) -> dict[str, str]:
        dead = {(segment, name) for segment, names in tombstones.items() for name in names}
        first: dict[str, str] = {}
        for row in self.known.values():
            if (row["segment"], row["id"]) not in dead:
                first.setdefault(row["pixels_sha256"], row["id"])
        return first


def _provisional(index: Path, snapshot: Snapshot) -> tuple[ChannelSpec, ...]:
    """Channels with thresholds from the gallery itself; a calibrated one stays, marked as older than the rows."""
    gallery = open_gallery(index, snapshot)
    return tuple(_with_threshold(index, gallery, number) for number in range(len(snapshot.channels)))


def _with_threshold(index: Path, gallery: Gallery, number: int) -> ChannelSpec:
    channel = gallery.snapshot.channels[number]
    if channel.threshold is not None and channel.threshold.source == "calibrated":
        threshold = replace(channel.threshold, stale=True)
        if threshold.gaps is not None:  # rows that are new have none yet
            gaps = measure_gaps(gallery, number, old=read_gaps(index, threshold.gaps))
            threshold = replace(threshold, gaps=write_gaps(index, gallery.snapshot, gaps))
        return replace(channel, threshold=threshold)
    return replace(channel, threshold=leave_one_out(gallery.stores[number], gallery.groups, gallery.originals()))


def _reject_row(path: str, why: ImageRejected) -> RejectRow:
    return RejectRow(path=path, stage=why.stage, error=why.reason, detail=why.detail, bytes=why.byte_count)
