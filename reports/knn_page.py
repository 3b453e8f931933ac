"""A k-NN benchmark as one self-contained HTML file, from its result alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..core.rounded import radius_text
from ..core.units import rmse_of
from ..evaluation.knn.bench import KnnResult
from ..evaluation.knn.summary import BudgetLine, KnnSummary, Rows
from ..evaluation.shared.frame import Floats
from .kinds import bounds, count, ends, percent, said
from .knn_table import budget_table, clean_table, remarks
from .pages import Figure, Key, page, plan_facts, when
from .svg_charts import Mark, Point, accuracy_chart, histogram_chart
from .words import words

_CHARTS = words("knn")["charts"]
_BEYOND = 1.15
"""How far a chart goes on after the largest budget."""


def knn_page(result: KnnResult, summary: KnnSummary) -> str:
    """The page as text; it needs no other file, no network and no script.

    Args:
        result: a finished benchmark.
        summary: its numbers.
    """
    plan, name, held = result.plan, result.model["name"], result.model["gallery"]
    return page(
        "knn.html.j2",
        model=name,
        when=when(result.path.parent.name) or name,
        counted=[
            name,
            f"{count(summary.queries)} queries",
            f"{count(sum(held.values()))} images of {count(len(held))} labels",
            f"k = {plan.k}",
        ],
        alarms=summary.alarms,
        attacked=plan.attack,
        keys=list(_keys(summary, plan.k)),
        clean=clean_table(summary, plan.k),
        figures=list(_figures(result, summary)),
        budgets=budget_table(summary, plan.k),
        remarks=list(remarks(summary, plan.k, result.rejected)),
        command=plan.command or "–",
        run_facts=_facts(result),
    )


def _facts(result: KnnResult) -> list[tuple[str, str]]:
    plan = result.plan
    attack = f"apgd-l2, {plan.steps} steps, {plan.restarts} starts" if plan.attack else None
    name, digest = result.model["name"], result.model["digest"]
    facts = {"run": result.path.parent.name, "model": name, "gallery": plan.gallery, "queries": plan.queries}
    return plan_facts(facts | {"seed": plan.seed, "side": plan.side, "attack": attack, "digest": digest})


def _keys(summary: KnnSummary, k: int) -> Iterator[Key]:
    yield Key(
        percent(summary.accuracy.value), (f"of votes among {k} find the label", f"95 %: {bounds(summary.accuracy)}")
    )
    line = max(summary.lines, key=lambda one: (one.budget.unit == "rmse", one.budget.amount), default=None)
    if line is not None and line.attacked is not None:
        yield Key(percent(line.attacked.value), (f"still do under attack within {line.budget}",), "broken")
    if line is not None:
        yield Key(percent(line.certified.value), (f"proved to, whatever the change within {line.budget}",), "proved")
    if summary.median_rmse is not None:
        yield Key(
            said(KnnSummary, "median_rmse", summary.median_rmse), ("median certified radius of right votes (RMSE)",)
        )


def _figures(result: KnnResult, summary: KnnSummary) -> Iterator[Figure]:
    """The vote against the size of the change, and how certified radii are spread."""
    rows = Rows.of(result.records.table)
    right = rows.clean.where(rows.clean.correct)
    if not len(right):
        return
    radii = np.sort(right.rmse())
    places, proved = _places(rows.clean, summary), result.model["uncertified_because"] is None
    yield _votes(result, summary, rows.attacked, radii if proved else None, places)
    if proved and summary.median_rmse is not None:
        end = max(1.05 * float(radii[-1]), 1e-9)
        marks = [Mark(at, str(line.budget)) for line, at in places[-1:] if at < end]
        spread = histogram_chart(radii, x_max=end, axis=_CHARTS["radii"],
                                 label="certified radii of right votes", marks=marks, write=radius_text)  # fmt: skip
        yield Figure("Certified radii", spread, f"Median {said(KnnSummary, 'median_rmse', summary.median_rmse)}.")


def _places(clean: Rows, summary: KnnSummary) -> list[tuple[BudgetLine, float]]:
    """Budgets on an axis of RMSE, from the smallest; those in ℓ2 have a place only where all images are of one size."""
    first, *others = set(clean.values.tolist())
    found = [
        (line, line.budget.amount if line.budget.unit == "rmse" else rmse_of(line.budget.amount, first))
        for line in summary.lines
        if line.budget.unit == "rmse" or not others
    ]
    return sorted(found, key=lambda pair: pair[1])


def _broken(tried: Rows) -> Floats:
    """The least change of each query that turned its vote, RMSE rounded up; in ascending order."""
    falls = tried.where(tried["success"])
    least = (one.where(np.argsort(one["fallen_at"])[:1]) for one in falls.groups("query"))
    return np.sort([rmse_of(one.first("fallen_at"), int(one.values[0]), up=True) for one in least])


def _votes(
    result: KnnResult,
    summary: KnnSummary,
    tried: Rows,
    radii: Floats | None,
    places: Sequence[tuple[BudgetLine, float]],
) -> Figure:
    right, of, clean = summary.accuracy.count, summary.queries, summary.accuracy.value
    broken = _broken(tried)
    largest = places[-1][1] if places else 0.0 if radii is None else float(radii[-1])
    points = [
        Point(at, line.attacked.value, line.attacked.low, line.attacked.high,
              f"{line.budget}: {percent(line.attacked.value)} left, 95 % interval {ends(line.attacked)}")
        for line, at in places if line.attacked is not None
    ]  # fmt: skip
    drawn = accuracy_chart(
        clean=clean,
        attacked=lambda amount: (right - int((broken <= amount).sum())) / of,
        certified=None if radii is None else lambda amount: int((radii > amount).sum()) / of,
        points=points,
        reach=largest if result.plan.attack else 0.0,
        x_max=_BEYOND * max(largest, 1e-9),
        axis=_CHARTS["axis"],
        label=f"{result.model['name']}: right votes against the size of the change; clean {percent(clean)}",
    )
    return Figure("Right votes", drawn, f"Clean {percent(clean)} of {of} queries.")
