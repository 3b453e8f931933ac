"""Terminal tables, JSON and rows of a copy benchmark, from its summary alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

from ..evaluation.copies.summary import CopySummary, NegativeLine, Scores, SystemLine
from .attack_table import percent
from .progress import ProgressBar


class Result(Protocol):
    """What is printed; ``evaluation.copy_bench.CopyResult`` is one."""

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


class CopyProgress(ProgressBar):
    """One bar, one stretch of work after another."""

    def phase(self, title: str, total: int) -> None:
        """A new stretch begins; a total of 0 is one that is not known."""
        self.bar.reset(self.task, total=total or None, description=title)


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
    return {f"{name}_{e:g}": None if values is None else values[place] for place, e in enumerate(epsilons)}


def print_copies(result: Result, console: Console | None = None) -> None:
    """The first system by family, all systems by their means, what the negatives say, and where the records are."""
    out, summary = console or Console(), result.summary
    main = summary.systems[0]
    out.print(_head(summary, main), highlight=False)
    out.print(_first_place(main, summary.epsilons))
    if main.mean.verdict is not None:
        out.print(_verdicts(main, summary))
    out.print(_systems(summary))
    for line in summary.systems:
        if line.negatives is not None:
            out.print(_negative_text(line, line.negatives, summary.epsilons), highlight=False)
    out.print(_check_text(summary), highlight=False)
    for reason, count in sorted(summary.skipped.items(), key=lambda pair: -pair[1]):
        out.print(f"left out: {count} × {reason}", highlight=False)
    stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in result.seconds.items())
    out.print(f"records: {result.records}  ({stages})", highlight=False, soft_wrap=True)


def _head(summary: CopySummary, line: SystemLine) -> str:
    stored, plan = line.stored, summary.plan
    queries = sum(family.queries for family in line.families)
    return (
        f"run {summary.run}: {queries} queries in {len(line.families)} families over {stored['items']} gallery items; "
        f"{stored['rows']} rows, views {plan['views']}, {stored['bytes_per_item']:.0f} bytes per gallery item; "
        f"model {line.system}; {line.seconds * 1000:.0f} ms per query in the median"
    )


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _scores(line: SystemLine) -> Iterator[tuple[str, str, Scores]]:
    """(name, queries, scores) of every family, the mean and the worst."""
    for family in line.families:
        name = f"{family.family} *" if family.geometric else family.family
        yield name, str(family.queries), family.scores
    yield "mean", str(sum(family.queries for family in line.families)), line.mean
    yield "worst", "", line.worst


def _first_place(line: SystemLine, epsilons: Sequence[float]) -> Table:
    """Recall@1 by family."""
    title = "The true item is first, %: clean, and certified at RMSE (* moves content)"
    table = _table(title, "family", "n", "clean", *(f"{e:g}" for e in epsilons), "µAP")
    for name, queries, scores in _scores(line):
        cells = [share(scores.recall), *map(share, scores.certified), share(scores.uap)]
        table.add_row(name, queries, *cells)
    return table


def _verdicts(line: SystemLine, summary: CopySummary) -> Table:
    """Recall of the verdict by family."""
    title = f"The verdict names the true item, %, at {summary.plan['fpr']:g} false matches per query"
    table = _table(title, "family", "clean", *(f"{e:g}" for e in summary.epsilons))
    for name, _, scores in _scores(line):
        table.add_row(name, share(scores.verdict), *map(share, scores.verdict_certified or ()))
    return table


def _systems(summary: CopySummary) -> Table:
    """Means of all systems at two budgets."""
    low, high = _near(summary.epsilons, 1.0), _near(summary.epsilons, 3.0)
    names = [f"{summary.epsilons[place]:g}" for place in (low, high)]
    columns = ("B/item", "clean", names[0], names[1], "µAP", "verdict", names[0], "worst")
    table = _table("Means over families, %, system by system (certified at the RMSE given)", "system", *columns)
    for line in summary.systems:
        mean = line.mean
        certified = [share(mean.certified[place]) if line.certified else "–" for place in (low, high)]
        proved = mean.verdict_certified[low] if line.certified and mean.verdict_certified else None
        cells = [share(mean.recall), *certified, share(mean.uap), share(mean.verdict), share(proved)]
        worst = f"{share(line.worst.recall)} {line.worst_families[0]}"
        table.add_row(line.system, f"{line.stored['bytes_per_item']:.0f}", *cells, worst)
    return table


def _near(epsilons: Sequence[float], wanted: float) -> int:
    return min(range(len(epsilons)), key=lambda place: abs(epsilons[place] - wanted))


def _negative_text(system: SystemLine, line: NegativeLine, epsilons: Sequence[float]) -> str:
    low, high = line.interval
    text = f"negatives, {system.system}: {line.false_matches} of {line.queries} taken for copies "
    text += f"(95 % interval {100 * low:.2f} to {100 * high:.2f} %)"
    if not system.certified:
        return text
    proved = ", ".join(f"{percent(value)} at RMSE {e:g}" for e, value in zip(epsilons, line.certified, strict=True))
    return f"{text}; rejection certified for {proved}"


def _check_text(summary: CopySummary) -> str:
    checked, refuted = sum(line.checked for line in summary.systems), summary.refuted
    colour = "red" if refuted else "green"
    return f"[{colour}]recomputed by brute force: {checked} answers, {refuted} claims refuted[/{colour}]"


def share(value: float | None) -> str:
    """A share as a percentage, a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f}"
