"""Edits with proof of an audit's queries, and attacks on what is proved of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...core.progress import Progress
from ...retrieval.engine import Engine
from ..edits.audit import Picture, RangePlan, run_ranges
from ..edits.summary import RangeSummary, summarise
from .cases import Skipped, Source, find_sources, iter_cases
from .plan import AuditPlan

MEMBERS = 8
"""Of each family and claim, attacked for each query."""


def audit_ranges(
    engine: Engine, plan: AuditPlan, ranges: RangePlan, *, beside: Path, progress: Progress
) -> RangeSummary:
    """Prove families of edits of every query under every benign edit of an audit, and attack what is proved.

    Args:
        engine: the index that the queries belong to.
        plan: of the audit; its time limit counts anew here.
        ranges: what is to be proved.
        beside: the audit's folder.
        progress: told of every query.
    """
    sources = find_sources(engine, plan, Skipped())
    records = run_ranges(
        engine,
        _pictures(engine, plan, sources),
        replace(ranges, members=MEMBERS),
        beside=beside,
        command=plan.command,
        progress=progress,
        total=len(sources) * len(plan.chosen_edits),
        seconds=plan.seconds,
    )
    return summarise(records)


def _pictures(engine: Engine, plan: AuditPlan, sources: list[Source]) -> Iterator[Picture]:
    for source in sources:
        for case in iter_cases(engine, plan, source, Skipped()):
            names = engine.gallery.table.keys(np.array(sorted(case.truth), dtype=np.int64)) if case.truth else ()
            yield Picture(case.query, case.edit, case.pixels, frozenset(map(bytes, names)))
