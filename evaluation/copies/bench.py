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
from ...core.progress import Progress, begin
from ...indexer.sources import Entry, list_entries, path_to_text
from ...retrieval.answer import Answer
from ..shared.images import halves, listing_digest
from ..shared.provenance import Provenance
from ..shared.run_folder import RunFolder, open_run
from ..systems.baselines import check_hash
from ..systems.hash_system import HashSystem
from ..systems.index_system import Calibrated, EngineSystem, Queries, open_at
from .check import claims_hold
from .hashes import open_hashes
from .index import BenchIndex, index_facts, open_index
from .known_copies import read_known_copies
from .plan import CopyPlan
from .queries import (
    Asked,
    Item,
    Negatives,
    Query,
    all_asked,
    batches,
    find_negatives,
    iter_negatives,
    iter_queries,
)
from .records import FORMAT
from .rows import provenance_for, row_of, verdict_radius
from .summary import CopySummary, summarise

Stores = EngineSystem | HashSystem
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


def run_copy_bench(plan: CopyPlan, progress: Progress) -> CopyResult:
    """Run a whole benchmark and write its records to ``plan.out/<run>/records.parquet``.

    Raises:
        UsageError: a source that holds nothing, or too few negatives for the false-match rate.
        ModelError: a model or a hash that cannot be had here.
        IntegrityError: an index that is damaged.
    """
    clock = _Clock()
    for name in plan.hashes:
        check_hash(name)
    corpora = _list(plan)
    place = open_run(FORMAT, plan=plan.as_json(), command=plan.command, out=None, home=plan.out, resume=plan.resume)
    bench = open_index(plan, plan.models, corpora.gallery, corpora.distractors, progress)
    main = open_at(bench.path, bench.snapshot, device=plan.device)
    clock.lap("index")
    negatives = _negatives(plan, corpora, main, progress)
    systems, facts = _systems(plan, corpora, bench, main, negatives, progress)
    clock.lap("thresholds and baselines")
    asked = all_asked(_items(main, bench, corpora.gallery), negatives, plan)
    counts = {"setting": len(negatives.setting), "measuring": len(negatives.measuring)}
    counts |= {"present": negatives.present, "refused": negatives.refused, "known_copies": corpora.known}
    place.begin({"systems": facts, "negatives": counts, "queries": _digest(asked)})
    if not place.finished:
        _ask(plan, systems, asked, place, progress)
    clock.lap("queries")
    records = FORMAT.read(place.records)
    return CopyResult(
        place.run, place.records, bench.path, summarise(records), dict(records.facts["skipped"]), clock.seconds
    )


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
            f"channel(s) needs {needed}, half of them to set the thresholds; give more, or raise fpr"
        )


def _negatives(plan: CopyPlan, corpora: _Corpora, main: EngineSystem, progress: Progress) -> Negatives:
    if not corpora.negatives:
        return Negatives()
    begin(progress, "reading negatives", 0)
    stored = main.engine.gallery.catalog["pixels_sha256"].to_pylist()
    return find_negatives(corpora.negatives, set(stored), plan)


def _systems(
    plan: CopyPlan, corpora: _Corpora, bench: BenchIndex, main: EngineSystem, negatives: Negatives, progress: Progress
) -> tuple[list[Stores], list[dict[str, Any]]]:
    """The system and its baselines, calibrated, with what each stores."""
    systems: list[Stores] = []
    facts: list[dict[str, Any]] = []

    def add(system: EngineSystem, index: BenchIndex) -> None:
        system = replace(system, local=plan.thresholds == "local")
        ready = _calibrated_index(plan, system, index, negatives, progress)
        systems.append(ready)
        facts.append({"system": ready.name, "index": path_to_text(index.path.name), **index_facts(index)})

    add(main, bench)
    for spec in plan.model_baselines:
        index = open_index(plan, (spec,), corpora.gallery, corpora.distractors, progress)
        add(open_at(index.path, index.snapshot, device=plan.device), index)
    for name in plan.hashes:
        begin(progress, f"hashing: {name}", len(corpora.gallery) + len(corpora.distractors))
        hashed = open_hashes(
            name, corpora.gallery, corpora.distractors, out=plan.out, workers=plan.workers, advance=progress.advance
        )
        if negatives.setting:
            images = _images(negatives.setting, plan, progress, f"thresholds: {name}")
            hashed = replace(hashed, system=hashed.system.calibrate(images, fpr=plan.fpr))
        systems.append(hashed.system)
        facts.append({"system": name, **hashed.facts()})
    systems = told_apart(systems)
    return systems, [{**fact, "system": system.name} for fact, system in zip(facts, systems, strict=True)]


