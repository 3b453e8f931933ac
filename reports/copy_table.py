"""Terminal tables, JSON and rows of a copy benchmark, from its summary alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from ..core.rounded import budget_text, lower_text, nearest_text, percent_text, upper_text
from ..evaluation.copies.summary import CopySummary, NegativeLine, Scores, SystemLine
from .kinds import COUNT, NAME, PERCENT, WRAPPED, measured, percent
from .table import Column, Table
from .terminal import drawn, say


class Result(Protocol):
    """What is printed; ``evaluation.copies.bench.CopyResult`` is one."""

    @property
    def run(self) -> str:
        """Id of the run."""
        ...

    @property
    def records(self) -> Path:
        """The Parquet file."""
        ...

    @property
    def index(self) -> Path:
        """The folder of the index."""
        ...

    @property
    def summary(self) -> CopySummary:
        """The numbers."""
        ...

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time by stage."""
        ...


def copy_json(result: Result) -> dict[str, Any]:
    """The benchmark as ``retr.copies/1``."""
    return {
        "schema": "retr.copies/1",
        **result.summary.as_json(),
        "records": str(result.records),
        "index": str(result.index),
        "seconds": dict(result.seconds),
    }


def copy_rows(result: Result) -> list[dict[str, Any]]:
    """One flat row per system and family, then its mean and its worst."""
    return [row for line in result.summary.systems for row in _flat_rows(result, line)]


def _flat_rows(result: Result, line: SystemLine) -> Iterator[dict[str, Any]]:
    epsilons = result.summary.epsilons
    named = [(f.family, f.queries, f.scores) for f in line.families]
    total = sum(f.queries for f in line.families)
    for family, queries, scores in [*named, ("mean", total, line.mean), ("worst", total, line.worst)]:
        yield {
            "schema": "retr.copies-row/1",
            "run": result.run,
            "system": line.system,
            "family": family,
            "queries": queries,
            "bytes_per_item": line.stored["bytes_per_item"],
            "recall": scores.recall,
            **_columns("certified", epsilons, scores.certified),
            "uap": scores.uap,
            "verdict": scores.verdict,
            **_columns("verdict_certified", epsilons, scores.verdict_certified),
        }


def _columns(name: str, epsilons: Sequence[float], values: Sequence[float] | None) -> dict[str, float | None]:
    return {f"{name}_{budget_text(e)}": None if values is None else values[place] for place, e in enumerate(epsilons)}


def print_copies(result: Result, console: Console | None = None) -> None:
    """The first system by family, all systems by their means, what the negatives say, and where the records are."""
    out, summary = console or Console(), result.summary
    main = summary.systems[0]
    say(out, _head(summary, main))
    for table in _tables(summary, main):
        out.print(drawn(table))
    for line in summary.systems:
        if line.negatives is not None:
            say(out, _negative_text(line, line.negatives, summary.epsilons))
    say(out, _check_text(summary))
    for reason, number in sorted(summary.skipped.items(), key=lambda pair: -pair[1]):
        say(out, f"left out: {number} × {reason}")
    stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in result.seconds.items())
    say(out, f"records: {result.records}  ({stages})", on_one_line=True)


def _head(summary: CopySummary, line: SystemLine) -> str:
    stored, plan = line.stored, summary.plan
    queries = sum(family.queries for family in line.families)
    return (
        f"run {summary.run}: {queries} queries in {len(line.families)} families over {stored['items']} gallery items; "
        f"{stored['rows']} rows, views {plan['views']}, {stored['bytes_per_item']:.0f} bytes per gallery item; "
        f"model {line.system}; {nearest_text(line.seconds * 1000, decimals=0)} ms per query in the median"
    )


def _tables(summary: CopySummary, main: SystemLine) -> Iterator[Table]:
    yield first_place_table(main, summary.epsilons)
    if main.mean.verdict is not None:
        yield verdict_table(main, summary)
    yield system_table(summary)


def _scores(line: SystemLine) -> Iterator[tuple[str, int | str, Scores]]:
    """(name, queries, scores) of every family, the mean and the worst."""
    for family in line.families:
        name = f"{family.family} *" if family.geometric else family.family
        yield name, family.queries, family.scores
    yield "mean", sum(family.queries for family in line.families), line.mean
    yield "worst", "", line.worst


def _percents(*heads: str) -> list[Column]:
    return [Column(head, PERCENT) for head in heads]


def first_place_table(line: SystemLine, epsilons: Sequence[float]) -> Table:
    """Recall@1 by family."""
    columns = (Column("family", NAME), Column("n", COUNT), *_percents("clean", *map(budget_text, epsilons), "µAP"))
    rows = ((name, queries, one.recall, *one.certified, one.uap) for name, queries, one in _scores(line))
    title = "The true item is first, %: clean, and certified at RMSE (* moves content)"
    return Table(columns, tuple(rows), title)


def verdict_table(line: SystemLine, summary: CopySummary) -> Table:
    """Recall of the verdict by family."""
    columns = (Column("family", NAME), *_percents("clean", *map(budget_text, summary.epsilons)))
    rows = (
        (name, one.verdict, *(one.verdict_certified or ("",) * len(summary.epsilons))) for name, _, one in _scores(line)
    )
    title = f"The verdict names the true item, %, at {budget_text(summary.plan['fpr'])} false matches per query"
    return Table(columns, tuple(rows), title)


def system_table(summary: CopySummary) -> Table:
    """Means of all systems at two budgets."""
    low, high = _near(summary.epsilons, 1.0), _near(summary.epsilons, 3.0)
    names = [budget_text(summary.epsilons[place]) for place in (low, high)]
    columns = (Column("system", NAME), Column("B/item", measured(decimals=0)), *_percents("clean", *names, "µAP"),
               *_percents("verdict", names[0]), Column("worst", WRAPPED))  # fmt: skip
    rows = []
    for line in summary.systems:
        mean = line.mean
        certified = [mean.certified[place] if line.certified else None for place in (low, high)]
        proved = mean.verdict_certified[low] if line.certified and mean.verdict_certified else None
        worst = f"{percent_text(line.worst.recall)} {line.worst_families[0]}"
        cells = (mean.recall, *certified, mean.uap, mean.verdict, proved, worst)
        rows.append((line.system, line.stored["bytes_per_item"], *cells))
    return Table(columns, tuple(rows), "Means over families, %, system by system (certified at the RMSE given)")


def _near(epsilons: Sequence[float], wanted: float) -> int:
    return min(range(len(epsilons)), key=lambda place: abs(epsilons[place] - wanted))


def _negative_text(system: SystemLine, line: NegativeLine, epsilons: Sequence[float]) -> str:
    low, high = (100 * end for end in line.interval)
    ends = f"{lower_text(low, decimals=2)} to {upper_text(high, decimals=2)}"
    text = f"negatives, {system.system}: {line.false_matches} of {line.queries} taken for copies "
    text += f"(95 % interval {ends} %)"
    if not system.certified:
        return text
    proved = ", ".join(
        f"{percent(value)} at RMSE {budget_text(e)}" for e, value in zip(epsilons, line.certified, strict=True)
    )
    return f"{text}; rejection certified for {proved}"


def _check_text(summary: CopySummary) -> tuple[str, str]:
    checked, refuted = sum(line.checked for line in summary.systems), summary.refuted
    text = f"recomputed by brute force: {checked} answers, {refuted} claims refuted"
    return text, "red" if refuted else "green"
