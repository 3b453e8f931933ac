"""``retr bench-copies``: edited gallery items against an index with distractors, negatives against its thresholds."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import UsageError
from ...core.files import canonical_json, digest_json, write_atomically
from ...core.parallel import in_order
from ...indexer.sources import Entry, list_entries, path_to_text
from ..shared.images import halves, listing_digest
from ..shared.provenance import Provenance
from ..systems.baselines import check_hash, hash_system
from ..systems.copy_system import EngineSystem, Found, System, open_system
from .check import claims_hold
from .index import BenchIndex, Phases, index_facts, open_index
from .known_copies import read_known_copies
from .plan import CopyPlan
from .queries import (
    Item,
    Negatives,
    Query,
    batches,
    find_negatives,
    iter_negatives,
    iter_queries,
)
from .records import CopyRecords, check_table, write_copy_records
from .rows import provenance_for, row_of
from .summary import CopySummary, summarise

CHECKS = 12
"""Answers per certified system that are recomputed by brute force over every row."""


@dataclass(frozen=True)
class CopyResult:
    """A finished benchmark.

    Attributes:
        run: its id; records: the Parquet file; index: the folder of the index it used.
        skipped: queries left out, by reason.
        seconds: wall time by stage.
    """

    run: str
    records: Path
    index: Path
    summary: CopySummary
    skipped: dict[str, int]
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Corpora:
    """What every source lists; ``known``: negatives left out because a copy of theirs is stored."""

    gallery: tuple[Entry, ...]
    distractors: tuple[Entry, ...]
    negatives: tuple[Entry, ...]
    known: int = 0


@dataclass
class _Clock:
    """Wall time by stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.began
        self.began = now


def run_copy_bench(plan: CopyPlan, progress: Phases) -> CopyResult:
    """Run a whole benchmark and write its records to ``plan.out/<run>/records.parquet``.

    Raises:
        UsageError: a source that holds nothing, or too few negatives for the false-match rate.
        ModelError: a model or a hash that cannot be had here.
        IntegrityError: an index that is damaged.
    """
    clock, skipped = _Clock(), dict[str, int]()
    for name in plan.hashes:
        check_hash(name)
    corpora = _list(plan)
    bench = open_index(plan, plan.models, corpora.gallery, corpora.distractors, progress)
    main = open_system(bench.path, bench.snapshot, device=plan.device)
    clock.lap("index")
    negatives = _negatives(plan, corpora, main, progress)
    systems, facts = _systems(plan, corpora, bench, main, negatives, progress)
    clock.lap("thresholds and baselines")
    items = _items(main, bench, corpora.gallery)
    rows = list(_ask(plan, systems, items, negatives, skipped, progress))
    clock.lap("queries")
    counts = {"setting": len(negatives.setting), "measuring": len(negatives.measuring)}
    counts |= {"present": negatives.present, "refused": negatives.refused, "known_copies": corpora.known}
    kept = {"plan": plan.as_json(), "systems": facts, "negatives": counts, "skipped": dict(sorted(skipped.items()))}
    records, file = _write(plan, rows, kept)
    return CopyResult(rows[0]["run"], file, bench.path, summarise(records), skipped, clock.seconds)


def _list(plan: CopyPlan) -> _Corpora:
    gallery = list_entries(plan.gallery, exclude=plan.out)
    shards = [entry.shard for entry in gallery if entry.shard is not None]
    if shards:
        raise UsageError(f"the gallery takes image files, and {shards[0]} is a tar shard; unpack it")
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
    return _Corpora(gallery, tuple(distractors), negatives, known)


def _check_enough(plan: CopyPlan, count: int) -> None:
    """Before hours of indexing: half of the negatives set the thresholds, one for each channel."""
    if plan.negatives is None:
        return
    needed = 2 * (math.ceil(len(plan.models) / plan.fpr) - 1)
    if count < needed:
        raise UsageError(
            f"{plan.negatives} gives {count} negatives; a false-match rate of {plan.fpr:g} over {len(plan.models)} "
            f"channel(s) needs {needed}, half of them to set the thresholds; give more, or raise --fpr"
        )


def _negatives(plan: CopyPlan, corpora: _Corpora, main: EngineSystem, progress: Phases) -> Negatives:
    if not corpora.negatives:
        return Negatives()
    progress.phase("reading negatives", 0)
    return find_negatives(corpora.negatives, set(main.items), plan)


def _systems(
    plan: CopyPlan, corpora: _Corpora, bench: BenchIndex, main: EngineSystem, negatives: Negatives, progress: Phases
) -> tuple[list[System], list[dict[str, Any]]]:
    """The system and its baselines, calibrated, with what each stores."""
    systems: list[System] = []
    facts: list[dict[str, Any]] = []

    def add(system: EngineSystem, index: BenchIndex) -> None:
        system = replace(system, local=plan.thresholds == "local")
        ready = _calibrated_index(plan, system, index, negatives, progress)
        systems.append(ready)
        facts.append({"system": ready.name, "index": path_to_text(index.path.name), **index_facts(index)})

    add(main, bench)
    for spec in plan.model_baselines:
        index = open_index(plan, (spec,), corpora.gallery, corpora.distractors, progress)
        add(open_system(index.path, index.snapshot, device=plan.device), index)
    for name in plan.hashes:
        progress.phase(f"hashing: {name}", len(corpora.gallery) + len(corpora.distractors))
        hashed = hash_system(
            name, corpora.gallery, corpora.distractors, out=plan.out, workers=plan.workers, advance=progress.advance
        )
        if negatives.setting:
            hashed = hashed.calibrate(_images(negatives.setting, plan, progress, f"thresholds: {name}"), fpr=plan.fpr)
        systems.append(hashed)
        facts.append({"system": name, **hashed.facts()})
    systems = told_apart(systems)
    return systems, [{**fact, "system": system.name} for fact, system in zip(facts, systems, strict=True)]


