"""Every query of a copy benchmark put to every system: a part of the records for each batch, some recomputed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...core.errors import UsageError
from ...core.parallel import in_order
from ...core.progress import Progress, begin
from ...retrieval.answer import Answer
from ..shared.provenance import Provenance
from ..shared.run_folder import RunFolder
from ..systems.index_system import Calibrated, EngineSystem, Queries
from .check import claims_hold
from .plan import CopyPlan
from .queries import Asked, Query, batches, iter_queries
from .rows import provenance_for, row_of, verdict_radius
from .systems import names_of

CHECKS = 12
"""Answers per certified system that are recomputed by brute force over every row."""


def ask(
    plan: CopyPlan,
    systems: Sequence[Calibrated],
    asked: Sequence[Asked],
    place: RunFolder,
    progress: Progress,
) -> Counter[str]:
    """Ask every system the queries that no part holds, a part for each batch; why queries could not be made.

    Args:
        plan: of the run.
        systems: what is asked.
        asked: every query.
        place: of the run.
        progress: told of every query.

    Raises:
        UsageError: no query could be made.
    """
    done = place.marks()
    first = done[-1]["places"] if done else 0
    begin(progress, "queries", len(asked), first)
    provenances = [
        [replace(provenance_for(plan, one, run=place.run, command=place.command), model=name) for name in names_of(one)]
        for one in systems
    ]
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
    reasons: Counter[str] = Counter()
    for found in [*(mark["skipped"] for mark in place.marks()), _reasons(skipped, first, len(asked))]:
        reasons.update(found)
    return reasons


def _reasons(skipped: dict[int, str], first: int, last: int) -> dict[str, int]:
    """Why queries of these places could not be made."""
    return dict(Counter(why for place, why in list(skipped.items()) if first <= place < last))


def _answers(
    system: Calibrated, provenances: Sequence[Provenance], batch: Sequence[Query], drawn: Sequence[bool]
) -> Iterator[dict[str, Any]]:
    """The rows of each query: one, or with a companion that of the union and that of the certified channels alone."""
    images = Queries([query.pixels for query in batch])
    found: list[tuple[Answer, ...]]
    if isinstance(system, EngineSystem) and len(provenances) > 1:
        found = [*system.engine.answer_both(images, k=1)]
    else:
        found = [(one,) for one in system.answer_many(images, k=1, certify=True)]
    for query, answers, check in zip(batch, found, drawn, strict=True):
        for answer, provenance in zip(answers, provenances, strict=True):
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
