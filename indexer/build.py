"""``retr index``: corpus → decode → embed → Writer, with nothing lost or repeated by a kill."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import IndexStateError, UsageError
from ..core.progress import Progress, begin
from ..images.isolated import Decoder, decoder
from .devices import Team, open_teams, spare_team
from .embed import Embedded, embed_batch
from .entries import may_be_read
from .errand import Errand, Sent, Wanted, recipe_of
from .flow import Batch, Flow
from .forget import check_forgotten, files_gone
from .gallery import make_filters, open_gallery
from .labels import Row, id_of, read_label_file
from .lock import HOLDER
from .options import IndexOptions, IndexReport, check_options, choose_devices, template
from .prepare import Prepared, Refused, prepare
from .presumed import company_of
from .snapshot import Snapshot, read_current, require_current
from .sources import Corpus, read_corpora
from .writer import Writer

_OWN = frozenset(
    {
        "CURRENT",
        "decisions.parquet",
        "declared",
        "dismissed.parquet",
        "gaps",
        "labels",
        HOLDER,
        "lock",
        "models",
        "negatives",
        "references",
        "run.json",
        "segments",
        "snapshots",
        "staging",
    }
)
"""What an index is made of; all but the first may be all there is after a kill."""


def build_index(
    source: str | Sequence[str],
    index: Path,
    options: IndexOptions,
    progress: Progress,
    *,
    sent: Sent | None = None,
    create: bool = True,
) -> IndexReport:
    """Index a corpus into a new or an existing index.

    Args:
        source: folder, list file or ``-`` (see ``sources.read_corpus``), or several of these.
        index: the index folder.
        options: what to do.
        progress: told how far it is.
        sent: makes the rows elsewhere; None for this process. The index is the same.
        create: make an index where there is none.

    Raises:
        UsageError: bad options, options that differ from what the index holds, a source that lists nothing, or a folder
            that is no index and holds other files.
        IndexStateError: no index and not ``create``, an unfinished run and neither resume nor restart, another writer,
            or most of what the index holds of a folder would be forgotten.
        IntegrityError: what the index holds is damaged.
    """
    check_options(options)
    if not create:
        require_current(index)
    if index.exists() and not index.is_dir():
        raise UsageError(f"{index} is a file; the index is a folder")
    _require_room(index)
    base = template(read_current(index) if index.exists() else None, options)
    corpus = read_corpora([source] if isinstance(source, str) else source, exclude=index)
    if not corpus.seen and not options.prune_all:
        named = source if isinstance(source, str) else ", ".join(source)
        raise UsageError(f"{named!r} lists no files: nothing to index, and nothing is forgotten. Is a disk missing?")
    teams = open_teams(index, base.channels, choose_devices(options), progress)
    writer = Writer(
        index,
        create=base if create else None,
        source=corpus.root,
        resume=options.resume,
        restart=options.restart,
        segment_rows=options.segment_rows,
        progress=progress,
    )
    with writer, decoder(options.isolate, options.workers) as decode:
        _check_same(writer.snapshot, base, index)
        return _Run(writer, options, corpus, teams, progress, decode, sent).go()


def _require_room(index: Path) -> None:
    """An index is never begun among other files, least of all among the images."""
    if (index / "CURRENT").exists() or not index.exists():
        return
    others = sorted(name for name in os.listdir(index) if name not in _OWN and not name.startswith("."))
    if others:
        named = f"{others[0]!r}{', …' if len(others) > 1 else ''}"
        raise UsageError(f"{index} is no index and holds other files ({named}); name a new or an empty folder for it")


def _check_same(held: Snapshot, expected: Snapshot, index: Path) -> None:
    if [c.model_digest for c in held.channels] != [c.model_digest for c in expected.channels]:
        raise IndexStateError(f"another process has made {index} with other models in the meantime")


class _Run:
    """One run of the pipeline over one corpus."""

    def __init__(
        self,
        writer: Writer,
        options: IndexOptions,
        corpus: Corpus,
        teams: Sequence[Team],
        progress: Progress,
        decode: Decoder,
        sent: Sent | None,
    ) -> None:
        self.writer, self.options, self.corpus, self.teams, self.sent = writer, options, corpus, teams, sent
        self.progress = progress
        self.report = IndexReport(index=str(writer.index))
        self.recipe = recipe_of(writer.snapshot, teams[0], decode)
        self.held = writer.held  # as the run finds it: commits on the way change nothing for files not looked at yet
        self.unreadable: set[str] = set()
        self.gone = self._gone() if options.prune or options.prune_all else []
        self.listed = [] if options.label_file is None else read_label_file(options.label_file)

    def go(self) -> IndexReport:
        began = time.perf_counter()
        done = self._rejoin()
        todo = self._todo(done)
        self.report.seen = self.corpus.seen
        self.report.skipped += self.corpus.repeated
        self._begin(len(self.corpus.paths) - len(todo))
        nothing = embed_batch([], self.teams[0], self.recipe)
        self._store(nothing, [Refused(path, why) for path, why in self.corpus.unlistable if path not in done])
        with closing(self._batches(todo)) as batches:
            for batch in batches:
                self._take(batch)
        self._finish()
        self.report.wall_s = time.perf_counter() - began
        return self.report

    def _batches(self, todo: Mapping[str, int]) -> Generator[Batch]:
        if self.sent is None:
            return self._flow(todo).batches(list(todo))
        stored = {path: self.held.at(place)["bytes_sha256"] for path, place in todo.items() if place >= 0}
        wanted = [Wanted(path, self.corpus.stamp(path), stored.get(path)) for path in todo]
        return self.sent(Errand(self.writer.index.resolve(), self.writer.snapshot, self.options), wanted)

    def _flow(self, todo: Mapping[str, int]) -> Flow[str]:
        return Flow(
            partial(prepare, recipe=self.recipe, stamp=self.corpus.stamp),
            self.recipe,
            self.teams,
            self.options.workers,
            self.options.batch_size,
            spare_team(self.teams[0], self.progress),
            lambda file: self._same_content(file, todo[file.path]),
        )

    def _take(self, batch: Batch) -> None:
        self.report.skipped += batch.unchanged
        self.report.notes += batch.notes
        base = self.writer.snapshot
        self._store(batch.embedded, batch.refused)
        for stage, seconds in batch.seconds.items():
            self.report.seconds[stage] += seconds
        if self.writer.snapshot is not base:  # a segment was sealed, and its gaps were measured
            self._begin(self.through)
        self.through += batch.images
        self.progress.advance(batch.images)

    def _begin(self, done: int) -> None:
        self.through = done
        begin(self.progress, "indexing", len(self.corpus.paths), done)

    # -- what there is to do --------------------------------------------------------------------------------------

    def _gone(self) -> list[str]:
        """What is to be forgotten; refused before anything is done."""
        gone, count = files_gone(self.held, self.corpus)
        if not self.options.prune_all:
            check_forgotten(gone, count, index=self.writer.index, root=str(self.corpus.root))
        return gone

    def _rejoin(self) -> set[str]:
        """Count what an unfinished run had done before it was interrupted; returns the paths that it was through with.

        Images of its sealed segments are counted by ``_todo``, which looks whether they are still the same.
        """
        here = {*self.corpus.paths, *(path for path, _ in self.corpus.unlistable)}  # files may have gone since
        staged, refused = self.writer.staged
        self.own, sealed = self.writer.sealed()
        stored = {str(row["path"]) for row in staged}
        self._count_done(len(stored & here))
        rejects = [row for row in [*sealed, *refused] if row["path"] in here]
        self._count_rejects(rejects)
        return stored.union(str(row["path"]) for row in [*sealed, *refused])

    def _todo(self, done: set[str]) -> dict[str, int]:
        """What has to be read: path → place in ``held`` of what is stored of it, −1 for nothing."""
        table = self.held.table
        sizes, times = np.asarray(table["bytes"]), np.asarray(table["mtime_ns"])
        own = self.held.of_segments(self.own)
        todo = {}
        for path, place in zip(self.corpus.paths, self.held.find(self.corpus.paths).tolist(), strict=True):
            if path in done:
                continue
            if place < 0 or self._touched(path, (int(sizes[place]), int(times[place]))):
                todo[path] = place
            elif own[place]:
                self._count_done(1)
            else:
                self.report.skipped += 1
        return todo

    def _touched(self, path: str, stamp: tuple[int, int]) -> bool:
        """Whether a file must be read again: it was changed, or (where that matters) can no longer be read."""
        unchanged = self.corpus.unchanged(path, *stamp)
        return not unchanged or (self.options.prune and not may_be_read(path))

    def _same_content(self, file: Prepared, place: int) -> bool:
        """Touched, not changed: its rows are already there."""
        return place >= 0 and self.held.at(place)["bytes_sha256"] == file.bytes_sha256

    # -- doing it -------------------------------------------------------------------------------------------------

    def _store(self, embedded: Embedded, refused: Sequence[Refused]) -> None:
        began = time.perf_counter()
        stored = self.writer.append(embedded, refused)
        self.report.indexed += stored.items
        self._count_rejects(stored.rejects)
        self.unreadable.update(row["path"] for row in stored.rejects if row["error"] == "unreadable")
        self.report.seconds["write"] += time.perf_counter() - began

    def _finish(self) -> None:
        began = time.perf_counter()
        lost = self._lost()
        self.writer.remove(paths=[*self.gone, *lost])
        self.writer.label(told := self._told())
        self.report.snapshot = self.writer.commit().id
        self.report.rows, self.report.items = self.writer.held.rows, self.writer.held.items
        make_filters(self.writer.index, self.writer.snapshot)
        self._count_company()
        self.report.replaced, self.report.dropped = self.writer.replaced, self.writer.dropped + len(lost)
        self.report.pruned = len(self.gone)
        self._count_labels(told)
        self.report.seconds["write"] += time.perf_counter() - began

    def _lost(self) -> list[str]:
        """Items whose files are there and cannot be read, where the rest is to be forgotten.

        As with files that are gone, more than half of all are no faults of files: then all of them stay.
        """
        held = self.writer.held
        lost = [path for path in held.table["path"].to_pylist() if path in self.unreadable] if self.unreadable else []
        few = 2 * (len(lost) + len(self.gone)) <= held.table.num_rows
        return lost if self.options.prune_all or (self.options.prune and few) else []

    def _count_company(self) -> None:
        index = self.writer.index
        company = company_of(index, open_gallery(index, self.writer.snapshot, rows=False))
        self.report.presumed, self.report.presumed_groups = company.presumed, company.groups
        self.report.crowded = company.crowded

    def _told(self) -> list[Row]:
        """Labels of this run: what holds for all of its files, then what the file of labels says of each."""
        source, pairs, root = self.options.id_from, self.options.labels, self.corpus.root
        ids = [(path, "id", id_of(path, source, root)) for path in self.corpus.paths if source is not None]
        fixed = [(path, key, value) for path in self.corpus.paths for key, value in pairs]
        return [*ids, *fixed, *self.listed]

    # -- counting -------------------------------------------------------------------------------------------------

    def _count_done(self, files: int) -> None:
        self.report.recovered += files
        self.report.indexed += files

    def _count_rejects(self, rejects: Iterable[Mapping[str, Any]]) -> None:
        for row in rejects:
            self.report.rejected += 1
            self.report.reasons[row["error"]] = self.report.reasons.get(row["error"], 0) + 1

    def _count_labels(self, told: Sequence[Row]) -> None:
        paths = list(dict.fromkeys(path for path, _, _ in told))
        places = dict(zip(paths, self.writer.held.find(paths).tolist(), strict=True))
        self.report.labelled = sum(place >= 0 for place in places.values())
        self.report.strangers = len({path for path, _, _ in self.listed if places[path] < 0})
