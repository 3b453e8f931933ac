"""What a k-NN benchmark shows: accuracy and recall, as they are, under attack, and proved; from its records alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median
from typing import Any

import numpy as np

from ...core.statistics import Share, share_of
from ...core.units import Radius
from ..shared.frame import Bools, Floats, Frame, Ints
from ..shared.lines import Line, col
from .bench import KnnResult
from .plan import Budget, KnnPlan


class Rows(Frame):
    """Records of a k-NN benchmark as arrays."""

    @property
    def correct(self) -> Bools:
        """The vote finds the true label."""
        return np.asarray(self["predicted"] == self["label"], dtype=np.bool_)

    @property
    def values(self) -> Ints:
        """3·H·W of each query."""
        return (3 * self["height"] * self["width"]).astype(np.int64)

    def rmse(self) -> Floats:
        """Certified radii of the vote, RMSE in 8-bit levels, rounded down; 0 where there is none."""
        pairs = zip(self.radius("radius_vote").tolist(), self.values.tolist(), strict=True)
        return np.array([Radius(l2, values).rmse for l2, values in pairs], dtype=np.float64)


@dataclass(frozen=True)
class OfRun:
    """The records of a run, and what it was asked."""

    plan: KnnPlan
    rows: Rows

    @cached_property
    def clean(self) -> Rows:
        """Every query that could be read, as it is."""
        return self.rows.clean

    def share(self, name: str) -> Share:
        """Of the queries with a flag."""
        return share_of(self.clean[name])

    def majority(self) -> Share:
        """Of the queries whose winner has one."""
        return share_of(self.clean["votes"] > self.plan.k // 2)

    def precision(self) -> float:
        """Mean over the queries."""
        return fmean(self.clean["average_precision"].tolist()) if len(self.clean) else 0.0

    def median_rmse(self) -> float | None:
        """Over the right votes that have a radius."""
        right = self.clean.where(self.clean.correct & ~np.isnan(self.clean["radius_vote"]))
        return median(right.rmse().tolist()) if len(right) else None

    def withheld(self) -> dict[str, int]:
        """Reasons, in the order of the queries."""
        reasons = [reason for reason in self.clean["withheld"].tolist() if reason]
        return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}

    def lines(self) -> tuple[BudgetLine, ...]:
        """One for each budget."""
        return tuple(BudgetLine.of(AtBudget(self, budget)) for budget in self.plan.budgets)


@dataclass(frozen=True)
class AtBudget:
    """A run, and a size of change."""

    run: OfRun
    budget: Budget

    @cached_property
    def tried(self) -> Rows:
        """What became of the queries that were attacked within it."""
        rows = self.run.rows.attacked
        return rows.where((rows["unit"] == self.budget.unit) & (rows["budget"] == self.budget.amount))

    def proved(self, name: str, among: Bools | bool = True) -> Share:
        """Of the queries whose certificate is larger; of these alone."""
        clean = self.run.clean
        sizes = {values: self.budget.l2(values) for values in set(clean.values.tolist())}
        far = clean.radius(f"radius_{name}") > np.array([sizes[values] for values in clean.values.tolist()])
        return share_of(far & among)

    def left(self) -> Share | None:
        """Of the right votes that no attack turned; None where nothing was attacked."""
        if not self.run.plan.attack:
            return None
        fallen = set(self.tried["query"][self.tried["success"]].tolist())
        standing = np.array([name not in fallen for name in self.run.clean["query"].tolist()], dtype=np.bool_)
        return share_of(self.run.clean.correct & standing)

    def alarms(self) -> int:
        """Certificates, of which an image may break several."""
        return sum(len(kinds.split("+")) for kinds in self.tried["alarm_kind"].tolist() if kinds)


def _recall(name: str, meaning: str) -> Any:
    return col(lambda run: run.share(name), meaning, "share")


def _proved(name: str, meaning: str) -> Any:
    return col(lambda at: at.proved(name), meaning, "share")


@dataclass(frozen=True)
class BudgetLine(Line):
    """Shares of all queries at one size of change; of :class:`AtBudget`."""

    budget: Budget = col(lambda at: at.budget, "the size")
    certified: Share = col(
        lambda at: at.proved("vote", at.run.clean.correct),
        "the vote is right, and proved to stay for every change of at most this size",
        "share",
    )
    attacked: Share | None = col(
        AtBudget.left, "the vote is right and no attack within this size turned it; None unattacked", "share"
    )
    first: Share = _proved("first", "a row of the right label is first and proved to stay so")
    among: Share = _proved("among", "one is among the first k and proved to stay so")
    alarms: int = col(AtBudget.alarms, "certificates that an attack of this budget broke")


@dataclass(frozen=True)
class KnnSummary(Line):
    """A benchmark in numbers; of :class:`OfRun`.

    Shares are of all queries that could be read; withheld ones count as not certified.
    """

    queries: int = col(lambda run: len(run.clean), "that could be read")
    accuracy: Share = col(lambda run: share_of(run.clean.correct), "the vote among k finds the label", "share")
    majority: Share = col(
        OfRun.majority, "the winner has more than half of the votes: only such can be proved", "share"
    )
    recall_first: Share = _recall("first", "recall@1 of the label")
    recall_among: Share = _recall("among", "recall@k of the label")
    mean_average_precision: float = col(OfRun.precision, "over queries", "share")
    median_rmse: float | None = col(
        OfRun.median_rmse, "median certified radius of the right votes; None without any", "rmse", "down"
    )
    withheld: dict[str, int] = col(OfRun.withheld, "reason → queries without a certificate")
    lines: tuple[BudgetLine, ...] = col(OfRun.lines, "one for each size of change")

    @property
    def alarms(self) -> int:
        """Of all budgets."""
        return sum(line.alarms for line in self.lines)


def summarise_knn(result: KnnResult) -> KnnSummary:
    """Count."""
    return KnnSummary.of(OfRun(result.plan, Rows.of(result.records.table)))
