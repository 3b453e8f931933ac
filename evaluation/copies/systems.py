"""The systems of a copy benchmark: the index that was asked for and its baselines, calibrated on the same negatives."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...core.errors import ModelError, UsageError
from ...core.files import canonical_json, digest_json, write_atomically
from ...core.progress import Progress, begin
from ...indexer.addresses import path_to_text
from ...indexer.entries import Entry
from ..shared.images import listing_digest
from ..systems.baselines import check_hash
from ..systems.hash_system import HashSystem
from ..systems.index_system import Calibrated, EngineSystem, open_at
from .hashes import open_hashes
from .index import BenchIndex, index_facts, open_index
from .plan import CopyPlan
from .queries import Item, Negatives, batches, iter_negatives

Stores = EngineSystem | HashSystem


@dataclass(frozen=True)
class Corpora:
    """What every source lists; ``known``: negatives of either kind, left out because a copy of theirs is stored."""

    gallery: tuple[Entry, ...]
    distractors: tuple[Entry, ...]
    negatives: tuple[Entry, ...]
    measuring: tuple[Entry, ...] = ()
    known: int = 0


def absent_hashes(plan: CopyPlan) -> dict[str, str]:
    """Baselines that cannot be computed here, with the reason: one costs a row of the table and not the run."""
    absent = {}
    for name in plan.hashes:
        try:
            check_hash(name)
        except ModelError as error:
            absent[name] = str(error)
    return absent


def open_systems(
    plan: CopyPlan,
    corpora: Corpora,
    bench: BenchIndex,
    main: EngineSystem,
    negatives: Negatives,
    absent: dict[str, str],
    progress: Progress,
) -> tuple[list[Stores], list[dict[str, Any]]]:
    """The system and its baselines, calibrated, with what each stores; a baseline that cannot be had joins the absent.

    Args:
        plan: of the run.
        corpora: what its sources list.
        bench: the index of the first system.
        main: that system.
        negatives: those that set the thresholds among them.
        absent: baselines that cannot be had here, with the reason.
        progress: told how far it is.
    """
    systems: list[Stores] = []
    facts: list[dict[str, Any]] = []

    def add(system: EngineSystem, index: BenchIndex) -> None:
        system = replace(system, local=plan.thresholds == "local", has_verdicts=not plan.calibrates)
        ready = _calibrated_index(plan, system, index, negatives, progress)
        systems.append(ready)
        facts.append({"system": ready.name, "index": path_to_text(index.path.name), **index_facts(index)})
        if ready.engine.companions:
            facts.append({**facts[-1], "system": certified_part(ready.name)})

    add(main, bench)
    for spec in plan.model_baselines:
        try:
            index = open_index(plan, (spec,), corpora.gallery, corpora.distractors, progress)
        except ModelError as error:
            absent[spec] = str(error)
            continue
        add(open_at(index.path, index.snapshot, device=plan.device), index)
    for name in (name for name in plan.hashes if name not in absent):
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
    names = [name for system in systems for name in names_of(system)]
    return systems, [{**fact, "system": name} for fact, name in zip(facts, names, strict=True)]


def names_of(system: Calibrated) -> tuple[str, ...]:
    """The lines that a system has in tables: with a companion also that of its certified channels alone."""
    both = isinstance(system, EngineSystem) and system.engine.companions
    return (system.name, certified_part(system.name)) if both else (system.name,)


def certified_part(name: str) -> str:
    """The name of what the certified channels of an index with a companion say, at the same thresholds."""
    return f"{name}, certified only"


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
    channels = system.engine.every_channel
    names = [channel.name for channel in channels]
    digest = listing_digest([item.entry for item in negatives.setting])
    # The version changes with the rule that sets thresholds: what another rule has set is not used again.
    about = {"version": 4, "negatives": digest, "fpr": plan.fpr, "channels": names, "thresholds": plan.thresholds}
    key = digest_json(about)
    file = bench.path / f"thresholds-{key[:16]}.json"
    if file.exists():
        return system.with_stored(json.loads(file.read_bytes()))
    images = _images(negatives.setting, plan, progress, f"thresholds: {system.name}")
    done = system.calibrate(images, fpr=plan.fpr, progress=progress)
    write_atomically(file, canonical_json(done.stored_thresholds()))
    return done


def _images(items: Sequence[Item], plan: CopyPlan, progress: Progress, title: str) -> Iterator[list[Any]]:
    begin(progress, title, len(items))
    for batch in batches(iter_negatives(items, plan)):
        yield [query.pixels for query in batch]
        progress.advance(len(batch))
