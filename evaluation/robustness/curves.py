"""Accuracy as a function of how far an image may be changed: what is proved, and what attacks left, at every distance.

A table by budget samples these curves at a few places. Between them, every image counts where it really lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .columns import RADIUS, Bools, Columns, Floats, in_rmse, radii_in_rmse, run_once, size_in_l2
from .tightness import Promise

Axis = Literal["rmse", "l2"]


@dataclass(frozen=True)
class Curve:
    """One system, one question: is the true item first, or is the verdict right?

    Attributes:
        promise: which question.
        queries: how many are asked it; right: how many are answered right before any attack.
        radii: of these, the certified radii, from the smallest; None without certificates.
        broken: of these, the smallest change found that makes the answer wrong, from the smallest; only where one was.
        reach: the largest change that was tried; beyond it nothing is known of attacks.
    """

    system: str
    promise: Promise
    queries: int
    right: int
    radii: Floats | None
    broken: Floats
    reach: float

    def certified(self, amount: float) -> float:
        """Share proved right for every change up to this amount."""
        return 0.0 if self.radii is None else float((self.radii > amount).sum()) / self.queries

    def attacked(self, amount: float) -> float:
        """Share still right under every image found within this amount."""
        return (self.right - int((self.broken <= amount).sum())) / self.queries


def curves(table: Columns, axis: Axis) -> Iterator[Curve]:
    """The curves of every system: recall@1 where queries are copies of something, the verdict where one is given.

    Args:
        table: records of one run.
        axis: what a change is measured in: RMSE in 8-bit levels, or l2.
    """
    for system in table.groups("system"):
        clean, trials = system.clean, system.attacked
        known = ~clean["stranger"]
        if known.any():
            lost = ~trials["attacked_first"]
            yield _curve(clean.where(known), trials, "top1", clean["clean_first"][known], lost, axis)
        judged = np.asarray([verdict is not None for verdict in clean["clean_verdict"]], dtype=np.bool_)
        if judged.any():
            right = (clean["clean_verdict"] == right_verdict(clean))[judged]
            lost = trials["attacked_verdict"] != right_verdict(trials)
            yield _curve(clean.where(judged), trials, "verdict", right, lost, axis)


def right_verdict(columns: Columns) -> np.ndarray:
    """What the verdict should be: every query but a stranger is a copy of something."""
    return np.where(columns["stranger"], "not-a-copy", "copy")


def _curve(clean: Columns, trials: Columns, promise: Promise, right: Bools, lost: Bools, axis: Axis) -> Curve:
    answered, place = clean.where(right), _distance(trials, axis)
    smallest: dict[int, float] = {}
    for case, distance in zip(trials["case"][lost].tolist(), place[lost].tolist(), strict=True):
        smallest[case] = min(distance, smallest.get(case, np.inf))
    broken = [smallest[case] for case in answered["case"].tolist() if case in smallest]
    radii = None
    if not np.isnan(clean[f"radius_{promise}"]).all():
        l2 = answered.radius(f"radius_{promise}")
        radii = np.sort(l2 if axis == "l2" else radii_in_rmse(l2, answered.values))
    return Curve(
        system=str(clean.first("system")),
        promise=promise,
        queries=len(clean),
        right=len(answered),
        radii=radii,
        broken=np.sort(np.asarray(broken, dtype=np.float64)),
        reach=float(place.max(initial=0.0)),
    )


def _distance(trials: Columns, axis: Axis) -> Floats:
    """Where each image lies: its realised change, or its budget where measuring rounded it up beyond that."""
    if not len(trials):
        return np.zeros(0)
    l2 = trials["l2"].copy()
    for budget in set(trials["budget"].tolist()):
        here = (trials["budget"] == budget) & ~run_once(trials)
        rows = trials.where(here)
        if len(rows) and rows.first("unit") != RADIUS:
            l2[here] = np.minimum(l2[here], size_in_l2(rows, budget, str(rows.first("unit")), inside=True))
    return l2 if axis == "l2" else in_rmse(l2, trials.values)
