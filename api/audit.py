"""Audit an index: attack its queries, and hold every certificate against what was found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from ..core.errors import UsageError
from ..core.units import check_unit
from ..evaluation.robustness.attack_eval import AuditResult, run_attack_eval
from ..evaluation.robustness.audit_run import open_folder
from ..evaluation.robustness.presets import PRESETS, plan_of
from ..evaluation.robustness.records import FORMAT
from ..evaluation.robustness.summary_lines import Summary
from ..evaluation.robustness.thumbnails import thumbnails
from ..evaluation.systems.lineup import check_words, open_lineup
from ..indexer.addresses import asked_name
from ..indexer.sources import read_corpus
from ..reports.audit_page import audit_page
from ..reports.pages import write
from .index import Index
from .index import open as open_index
from .progress import Progress, watched
from .sources import PathLike, Source, as_corpus
from .words import speaks_of_parameters


@dataclass(frozen=True, repr=False)
class Audit:
    """What an audit found.

    Attributes:
        folder: where the records are, and what the paths of images in them are relative to.
        records: the Parquet file, one row for each saved image; ``retr.audit/2`` in docs/formats.md.
        page: the report as one HTML file.
        summary: the numbers, computed from the records alone.
        skipped: (path, reason) of the inputs left out.
        seconds: wall time, of all sittings.
    """

    folder: Path
    records: Path
    page: Path
    summary: Summary
    skipped: tuple[tuple[str, str], ...]
    seconds: float

    @property
    def alarms(self) -> int:
        """Saved images that broke a certificate; anything but 0 is a defect of retr."""
        return self.summary.alarms

    def table(self) -> pa.Table:
        """The records."""
        return FORMAT.read(self.records).table

    def __repr__(self) -> str:
        held = f"{self.summary.certificates} certificates attacked, {self.alarms} broken"
        return f"Audit({str(self.folder)!r}: {self.summary.queries} queries, {held}, {self.seconds:.0f} s)"


@speaks_of_parameters
def audit(
    index: Index | PathLike,
    queries: Source | None = None,
    *,
    truth: PathLike | None = None,
    negatives: Source | None = None,
    preset: Literal["usual", "quick", "full"] = "usual",
    systems: Sequence[PathLike] = (),
    transfer_from: str | None = None,
    attacks: Sequence[str] = (),
    goals: Sequence[str] = (),
    edits: Sequence[str] = (),
    eps: float | Sequence[float] = (),
    unit: str = "rmse",
    at_radius: Sequence[float] = (),
    sample: int | None = None,
    seconds: float | None = None,
    steps: int | None = None,
    restarts: int | None = None,
    loss_queries: int | None = None,
    seed: int = 0,
    keep: Literal["none", "alarms", "all"] = "alarms",
    out: PathLike | None = None,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | bool = False,
) -> Audit:
    """Attack queries of an index; every adversarial image is saved, loaded, measured and answered again.

    Args:
        index: an open index, or its folder.
        queries: a folder, a list file or a list of paths; None: edited images of the index itself.
        truth: CSV with columns query,truth; None: by file name without ending.
        negatives: images that are copies of nothing in the index.
        preset: ``usual``, ``quick`` (every attack on a few queries) or ``full`` (hours).
        systems: what is put side by side: indexes, ``phash``, ``dhash``, ``pdq``, models; none for the index alone.
        transfer_from: make every attack on this system too, and judge it by the others.
        attacks: names, or ``all``; none for the preset's.
        goals: ``evasion``, ``rank10``, ``verdict``, ``collision``, ``embedding``, or ``all``; none for the preset's.
        edits: benign edits that come first, or ``all``; none for the preset's.
        eps: budgets; none for the preset's.
        unit: of the budgets: rmse, l2 or psnr.
        at_radius: attack at these multiples of each query's own certified radius instead.
        sample: images of the index to draw; 0 for all, None for the preset's.
        seconds: take on no query that would end after it; 0 for no limit, None for the preset's.
        steps: gradient steps per start; None for the preset's.
        restarts: random starts; None for the preset's.
        loss_queries: evaluations per start, for attacks that see no gradient; None for the preset's.
        seed: of samples, edits and random starts.
        keep: which adversarial images to keep.
        out: folder for records and images; None for ``retr-audit/RUN``.
        resume: go on with the unfinished audit of ``out``.
        device: auto, cpu or cuda.
        progress: True for a bar, or an object that is told.

    Raises:
        UsageError: nothing to audit, unknown names, or what a system cannot give.
        IndexStateError, IntegrityError: as :func:`retr.open`.
    """
    if preset not in PRESETS:
        raise UsageError(f"preset is one of {', '.join(PRESETS)}, got {preset!r}")
    engine = (index if isinstance(index, Index) else open_index(index, device=device)).engine
    given = {
        "queries": _paths(queries, engine.path),
        "truth": None if truth is None else Path(truth),
        "negatives": _paths(negatives, engine.path),
        "sample": sample,
        "seconds": seconds,
        "edits": tuple(edits),
        "attacks": tuple(attacks),
        "goals": tuple(goals),
        "budgets": tuple(eps) if isinstance(eps, Sequence) else (eps,),
        "unit": check_unit(unit),
        "at_radius": tuple(at_radius),
        "steps": steps,
        "restarts": restarts,
        "loss_queries": loss_queries,
        "seed": seed,
        "out": None if out is None else Path(out),
        "resume": resume,
        "keep": keep,
        "gallery": 0 if keep == "none" else SHOWN,
        "command": "retr.audit",
    }
    plan = plan_of(preset, given, items=engine.gallery.items)
    names = [os.fspath(system) for system in systems]
    check_words([*names, *([transfer_from] if transfer_from else [])], plan)
    place = open_folder(plan)
    lineup = open_lineup(
        names,
        engine,
        transfer_from=transfer_from,
        folder=place.folder,
        device=device,
        watch=lambda title: watched(progress, title, "images"),
    )
    with watched(progress, "attacking", "attacks") as told:
        result = run_attack_eval(engine, plan, lineup=lineup, place=place, progress=told)
    return _audit(result, thumbnails(lineup, engine))


SHOWN = 12
"""Images in the gallery of the page."""


def _audit(result: AuditResult, pictures: Any) -> Audit:
    page = result.folder / "audit.html"
    records = FORMAT.read(result.records).table
    write(page, audit_page(result.summary, records, root=result.folder, thumbnail=pictures))
    return Audit(result.folder, result.records, page, result.summary, result.skipped_paths, result.seconds)


def _paths(source: Source | None, index: Path) -> tuple[str, ...]:
    if source is None:
        return ()
    with as_corpus(source) as name:
        return tuple(asked_name(path) for path in read_corpus(name, exclude=index).paths)