def told_apart(systems: Sequence[System]) -> list[System]:
    """The systems; models of one name, such as two training runs, also bear the first digits of their digests.

    Raises:
        UsageError: the same models twice.
    """
    if len({system.digest for system in systems}) < len(systems):
        raise UsageError(f"a system is given twice: {', '.join(system.name for system in systems)}")
    often = Counter(system.name for system in systems)
    return [
        replace(system, alias=_with_digits(system))
        if isinstance(system, EngineSystem) and often[system.name] > 1
        else system
        for system in systems
    ]


def _with_digits(system: EngineSystem) -> str:
    channels = system.engine.channels
    return "+".join(f"{channel.embedder.name}@{channel.embedder.digest[:6]}" for channel in channels)


def _calibrated_index(
    plan: CopyPlan, system: EngineSystem, bench: BenchIndex, negatives: Negatives, progress: Phases
) -> EngineSystem:
    """Thresholds of an earlier run on the same negatives, else new ones, kept beside the index."""
    if not negatives.setting:
        return system
    channels = system.engine.channels
    names = [channel.name for channel in channels]
    digest = listing_digest([item.entry for item in negatives.setting])
    # The version changes with the rule that sets thresholds: what another rule has set is not used again.
    about = {"version": 3, "negatives": digest, "fpr": plan.fpr, "channels": names, "thresholds": plan.thresholds}
    key = digest_json(about)
    file = bench.path / f"thresholds-{key[:16]}.json"
    if file.exists():
        return system.with_stored(json.loads(file.read_bytes()))
    done = system.calibrate(_images(negatives.setting, plan, progress, f"thresholds: {system.name}"), fpr=plan.fpr)
    write_atomically(file, canonical_json(done.stored_thresholds()))
    return done


def _images(items: Sequence[Item], plan: CopyPlan, progress: Phases, title: str) -> Iterator[list[Any]]:
    progress.phase(title, len(items))
    for batch in batches(iter_negatives(items, plan)):
        yield [query.pixels for query in batch]
        progress.advance(len(batch))


def _items(main: EngineSystem, bench: BenchIndex, gallery: Sequence[Entry]) -> list[Item]:
    """The gallery's items: one file for each, the first of those with the same pixels."""
    catalog = main.engine.gallery.catalog.slice(0, bench.gallery_rows)
    by_name = {entry.name: entry for entry in gallery}
    first: dict[str, Item] = {}
    columns = (catalog["path"].to_pylist(), catalog["pixels_sha256"].to_pylist())
    for path, digest in zip(*columns, strict=True):
        first.setdefault(digest, Item(by_name[path], digest))
    return list(first.values())


def _ask(
    plan: CopyPlan,
    systems: Sequence[System],
    items: Sequence[Item],
    negatives: Negatives,
    skipped: dict[str, int],
    progress: Phases,
) -> Iterator[dict[str, Any]]:
    per_family = len(items) if plan.queries is None else min(plan.queries, len(items))
    total = per_family * len(plan.families) + len(negatives.measuring)
    progress.phase("queries", total)
    provenances = [provenance_for(plan, system) for system in systems]
    provenances = [replace(one, run=provenances[0].run) for one in provenances]
    checks = _Checks(total, plan.seed)

    def queries() -> Iterator[Query]:
        yield from iter_queries(items, plan, skipped)
        yield from iter_negatives(negatives.measuring, plan)

    def answered(job: tuple[list[Query], list[bool]]) -> list[dict[str, Any]]:
        pairs = zip(systems, provenances, strict=True)
        return [row for system, provenance in pairs for row in _answers(system, provenance, *job)]

    jobs = ((batch, checks.draw(len(batch))) for batch in batches(queries()))
    for rows in in_order(answered, jobs, workers=plan.workers, ahead=1):
        yield from rows
        progress.advance(len(rows) // len(systems))


def _answers(
    system: System, provenance: Provenance, batch: Sequence[Query], drawn: Sequence[bool]
) -> Iterator[dict[str, Any]]:
    answers = system.find([query.pixels for query in batch])
    for query, found, check in zip(batch, answers, drawn, strict=True):
        held = _checked(system, query, found) if check else None
        yield row_of(provenance, query, found, held)


class _Checks:
    """Which queries are recomputed by brute force: so many of them, drawn by seed."""

    def __init__(self, total: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.chosen = set(rng.choice(total, min(CHECKS, total), replace=False).tolist())
        self.place = 0

    def draw(self, count: int) -> list[bool]:
        """For each of the next queries."""
        places = range(self.place, self.place + count)
        self.place += count
        return [place in self.chosen for place in places]


def _checked(system: System, query: Query, found: Found) -> bool | None:
    if not isinstance(system, EngineSystem) or found.item is None or found.withheld is not None:
        return None
    return claims_hold(system.engine, query.pixels, found, system.group_of(found.item))


def _write(plan: CopyPlan, rows: Sequence[dict[str, Any]], facts: dict[str, Any]) -> tuple[CopyRecords, Path]:
    if not rows:
        raise UsageError(f"no query could be made from {plan.gallery}: {facts['skipped'] or 'it holds no images'}")
    file = plan.out / str(rows[0]["run"]) / "records.parquet"
    records = write_copy_records(file, rows, facts)
    check_table(records.table)
    return records, file
