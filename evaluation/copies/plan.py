"""What a copy benchmark does: gallery, distractors, negatives, systems, edit families, and how many queries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.rounded import budget_text
from ...images.copy_edits import FAMILIES, find_family
from ...images.views import VIEW_ROWS, VIEW_SETS
from ...indexer.options import DEFAULT_MODELS
from ...indexer.row_codes import find_code
from ...retrieval.calibrate import THRESHOLDS
from ..edits.audit import RangePlan
from ..shared.plans import check_counts, check_sizes, check_words, plain
from ..systems.baselines import HASHES

DEFAULT_EPSILONS = (0.5, 1.0, 2.0, 3.0, 5.0)
DEFAULT_QUERIES = 500
DEFAULT_FPR = 1e-3
AS_IT_COMES = "reference"
"""Thresholds that an index has before anyone calibrates it."""


@dataclass(frozen=True)
class CopyPlan:
    """A whole benchmark.

    Attributes:
        gallery: folder or list file; its images are stored and, edited, queried.
        distractors: folders or tar shards whose images are stored only.
        negatives: images not stored: one half sets the thresholds (none where they are ``reference``), the other
            measures. A source that is given as
            distractors too is halved by seed: one half is stored, the other are the negatives. None for no verdicts.
        measuring: images not stored that measure; all of ``negatives`` then set the thresholds. None for halves.
        known_copies: CSV file of pairs that are copies of one another (``evaluation.known_copies``): a negative whose
            copy is stored is left out.
        models: embedder specs, one channel each.
        views: views stored per gallery item; distractor_views: the same for distractors, ``same`` for those of views.
        rows: how rows are stored, a key of ``indexer.row_codes.ROW_CODES``; None for what ``views`` asks for.
        queries: items per family, drawn by seed and stratified over folders; None for all.
        families: keys of ``images.copy_edits.FAMILIES`` or ``MORE``.
        seed: of samples, halves and edits.
        epsilons: budgets in RMSE levels at which certified rates are stated.
        fpr: false-match rate per query that the thresholds aim at.
        thresholds: ``local``, one for each row, or ``global``, one for each channel (``retrieval.calibrate``), or
            ``reference``, those of the index as it comes: no negative sets them, and fpr plays no part.
        baselines: further systems: ``phash``, ``dhash``, ``pdq``, or embedder specs (an index of their own, with the
            same views).
        out: folder of indexes and records; what matches an earlier run is used again.
        workers: threads that decode, edit and search; batch_size: images embedded at once.
        device: where bulk embedding and the float32 search run.
        against: families of edits that are proved of every query besides (``images.families.asked``); on_top: RMSE of
            the change that may come on top of them.
        command: the command line, for the record.
        resume: go on with the newest unfinished run of ``out``, if there is one.
    """

    gallery: str
    distractors: tuple[Path, ...] = ()
    negatives: Path | None = None
    measuring: Path | None = None
    known_copies: Path | None = None
    models: tuple[str, ...] = DEFAULT_MODELS
    companion: str | None = None
    views: str = "none"
    distractor_views: str = "none"
    rows: str | None = None
    queries: int | None = DEFAULT_QUERIES
    families: tuple[str, ...] = tuple(FAMILIES)
    seed: int = 0
    epsilons: tuple[float, ...] = DEFAULT_EPSILONS
    fpr: float = DEFAULT_FPR
    thresholds: str = "local"
    baselines: tuple[str, ...] = ()
    out: Path = Path("retr-copies")
    workers: int = 2
    batch_size: int = 32
    device: str = "auto"
    against: tuple[str, ...] = ()
    on_top: float = 1.0
    command: str = ""
    resume: bool = False

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_names(self)
        _check_places(self)

    @property
    def calibrates(self) -> bool:
        """Whether negatives set thresholds."""
        return self.thresholds != AS_IT_COMES

    @property
    def stored_distractor_views(self) -> str:
        """The view set of distractors, by name."""
        return self.views if self.distractor_views == "same" else self.distractor_views

    @property
    def stored_rows(self) -> str:
        """How rows are stored, by name."""
        return self.rows or VIEW_ROWS[self.views]

    @property
    def hashes(self) -> tuple[str, ...]:
        """Baselines that are perceptual hashes."""
        return tuple(name for name in self.baselines if name in HASHES)

    @property
    def model_baselines(self) -> tuple[str, ...]:
        """Baselines that are embedders."""
        return tuple(name for name in self.baselines if name not in HASHES)

    @property
    def channels(self) -> int:
        """How many channels share the false matches."""
        return len(self.models) + (self.companion is not None)

    def as_json(self) -> dict[str, Any]:
        """What belongs in the records: everything that the numbers depend on."""
        ranges = () if self.against else ("against", "on_top")
        absent = [name for name in ("companion", "measuring") if getattr(self, name) is None]
        values = plain(self, "out", "workers", "batch_size", "device", "command", "resume", *ranges, *absent)
        return {**values, "rows": self.stored_rows, "distractor_views": self.stored_distractor_views}


def _check_numbers(plan: CopyPlan) -> None:
    check_sizes("epsilons", plan.epsilons)
    if list(plan.epsilons) != sorted(plan.epsilons):
        raise UsageError(f"epsilons must rise, got {', '.join(map(budget_text, plan.epsilons))}")
    if not 0.0 < plan.fpr < 1.0:
        raise UsageError(f"fpr must lie between 0 and 1, got {plan.fpr}")
    check_counts(queries=plan.queries, workers=plan.workers, batch_size=plan.batch_size)
    check_counts(0, seed=plan.seed)
    if plan.against:
        RangePlan(plan.against, plan.on_top)  # checks itself


def _check_names(plan: CopyPlan) -> None:
    check_words("families", plan.families, some=True)
    check_words("models", plan.models, some=True)
    check_words("baselines", plan.baselines)
    for name in plan.families:
        find_family(name)
    if plan.views not in VIEW_SETS:
        raise UsageError(f"unknown view set {plan.views!r}; choose {', '.join(VIEW_SETS)}")
    find_code(plan.stored_rows)
    if plan.thresholds not in (*THRESHOLDS, AS_IT_COMES):
        choices = f"{', '.join(THRESHOLDS)} or {AS_IT_COMES}"
        raise UsageError(f"thresholds are {choices}, not {plan.thresholds!r}")
    if plan.stored_distractor_views not in VIEW_SETS:
        choices = ", ".join([*VIEW_SETS, "same"])
        raise UsageError(f"unknown view set {plan.distractor_views!r} for distractors; choose {choices}")
    if len(plan.models) == 1 and plan.models[0] in plan.baselines:
        raise UsageError(f"{plan.models[0]} is the model itself; leave it out of the baselines")


def _check_places(plan: CopyPlan) -> None:
    if plan.known_copies is not None and plan.negatives is None:
        raise UsageError("known_copies is about negatives; give negatives too")
    if plan.measuring is not None:
        _check_measuring(plan, plan.measuring)
    if plan.gallery == "-":
        raise UsageError("a benchmark reads its gallery more than once: give a folder or a list file, not -")
    home = Path(plan.gallery).resolve()
    if plan.out.resolve().is_relative_to(home) and home.is_dir():
        raise UsageError(f"{plan.out} lies inside the gallery {plan.gallery}; name another folder to write to")
    if plan.out.exists() and not plan.out.is_dir():
        raise UsageError(f"{plan.out} is a file, and a folder is needed")


def _check_measuring(plan: CopyPlan, measuring: Path) -> None:
    if plan.negatives is None or not plan.calibrates:
        raise UsageError(
            "measuring is for images apart from those that set thresholds; without any, give negatives alone"
        )
    others = (Path(plan.gallery), plan.negatives, *plan.distractors)
    here, there = measuring.resolve(), [other.resolve() for other in others]
    if any(here.is_relative_to(other) or other.is_relative_to(here) for other in there):
        raise UsageError(f"{measuring} cannot measure: it is stored or sets thresholds; name images apart from those")
