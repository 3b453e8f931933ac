"""2AFC score against the size of the change: what is proved, and what attacks left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..shared.frame import Floats
from .scores import Form
from .summary_rows import Rows

COVERED_BY: dict[str, Form] = {"reference": "sound", "preferred": "all", "other": "all", "all": "all"}
"""Who moves → the form of certificate that covers it."""


@dataclass(frozen=True, eq=False)
class ScoreCurve:
    """One metric on one data set, and one choice of who moves.

    Attributes:
        form: of the certificate that covers what moves.
        score: before any attack.
        weights: (n,) each triplet's part of the score; radii: (n,) its certified radius, 0 without; None for a metric
            without certificates.
        lost_at: (m,) the smallest ℓ2 at which a sample that agreed was flipped; losses: (m,) what that took off the
            score.
        reach: the largest ℓ2 of any image.
    """

    data: str
    metric: str
    title: str
    moves: str
    form: Form
    score: float
    weights: Floats
    radii: Floats | None
    lost_at: Floats
    losses: Floats
    reach: float

    def certified(self, eps: float) -> float:
        """Score of the judgements proved for changes up to ε."""
        return 0.0 if self.radii is None else float(self.weights[self.radii > eps].sum())

    def attacked(self, eps: float) -> float:
        """Score left by images with ℓ2 up to ε."""
        return self.score - float(self.losses[self.lost_at <= eps].sum())


def score_curves(rows: Rows) -> Iterator[ScoreCurve]:
    """A curve for every metric, data set and choice of who moves; without attacks for the reference alone."""
    for part in rows.groups("data", "system"):
        images = part.attacked
        moves = list(dict.fromkeys(images["moves"].tolist())) or ["reference"]
        for who in moves:
            yield _curve(part.clean, images.where(images["moves"] == who), str(who))


def _curve(clean: Rows, images: Rows, moves: str) -> ScoreCurve:
    form, agreement, count = COVERED_BY[moves], clean.agreement, max(1, len(clean))
    certified = np.isfinite(clean[f"radius_{form}"]).any()
    won = images.where(images["flipped"] & images["agrees"])
    smallest: dict[str, float] = {}
    for name, size in zip(won["query"].tolist(), won["l2"].tolist(), strict=True):
        smallest[name] = min(size, smallest.get(name, np.inf))
    share = dict(zip(clean["query"].tolist(), agreement.tolist(), strict=True))
    return ScoreCurve(
        data=str(clean.first("data")),
        metric=str(clean.first("system")),
        title=str(clean.first("title")),
        moves=moves,
        form=form,
        score=float(agreement.mean()),
        weights=agreement / count,
        radii=clean.radius(form) if certified else None,
        lost_at=np.asarray(list(smallest.values()), dtype=np.float64),
        losses=np.asarray([(2.0 * share[name] - 1.0) / count for name in smallest], dtype=np.float64),
        reach=float(images["l2"].max()) if len(images) else 0.0,
    )
