"""``retr bench-copies``: edited gallery items against an index with distractors, negatives against its thresholds."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ...core.errors import UsageError
from ...core.files import digest_json
from ...core.progress import Progress, begin
from ...core.rounded import budget_text
from ...indexer.addresses import split_address
from ...indexer.entries import Entry
from ...indexer.sources import list_entries
from ..edits.summary import RangeSummary
from ..shared.images import halves, listing_digest
from ..shared.records import Records
from ..shared.run_folder import RunFolder, open_run
from ..systems.index_system import EngineSystem, open_at
from .asking import ask
from .index import BenchIndex, digests_of, open_index
from .known_copies import read_known_copies
from .plan import CopyPlan
from .queries import Item, Negatives, all_asked, find_negatives
from .ranges import prove_queries, proved_queries
from .records import FORMAT
from .summary import CopySummary, summarise
from .systems import Corpora, absent_hashes, open_systems


@dataclass(frozen=True)
class CopyResult:
    """A finished benchmark.

    Attributes:
        run: its id.
        path: the Parquet file; records: its content.
        stored: whether the run had been finished before, and is only told again.
    """

    run: str
    path: Path
    records: Records
    stored: bool = False

    @cached_property
    def summary(self) -> CopySummary:
        """Computed from the records alone."""
        return summarise(self.records)

    @cached_property
    def edits(self) -> RangeSummary | None:
        """What is proved of edits of the queries; None where it was not asked for."""
        return proved_queries(self.path.parent)

    @property
    def index(self) -> Path:
        """Folder of the index that was asked."""
        return self.path.parent.parent / self.records.facts["systems"][0]["index"]

    @property
    def skipped(self) -> dict[str, int]:
        """Queries left out, and baselines that cannot be had here, by reason."""
        return dict(self.records.facts["skipped"])

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time by stage; none in the records of older versions."""
        return dict(self.records.facts.get("seconds", {}))

    @property
    def absent(self) -> tuple[str, ...]:
        """Baselines that could not be had here."""
        return tuple(self.records.facts.get("absent", ()))


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
    """Run a whole benchmark and write its records to ``plan.out/<run>/records.parquet``; or what is left of that.

    Raises:
        UsageError: a source that holds nothing, too few negatives for the false-match rate, or a run that cannot be
            resumed.
        ModelError: a model that cannot be had here; a baseline is left out, with the reason.
        IntegrityError: an index that is damaged.
    """
    corpora = _list(plan)
    listed = {name: listing_digest(getattr(corpora, name)) for name in ("gallery", "distractors", "negatives")}
    listed |= {"measuring": listing_digest(corpora.measuring)} if plan.measuring is not None else {}
    place = open_run(FORMAT, plan=plan.as_json(), command=plan.command, out=None, home=plan.out, resume=plan.resume)
    finished = place.finished
    if finished:
        place.agree({"images": listed, "models": digests_of(plan)})
    else:
        _run(plan, corpora, listed, place, progress)
    return CopyResult(place.run, place.records, FORMAT.read(place.records), stored=finished)


def _run(plan: CopyPlan, corpora: Corpora, listed: Mapping[str, str], place: RunFolder, progress: Progress) -> None:
    """Build, calibrate, ask what no part holds, and write the records."""
    clock, absent = _Clock(), absent_hashes(plan)
    bench = open_index(plan, plan.models, corpora.gallery, corpora.distractors, progress, companion=plan.companion)
    main = open_at(bench.path, bench.snapshot, device=plan.device)
    clock.lap("index")
    negatives = _negatives(plan, corpora, main, progress)
    systems, facts = open_systems(plan, corpora, bench, main, negatives, absent, progress)
    clock.lap("thresholds and baselines")
    asked = all_asked(_items(main, bench, corpora.gallery), negatives, plan)
    counts = {"setting": len(negatives.setting), "measuring": len(negatives.measuring)}
    counts |= {"present": negatives.present, "refused": negatives.refused, "known_copies": corpora.known}
    if plan.measuring is not None and not negatives.measuring:
        raise UsageError(
            f"{plan.measuring} has no image to measure with: all are stored, set thresholds or are refused"
        )
    queries = digest_json([[one.item.entry.name, one.item.pixels_sha256, one.family] for one in asked])
    models = [channel.embedder.digest for channel in main.engine.every_channel]
    place.begin({"systems": facts, "negatives": counts, "queries": queries, "images": listed, "models": models})
    skipped = ask(plan, systems, asked, place, progress)
    clock.lap("queries")
    if plan.against:
        first = systems[0]
        assert isinstance(first, EngineSystem), "the first system is the index that was asked for"
        prove_queries(plan, first.engine, asked, beside=place.folder, command=place.command, progress=progress)
        clock.lap("edits with proof")
    reasons = dict(sorted((skipped + Counter(absent.values())).items()))
    place.finish({"skipped": reasons, "absent": sorted(absent), "seconds": clock.seconds})


def _list(plan: CopyPlan) -> Corpora:
    gallery = list_entries(plan.gallery, exclude=plan.out)
    members = [split for entry in gallery if (split := split_address(entry.name)) is not None]
    if members:
        raise UsageError(f"the gallery takes image files, and {members[0][0]} is an archive; unpack it")
    negatives, measuring = (
        list_entries(source, exclude=plan.out) if source is not None else ()
        for source in (plan.negatives, plan.measuring)
    )
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
        kept, known = copies.without((*negatives, *measuring), (*gallery, *distractors))
        names = {entry.name for entry in kept}
        negatives, measuring = (tuple(one for one in some if one.name in names) for some in (negatives, measuring))
    _check_enough(plan, len(negatives))
    return Corpora(gallery, tuple(distractors), negatives, measuring, known)


def _check_enough(plan: CopyPlan, count: int) -> None:
    """Before hours of indexing: all or half of the negatives set the thresholds, one for each channel."""
    if plan.negatives is None or not plan.calibrates:
        return
    halved = plan.measuring is None
    needed = (2 if halved else 1) * (math.ceil(plan.channels / plan.fpr) - 1)
    whole = "half of them to set" if halved else "all of them to set"
    if count < needed:
        raise UsageError(
            f"{plan.negatives} gives {count} negatives; a false-match rate of {budget_text(plan.fpr)} over "
            f"{plan.channels} channel(s) needs {needed}, {whole} the thresholds; give more, or raise fpr"
        )


def _negatives(plan: CopyPlan, corpora: Corpora, main: EngineSystem, progress: Progress) -> Negatives:
    if not corpora.negatives:
        return Negatives()
    begin(progress, "reading negatives", 0)
    stored = main.engine.gallery.catalog["pixels_sha256"].to_pylist()
    return find_negatives(corpora.negatives, corpora.measuring, set(stored), plan)


def _items(main: EngineSystem, bench: BenchIndex, gallery: Sequence[Entry]) -> list[Item]:
    """The gallery's items: one file for each, the first of those with the same pixels."""
    catalog = main.engine.gallery.catalog.slice(0, bench.gallery_rows)
    by_name = {entry.name: entry for entry in gallery}
    first: dict[str, Item] = {}
    columns = (catalog["path"].to_pylist(), catalog["pixels_sha256"].to_pylist())
    for path, digest in zip(*columns, strict=True):
        first.setdefault(digest, Item(by_name[path], digest))
    return list(first.values())
