"""2AFC scores of rows: as they are, proved at some ε, and left by the worst of all attacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..shared.frame import Bools, Floats
from .summary_rows import Rows

Form = Literal["sound", "published", "all"]


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of some numbers; the latter is None for a single one."""

    count: int
    mean: float
    sd: float | None


def spread(sample: npt.NDArray[np.float64]) -> Spread | None:
    """Mean and sample standard deviation of the numbers that are there; None if none is."""
    found = sample[np.isfinite(sample)]
    if not found.size:
        return None
    return Spread(found.size, float(found.mean()), float(found.std(ddof=1)) if found.size > 1 else None)


def score_of(rows: Rows) -> float:
    """2AFC score: the mean share of people who agree with the metric, half for a draw."""
    return float(rows.agreement.mean()) if len(rows) else 0.0


def score_left(agreement: Floats, lost: Bools) -> float:
    """The score after these flips: what was lost counts with the share of people who now agree."""
    return float(np.where(lost, 1.0 - agreement, agreement).mean())


@dataclass(frozen=True)
class Proved:
    """The clean rows of one metric on one data set, one form of certificate, and the ε that scores are stated at."""

    clean: Rows
    form: Form
    epsilons: tuple[float, ...]

    def first(self, name: str) -> Any:
        """What all rows share."""
        return self.clean.first(name)

    @property
    def withheld(self) -> Bools:
        """Triplets without a radius of this form."""
        return np.isnan(self.clean[f"radius_{self.form}"])

    def scores(self) -> tuple[float, ...]:
        """At each ε, the score of judgements whose radius is larger; the others count 0."""
        radii, agreement = self.clean.radius(self.form), self.clean.agreement
        return tuple(float(np.where(radii > eps, agreement, 0.0).mean()) for eps in self.epsilons)

    def median(self) -> float | None:
        """Median radius over the triplets where metric and people agree."""
        right = self.clean.radius(self.form)[self.clean["agrees"]]
        return float(np.median(right)) if right.size else None

    def holding(self) -> float | None:
        """Share of the published form's positive radii that are proved all the same."""
        if self.form != "published":
            return None
        holds = self.clean["published_holds"][self.clean.radius(self.form) > 0]
        return float((holds == 1).mean()) if holds.size else None


@dataclass(frozen=True)
class Worst:
    """One metric on one data set: its clean rows, all images of one choice of who moves, and the ε."""

    clean: Rows
    images: Rows
    epsilons: tuple[float, ...]

    def first(self, name: str) -> Any:
        """What all images share."""
        return self.images.first(name)

    def scores(self) -> tuple[float | None, ...]:
        """Counted are flips by images with realised ℓ2 ≤ ε; None where no image is so near."""
        agreed = self.images.where(self.images["agrees"])
        return tuple(self._left(agreed.where(agreed["l2"] <= eps)) for eps in self.epsilons)

    def unbounded(self) -> float:
        """The same for images at any distance."""
        whole = self._left(self.images.where(self.images["agrees"]))
        return score_of(self.clean) if whole is None else whole

    def _left(self, images: Rows) -> float | None:
        if not len(images):
            return None
        lost = set(images["query"][images["flipped"]].tolist())
        flags = np.asarray([name in lost for name in self.clean["query"].tolist()], dtype=np.bool_)
        return score_left(self.clean.agreement, flags)
