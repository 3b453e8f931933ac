"""Terminal table, JSON and rows of a k-NN benchmark, from its result alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from ..core.units import Radius
from ..evaluation.knn.bench import KnnResult, KnnRow
from ..evaluation.knn.summary import BudgetLine, KnnSummary
from .copy_table import share


def knn_json(result: KnnResult, summary: KnnSummary) -> dict[str, Any]:
    """The benchmark as ``retr.knn/1``; radii and budgets as they were asked for, shares in [0, 1]."""
    plan = result.plan
    return {
        "schema": "retr.knn/1",
        "gallery": str(plan.gallery),
        "queries_from": None if plan.queries is None else str(plan.queries),
        "model": result.model,
        "model_digest": result.digest,
        "certified": result.certified,
        "uncertified_because": result.uncertified_because,
        "k": plan.k,
        "side": plan.side,
        "seed": plan.seed,
        "attack": {"name": "apgd-l2", "steps": plan.steps, "restarts": plan.restarts} if plan.attack else None,
        "stored": sum(result.gallery.values()),
        "labels": result.gallery,
        "queries": summary.queries,
        "rejected": dict(Counter(one.reason for one in result.rejected)),
        "accuracy": asdict(summary.accuracy),
        "majority": asdict(summary.majority),
        "recall_at_1": asdict(summary.recall_first),
        "recall_at_k": asdict(summary.recall_among),
        "mean_average_precision": summary.mean_average_precision,
        "median_radius_rmse": summary.median_rmse,
        "withheld": summary.withheld,
        "budgets": [_line_json(line) for line in summary.lines],
        "alarms": summary.alarms,
        "seconds": dict(result.seconds),
    }


def knn_rows(result: KnnResult) -> Iterator[dict[str, Any]]:
    """One flat row per query, as ``retr.knn-row/1``; ℓ2 radii in pixels of the query."""
    return (_row(result, row) for row in result.rows)


def print_knn(result: KnnResult, summary: KnnSummary) -> None:
    """To standard output."""
    out, plan = Console(), result.plan
    stored = sum(result.gallery.values())
    out.print(
        f"{result.model}: {summary.queries} queries, {stored} images of {len(result.gallery)} labels, k = {plan.k}",
        highlight=False,
    )
    out.print(_clean(summary, plan.k))
    out.print(_budgets(summary, plan.k))
    for text in _remarks(result, summary):
        out.print(text, highlight=False)


def _clean(summary: KnnSummary, k: int) -> Table:
    table = Table(title="As they are, % of queries", title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("share", justify="right")
    table.add_column("95 % interval", justify="right")
    named = {
        f"the vote of {k} finds the label": summary.accuracy,
        f"its winner has more than half of {k}": summary.majority,
        "recall@1 of the label": summary.recall_first,
        f"recall@{k} of the label": summary.recall_among,
    }
    for name, found in named.items():
        table.add_row(name, share(found.value), f"{share(found.low)} to {share(found.high)}")
    table.add_row("mean average precision", share(summary.mean_average_precision), "")
    return table


def _budgets(summary: KnnSummary, k: int) -> Table:
    title = "Right, % of queries, within a change of this size: proved, and under attack"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("size", no_wrap=True)
    for name in ("vote proved", "vote attacked", "@1 proved", f"@{k} proved", "alarms"):
        table.add_column(name, justify="right")
    for line in summary.lines:
        attacked = None if line.attacked is None else line.attacked.value
        shares = (line.certified.value, attacked, line.first.value, line.among.value)
        table.add_row(str(line.budget), *map(share, shares), "–" if attacked is None else str(line.alarms))
    return table


def _remarks(result: KnnResult, summary: KnnSummary) -> Iterator[str]:
    if summary.median_rmse is not None:
        yield f"median certified radius of right votes: RMSE {summary.median_rmse:.3g}"
    if summary.recall_first.of and result.plan.k > 1:
        yield "a vote is proved only where its winner has more than half of the voters"
    for reason, count in summary.withheld.items():
        yield f"no certificate for {count} queries: {reason}"
    for reason, count in Counter(one.reason for one in result.rejected).items():
        first = next(one for one in result.rejected if one.reason == reason)
        yield f"left out: {count} × {reason}, the first: {first.file or first.name}"
    if result.plan.attack:
        colour = "red" if summary.alarms else "green"
        yield f"[{colour}]certificates broken by an attack: {summary.alarms}[/{colour}]"


def _line_json(line: BudgetLine) -> dict[str, Any]:
    return {
        "unit": line.budget.unit,
        "amount": line.budget.amount,
        "certified": asdict(line.certified),
        "attacked": None if line.attacked is None else asdict(line.attacked),
        "recall_at_1_certified": asdict(line.first),
        "recall_at_k_certified": asdict(line.among),
        "alarms": line.alarms,
    }


def _row(result: KnnResult, row: KnnRow) -> dict[str, Any]:
    found = row.retrieved
    return {
        "schema": "retr.knn-row/1",
        "model": result.model,
        "query": row.name,
        "label": row.label,
        "predicted": row.predicted,
        "votes": row.votes,
        "correct": row.correct,
        "radius": row.radius,
        "radius_rmse": None if row.radius is None else Radius(row.radius, row.values).rmse,
        "first": found.first,
        "among": found.among,
        "average_precision": found.average_precision,
        "radius_first": found.radius_first,
        "radius_among": found.radius_among,
        "values": row.values,
        "withheld": row.withheld,
        "attacked": [
            {
                "unit": one.budget.unit,
                "amount": one.budget.amount,
                "fallen": one.fallen,
                "l2": one.l2,
                "alarms": list(one.alarms),
            }
            for one in row.attacked
        ],
    }
