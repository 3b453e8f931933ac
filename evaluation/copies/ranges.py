"""Edits with proof of a copy benchmark's queries: each family of range on top of each family of edits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...core.progress import Progress
from ...retrieval.engine import Engine
from ..edits.audit import FOLDER, Picture, RangePlan, run_ranges
from ..edits.records import FORMAT
from ..edits.summary import RangeSummary, summarise
from ..shared.run_folder import RECORDS
from .plan import CopyPlan
from .queries import Asked, iter_queries


def prove_queries(
    plan: CopyPlan, engine: Engine, asked: Sequence[Asked], *, beside: Path, command: str, progress: Progress
) -> None:
    """Prove the families of edits that the plan names of every query.

    Args:
        plan: of the run.
        engine: the first system's, with its thresholds.
        asked: every query.
        beside: the run's folder.
        command: the command line.
        progress: told of every query.
    """
    wanted = RangePlan(plan.against, plan.on_top, seed=plan.seed)
    pictures = _pictures(plan, engine, asked)
    run_ranges(engine, pictures, wanted, beside=beside, command=command, progress=progress, total=len(asked))


def proved_queries(folder: Path) -> RangeSummary | None:
    """What was proved in a run; None where nothing was asked for."""
    records = folder / FOLDER / RECORDS
    return summarise(FORMAT.read(records)) if records.exists() else None


def _pictures(plan: CopyPlan, engine: Engine, asked: Sequence[Asked]) -> Iterator[Picture]:
    named = engine.gallery.table.declared
    for query in iter_queries(asked, plan, {}):
        truth = frozenset() if query.negative else frozenset({named.get(query.item, query.item).encode()})
        yield Picture(query.entry.name, query.family, query.pixels, truth)
