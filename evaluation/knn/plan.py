"""What ``retr bench-knn`` is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...core.rounded import budget_text
from ...core.units import to_l2
from ...datasets.labelled import LabelledSet, load_labelled, same_labels, split_labelled
from ..shared.plans import check_counts, check_sizes, plain

BudgetUnit = Literal["rmse", "l2"]


@dataclass(frozen=True, slots=True)
class Budget:
    """A size of change.

    Attributes:
        unit: rmse (8-bit levels) or l2 (pixels).
        amount: in that unit, > 0.
    """

    unit: BudgetUnit
    amount: float

    def l2(self, values: int, *, inside: bool = False) -> float:
        """In pixels, for an image of so many values: what covers it, or what stays ``inside`` it."""
        return to_l2(self.amount, self.unit, values, inside=inside)

    def __str__(self) -> str:
        if self.unit == "rmse":
            return f"RMSE {budget_text(self.amount)}"
        levels = round(255.0 * self.amount)
        return f"l2 {levels}/255" if self.amount == levels / 255 else f"l2 {budget_text(self.amount)}"


RMSE_LEVELS = (0.5, 1.0, 2.0, 3.0, 5.0)
ATTACK = "apgd-l2"
"""What queries are attacked with, a key of ``attacks.registry.ATTACKS``."""
L2_LEVELS = (36 / 255, 72 / 255, 108 / 255, 1.0)


@dataclass(frozen=True)
class KnnPlan:
    """A benchmark of one model on labelled images.

    Attributes:
        gallery: folder of folders, named by their labels.
        queries: another such folder; None to part the gallery.
        split: without it, so many images of each label are queries.
        level: how many folders make up a label.
        model: embedder spec.
        k: voters, and first places.
        side: images are resized to S×S before anything else; None leaves them as they are.
        limit: at most so many queries, drawn by seed; None for all.
        rmse: budgets in 8-bit levels.
        l2: budgets in pixels.
        attack: whether queries are attacked too.
        steps: gradient steps of an attack.
        restarts: random starts of an attack.
        seed: of the split, the sample and the starts.
        batch: queries attacked at once.
        workers: decoding threads.
        out: folder of the runs; each has one of its own in it.
        resume: go on with the newest unfinished run of ``out``, if there is one.
        command: the command line, for the record.
    """

    gallery: Path
    queries: Path | None = None
    split: int = 1
    level: int = 1
    model: str = "retr_s"
    k: int = 5
    side: int | None = None
    limit: int | None = None
    rmse: tuple[float, ...] = RMSE_LEVELS
    l2: tuple[float, ...] = L2_LEVELS
    attack: bool = False
    steps: int = 50
    restarts: int = 1
    seed: int = 0
    batch: int = 16
    workers: int = 2
    out: Path = Path("retr-knn")
    resume: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        check_counts(k=self.k, batch=self.batch, workers=self.workers, limit=self.limit)
        check_counts(steps=self.steps, restarts=self.restarts)
        for name, levels in (("rmse", self.rmse), ("l2", self.l2)):
            check_sizes(name, tuple(dict.fromkeys(levels)), some=False)

    def as_json(self) -> dict[str, Any]:
        """All that the records depend on, in plain values."""
        return plain(self, "out", "resume", "command", "workers")

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """RMSE levels first, then ℓ2, each in ascending order."""
        rmse, l2 = sorted(set(self.rmse)), sorted(set(self.l2))
        return (*(Budget("rmse", x) for x in rmse), *(Budget("l2", x) for x in l2))

    def data(self) -> tuple[LabelledSet, LabelledSet]:
        """(gallery, queries), nothing opened yet.

        Raises:
            UsageError: for folders that do not fit; see ``datasets.labelled``.
        """
        gallery = load_labelled(self.gallery, level=self.level)
        if self.queries is None:
            return split_labelled(gallery, queries=self.split, seed=self.seed)
        queries = load_labelled(self.queries, level=self.level)
        same_labels(gallery, queries)
        return gallery, queries
