"""Terminal table, JSON and rows of a k-NN benchmark, from its result alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any

from rich.console import Console

from ..core.statistics import Share
from ..core.units import Radius
from ..datasets.rows import RejectedRow
from ..evaluation.knn.bench import KnnResult
from ..evaluation.knn.rows import values_of
from ..evaluation.knn.summary import BudgetLine, KnnSummary
from .kinds import COUNT, NAME, PERCENT, WORD, ends, said
from .table import Column, Row, Table
from .terminal import say, show
from .words import words

_TITLES = words("knn")["titles"]


def knn_json(result: KnnResult, summary: KnnSummary) -> dict[str, Any]:
    """The benchmark as ``retr.knn/1``; radii and budgets as they were asked for, shares in [0, 1]."""
    plan, model = result.plan, result.model
    return {
        "schema": "retr.knn/1",
        "gallery": str(plan.gallery),
        "queries_from": None if plan.queries is None else str(plan.queries),
        "model": model["name"],
        "model_digest": model["digest"],
        "certified": model["uncertified_because"] is None,
        "uncertified_because": model["uncertified_because"],
        "k": plan.k,
        "side": plan.side,
        "seed": plan.seed,
        "attack": {"name": "apgd-l2", "steps": plan.steps, "restarts": plan.restarts} if plan.attack else None,
        "stored": sum(model["gallery"].values()),
        "labels": model["gallery"],
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
        "seconds": result.seconds,
    }


def knn_rows(result: KnnResult) -> Iterator[dict[str, Any]]:
    """One flat row per query, as ``retr.knn-row/1``; ℓ2 radii in pixels of the query."""
    for _, (clean, *attacked) in groupby(result.records.table.to_pylist(), itemgetter("query")):
        yield _row(clean, attacked)


def print_knn(result: KnnResult, summary: KnnSummary, console: Console | None = None) -> None:
    """What a benchmark found; to standard output by default."""
    out, plan, held = console or Console(), result.plan, result.model["gallery"]
    what = f"{summary.queries} queries, {sum(held.values())} images of {len(held)} labels, k = {plan.k}"
    say(out, f"{result.model['name']}: {what}")
    show(out, clean_table(summary, plan.k))
    show(out, budget_table(summary, plan.k))
    for text in remarks(summary, plan.k, result.rejected):
        say(out, text)
    if plan.attack:
        say(out, (f"certificates broken by an attack: {summary.alarms}", "red" if summary.alarms else "green"))


def clean_table(summary: KnnSummary, k: int) -> Table:
    """Before any attack."""
    rows: list[Row] = []
    for name, told in words("knn")["clean"].items():
        found = getattr(summary, name)
        share = isinstance(found, Share)
        rows.append((told.format(k=k), found.value if share else found, ends(found) if share else ""))
    columns = (Column("of queries", NAME), Column("share", PERCENT), Column("95 % interval", WORD))
    return Table(columns, tuple(rows), _TITLES["clean"])


def budget_table(summary: KnnSummary, k: int) -> Table:
    """At every size of change."""
    columns = (
        Column("size", NAME, attrgetter("budget")),
        Column("vote proved", PERCENT, attrgetter("certified.value")),
        Column("vote attacked", PERCENT, lambda line: line.attacked and line.attacked.value),
        Column("@1 proved", PERCENT, attrgetter("first.value")),
        Column(f"@{k} proved", PERCENT, attrgetter("among.value")),
        Column("alarms", COUNT, lambda line: None if line.attacked is None else line.alarms),
    )
    return Table.of(columns, summary.lines, title=_TITLES["budgets"])


def remarks(summary: KnnSummary, k: int, rejected: Sequence[RejectedRow]) -> Iterator[str]:
    """What the tables do not say."""
    if summary.median_rmse is not None:
        middle = said(KnnSummary, "median_rmse", summary.median_rmse, digits=3)
        yield f"median certified radius of right votes: RMSE {middle}"
    if summary.recall_first.of and k > 1:
        yield "a vote is proved only where its winner has more than half of the voters"
    for reason, number in summary.withheld.items():
        yield f"no certificate for {number} queries: {reason}"
    for reason, number in Counter(one.reason for one in rejected).items():
        first = next(one for one in rejected if one.reason == reason)
        yield f"left out: {number} × {reason}, the first: {first.file or first.name}"


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


def _row(clean: dict[str, Any], attacked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    l2, values = clean["radius_vote"], values_of(clean)
    same = ("query", "label", "predicted", "votes")
    found = ("first", "among", "average_precision", "radius_first", "radius_among")
    return {
        "schema": "retr.knn-row/1",
        "model": clean["model"],
        **{name: clean[name] for name in same},
        "correct": clean["predicted"] == clean["label"],
        "radius": l2,
        "radius_rmse": None if l2 is None else Radius(l2, values).rmse,
        **{name: clean[name] for name in found},
        "values": values,
        "withheld": clean["withheld"],
        "attacked": [
            {
                "unit": one["unit"],
                "amount": one["budget"],
                "fallen": one["success"],
                "l2": one["fallen_at"],
                "alarms": one["alarm_kind"].split("+") if one["alarm"] else [],
            }
            for one in attacked
        ],
    }