def told_apart(systems: Sequence[Stores]) -> list[Stores]:
    """The systems; models of one name, such as two training runs, also bear the first digits of their digests.

    Raises:
        UsageError: the same models twice.
    """
    if len({system.describe()["model_digest"] for system in systems}) < len(systems):
        raise UsageError(f"a system is given twice: {', '.join(system.name for system in systems)}")
    often = Counter(system.name for system in systems)
    return [
        replace(system, name=_with_digits(system))
        if isinstance(system, EngineSystem) and often[system.name] > 1
        else system
        for system in systems
    ]


def _with_digits(system: EngineSystem) -> str:
    channels = system.engine.channels
    return "+".join(f"{channel.name.partition('@')[0]}@{channel.embedder.digest[:6]}" for channel in channels)


def _calibrated_index(
    plan: CopyPlan, system: EngineSystem, bench: BenchIndex, negatives: Negatives, progress: Progress
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


def _images(items: Sequence[Item], plan: CopyPlan, progress: Progress, title: str) -> Iterator[list[Any]]:
    begin(progress, title, len(items))
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


def _digest(asked: Sequence[Asked]) -> str:
    return digest_json([[one.item.entry.name, one.item.pixels_sha256, one.family] for one in asked])


def _ask(
    plan: CopyPlan,
    systems: Sequence[Stores],
    asked: Sequence[Asked],
    place: RunFolder,
    progress: Progress,
) -> None:
    """Ask every system the queries that no part holds, a part for each batch, and write the records.

    Raises:
        UsageError: no query could be made.
    """
    done = place.marks()
    first = done[-1]["places"] if done else 0
    begin(progress, "queries", len(asked), first)
    provenances = [provenance_for(plan, one, run=place.run, command=place.command) for one in systems]
    checks = _Checks(len(asked), plan.seed)
    skipped: dict[int, str] = {}

    def answered(batch: list[Query]) -> tuple[list[Query], list[dict[str, Any]]]:
        drawn = [checks.drawn(query) for query in batch]
        pairs = zip(systems, provenances, strict=True)
        return batch, [row for system, provenance in pairs for row in _answers(system, provenance, batch, drawn)]

    jobs = batches(iter_queries(asked[first:], plan, skipped))
    for batch, rows in in_order(answered, jobs, workers=plan.workers, ahead=1):
        last = batch[-1].place + 1
        place.add(rows, {"places": last, "skipped": _reasons(skipped, first, last)})
        progress.advance(last - first)
        first = last
    if not place.count:
        place.abandon()
        why = _reasons(skipped, 0, len(asked)) or "it holds no images"
        raise UsageError(f"no query could be made from {plan.gallery}: {why}")
    reasons = Counter[str]()
    for found in [*(mark["skipped"] for mark in place.marks()), _reasons(skipped, first, len(asked))]:
        reasons.update(found)
    place.finish({"skipped": dict(sorted(reasons.items()))})


def _reasons(skipped: dict[int, str], first: int, last: int) -> dict[str, int]:
    """Why queries of these places could not be made."""
    return dict(Counter(why for place, why in list(skipped.items()) if first <= place < last))


def _answers(
    system: Calibrated, provenance: Provenance, batch: Sequence[Query], drawn: Sequence[bool]
) -> Iterator[dict[str, Any]]:
    answers = system.answer_many(Queries([query.pixels for query in batch]), k=1, certify=True)
    for query, answer, check in zip(batch, answers, drawn, strict=True):
        held = _checked(system, query, answer) if check else None
        yield row_of(provenance, query, system, answer, held)


class _Checks:
    """Which queries are recomputed by brute force: so many of them, drawn by seed."""

    def __init__(self, total: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.chosen = set(rng.choice(total, min(CHECKS, total), replace=False).tolist())

    def drawn(self, query: Query) -> bool:
        """Whether it is one of them."""
        return query.place in self.chosen


def _checked(system: Calibrated, query: Query, answer: Answer) -> bool | None:
    if not isinstance(system, EngineSystem) or not answer.matches or answer.withheld is not None:
        return None
    return claims_hold(system.engine, query.pixels, answer, verdict_radius(system, answer))
