"""``retr attack-eval``: attack a sample of queries, and hold every certificate against what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.files import digest_json
from ...core.progress import Progress, Silent
from ...retrieval.engine import Engine
from ..shared.attacking import worker_threads
from ..shared.run_folder import RunFolder
from ..systems.index_system import Entrant
from ..systems.lineup import Lineup, check_lineup, lone
from .audit_run import OUT_OF_TIME, AuditRun, open_folder
from .cases import Skipped, Source, find_sources
from .plan import AuditPlan
from .records import FORMAT
from .summary import Summary, summarise

__all__ = ["OUT_OF_TIME", "AuditResult", "run_attack_eval"]


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Attributes:
        run: id of the run.
        folder: where the records are, and what the paths of images in them are relative to.
        records: the Parquet file.
        summary: computed from the records alone.
        skipped: reason → how many inputs, or systems that cannot be had here, were left out.
        skipped_paths: each of them with its reason.
        seconds: wall time, of all sittings.
        stored: whether the run had been finished before, and is only told again.
    """

    run: str
    folder: Path
    records: Path
    summary: Summary
    skipped: dict[str, int]
    skipped_paths: tuple[tuple[str, str], ...]
    seconds: float
    stored: bool = False


def run_attack_eval(
    engine: Engine,
    plan: AuditPlan,
    *,
    lineup: Lineup | None = None,
    place: RunFolder | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Run an audit, or what is left of it.

    Each query under each edit is answered with a certificate, attacked by each attack for each goal at each budget, and
    each adversarial image is saved, loaded, measured and answered again by the same system. A certificate that an
    image inside its radius breaks is an alarm.

    Args:
        engine: the index that the queries belong to.
        plan: what to do.
        lineup: the systems to attack; None for this index alone.
        place: the audit's folder; None to open the one that the plan names.
        progress: told of every batch of attacks.

    Raises:
        UsageError: there is nothing to audit, or the plan asks for what a system cannot give.
        IndexStateError: as the engine raises.
    """
    lineup = lone(engine) if lineup is None else lineup
    check_lineup(lineup, plan)
    skipped = Skipped()
    sources = find_sources(engine, plan, skipped)
    place = open_folder(plan) if place is None else place
    place.begin({"systems": [_facts(entrant) for entrant in lineup.all], "queries": _digest(sources)})
    finished = place.finished
    if not finished:
        with worker_threads() as pool:
            sitting = AuditRun(engine, plan, lineup, place, progress=progress or Silent())
            sitting.run(sources, (*lineup.left_out, *skipped.paths), pool)
    records = FORMAT.read(place.records)
    left_out = tuple((path, reason) for path, reason in records.facts["skipped"])
    reasons = dict(Counter(reason for _, reason in left_out))
    return AuditResult(
        run=place.run,
        folder=place.folder,
        records=place.records,
        summary=summarise(records.table),
        skipped=reasons,
        skipped_paths=left_out,
        seconds=records.facts["seconds"],
        stored=finished,
    )


def _facts(entrant: Entrant) -> dict[str, str]:
    return {"name": entrant.system.name, "kind": entrant.system.kind, **entrant.system.describe()}


def _digest(sources: Sequence[Source]) -> str:
    return digest_json([[one.path, sorted(one.truth), one.pixels_sha256, one.stranger] for one in sources])
