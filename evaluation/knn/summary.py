"""What a k-NN benchmark shows: accuracy and recall, as they are, under attack, and proved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from ...core.statistics import Share, share_of
from ...core.units import Radius
from .bench import KnnResult
from .plan import Budget
from .rows import KnnRow


@dataclass(frozen=True)
class BudgetLine:
    """Shares of all queries at one size of change.

    Attributes:
        budget: the size.
        certified: the vote is right, and proved to stay for every change of at most this size.
        attacked: the vote is right and no attack within this size turned it; None where nothing was attacked.
        first: a row of the right label is first and proved to stay so.
        among: one is among the first k and proved to stay so.
        alarms: certificates that an attack of this budget broke.
    """

    budget: Budget
    certified: Share
    attacked: Share | None
    first: Share
    among: Share
    alarms: int


@dataclass(frozen=True)
class KnnSummary:
    """A benchmark in numbers. Shares are of all queries that could be read; withheld ones count as not certified.

    Attributes:
        accuracy: the vote among k finds the label.
        majority: the winner has more than half of the votes: only such votes can be certified.
        recall_first: recall@1 of the label.
        recall_among: recall@k of the label.
        mean_average_precision: over queries.
        median_rmse: median certified radius of the right votes, RMSE in 8-bit levels; None without any.
        withheld: reason → queries without a certificate.
    """

    queries: int
    accuracy: Share
    majority: Share
    recall_first: Share
    recall_among: Share
    mean_average_precision: float
    median_rmse: float | None
    withheld: dict[str, int]
    lines: tuple[BudgetLine, ...]

    @property
    def alarms(self) -> int:
        """Of all budgets."""
        return sum(line.alarms for line in self.lines)


def summarise_knn(result: KnnResult) -> KnnSummary:
    """Count."""
    rows, k = result.rows, result.plan.k
    radii = [Radius(row.radius, row.values).rmse for row in rows if row.correct and row.radius is not None]
    reasons = [row.withheld for row in rows if row.withheld]
    return KnnSummary(
        queries=len(rows),
        accuracy=share_of(row.correct for row in rows),
        majority=share_of(row.votes > k // 2 for row in rows),
        recall_first=share_of(row.retrieved.first for row in rows),
        recall_among=share_of(row.retrieved.among for row in rows),
        mean_average_precision=fmean([row.retrieved.average_precision for row in rows]) if rows else 0.0,
        median_rmse=median(radii) if radii else None,
        withheld={reason: reasons.count(reason) for reason in dict.fromkeys(reasons)},
        lines=tuple(_line(result, place, budget) for place, budget in enumerate(result.plan.budgets)),
    )


def _line(result: KnnResult, place: int, budget: Budget) -> BudgetLine:
    rows = result.rows
    tried = [row.attacked[place] for row in rows if row.attacked]
    return BudgetLine(
        budget=budget,
        certified=_proved(rows, budget, lambda row: row.radius if row.correct else None),
        attacked=share_of(_stands(row, place) for row in rows) if result.plan.attack else None,
        first=_proved(rows, budget, lambda row: row.retrieved.radius_first),
        among=_proved(rows, budget, lambda row: row.retrieved.radius_among),
        alarms=sum(len(one.alarms) for one in tried),
    )


def _proved(rows: Sequence[KnnRow], budget: Budget, radius: Callable[[KnnRow], float | None]) -> Share:
    return share_of((radius(row) or 0.0) > budget.l2(row.values) for row in rows)


def _stands(row: KnnRow, place: int) -> bool:
    return row.correct and not row.attacked[place].fallen
