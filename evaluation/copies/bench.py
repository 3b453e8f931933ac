"""``retr bench-copies``: edited gallery items against an index with distractors, negatives against its thresholds."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import UsageError
from ...core.files import digest_json
from ...core.progress import Progress, begin
from ...core.rounded import budget_text
from ...indexer.addresses import split_address
from ...indexer.entries import Entry
from ...indexer.sources import list_entries
from ..shared.images import halves
from ..shared.run_folder import open_run
from ..systems.index_system import EngineSystem, open_at
from .asking import ask
from .index import BenchIndex, open_index
from .known_copies import read_known_copies
from .plan import CopyPlan
from .queries import (
    Item,
    Negatives,
    all_asked,
    find_negatives,
)
from .records import FORMAT
from .summary import CopySummary, summarise
from .systems import Corpora, absent_hashes, open_systems


@dataclass(frozen=True)
class CopyResult:
    """A finished benchmark.

    Attributes:
        run: its id; records: the Parquet file; index: the folder of the index it used.
        skipped: queries left out, and baselines that cannot be had here, by reason.
        seconds: wall time by stage.
        absent: those baselines.
    """

    run: str
    records: Path
    index: Path
    summary: CopySummary
    skipped: dict[str, int]
    seconds: dict[str, float]
    absent: tuple[str, ...] = ()


@dataclass
class _Clock:
    """Wall time by stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.began
        self.began = now


def run_copy_bench(plan: CopyPlan, progress: Progress) -> CopyResult:
    """Run a whole benchmark and write its records to ``plan.out/<run>/records.parquet``.

    Raises:
        UsageError: a source that holds nothing, or too few negatives for the false-match rate.
        ModelError: a model that cannot be had here; a baseline is left out, with the reason.
        IntegrityError: an index that is damaged.
    """
    clock = _Clock()
    absent = absent_hashes(plan)
    corpora = _list(plan)
    place = open_run(FORMAT, plan=plan.as_json(), command=plan.command, out=None, home=plan.out, resume=plan.resume)
    bench = open_index(plan, plan.models, corpora.gallery, corpora.distractors, progress)
    main = open_at(bench.path, bench.snapshot, device=plan.device)
    clock.lap("index")
    negatives = _negatives(plan, corpora, main, progress)
    systems, facts = open_systems(plan, corpora, bench, main, negatives, absent, progress)
    clock.lap("thresholds and baselines")
    asked = all_asked(_items(main, bench, corpora.gallery), negatives, plan)
    counts = {"setting": len(negatives.setting), "measuring": len(negatives.measuring)}
    counts |= {"present": negatives.present, "refused": negatives.refused, "known_copies": corpora.known}
    queries = digest_json([[one.item.entry.name, one.item.pixels_sha256, one.family] for one in asked])
    place.begin({"systems": facts, "negatives": counts, "queries": queries})
    if not place.finished:
        ask(plan, systems, asked, place, absent, progress)
    clock.lap("queries")
    records = FORMAT.read(place.records)
    skipped = dict(records.facts["skipped"])
    return CopyResult(place.run, place.records, bench.path, summarise(records), skipped, clock.seconds, tuple(absent))


def _list(plan: CopyPlan) -> Corpora:
    gallery = list_entries(plan.gallery, exclude=plan.out)
    members = [split for entry in gallery if (split := split_address(entry.name)) is not None]
    if members:
        raise UsageError(f"the gallery takes image files, and {members[0][0]} is an archive; unpack it")
    negatives = list_entries(plan.negatives, exclude=plan.out) if plan.negatives is not None else ()
    distractors: list[Entry] = []
    for source in plan.distractors:
        entries = list_entries(source, exclude=plan.out)
        if plan.negatives is not None and source.resolve() == plan.negatives.resolve():
            stored, absent = halves(entries, seed=plan.seed, purpose="copy-negatives")
            entries, negatives = tuple(stored), tuple(absent)
        distractors.extend(entries)
    known = 0
    if plan.known_copies is not None:
        copies = read_known_copies(plan.known_copies)
        negatives, known = copies.without(negatives, (*gallery, *distractors))
    _check_enough(plan, len(negatives))
    return Corpora(gallery, tuple(distractors), negatives, known)


def _check_enough(plan: CopyPlan, count: int) -> None:
    """Before hours of indexing: half of the negatives set the thresholds, one for each channel."""
    if plan.negatives is None or not plan.calibrates:
        return
    needed = 2 * (math.ceil(len(plan.models) / plan.fpr) - 1)
    if count < needed:
        raise UsageError(
            f"{plan.negatives} gives {count} negatives; a false-match rate of {budget_text(plan.fpr)} over "
            f"{len(plan.models)} channel(s) needs {needed}, half of them to set the thresholds; give more, or raise fpr"
        )


def _negatives(plan: CopyPlan, corpora: Corpora, main: EngineSystem, progress: Progress) -> Negatives:
    if not corpora.negatives:
        return Negatives()
    begin(progress, "reading negatives", 0)
    stored = main.engine.gallery.catalog["pixels_sha256"].to_pylist()
    return find_negatives(corpora.negatives, set(stored), plan)


def _items(main: EngineSystem, bench: BenchIndex, gallery: Sequence[Entry]) -> list[Item]:
    """The gallery's items: one file for each, the first of those with the same pixels."""
    catalog = main.engine.gallery.catalog.slice(0, bench.gallery_rows)
    by_name = {entry.name: entry for entry in gallery}
    first: dict[str, Item] = {}
    columns = (catalog["path"].to_pylist(), catalog["pixels_sha256"].to_pylist())
    for path, digest in zip(*columns, strict=True):
        first.setdefault(digest, Item(by_name[path], digest))
    return list(first.values())
