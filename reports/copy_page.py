"""A copy benchmark as one self-contained HTML file: a pure function of its summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from ..core.files import write_atomically
from ..core.rounded import budget_text
from ..core.statistics import Share
from ..evaluation.copies.summary import CopySummary, SystemLine
from .audit_page import when
from .copy_table import first_place_table, system_table, verdict_table
from .kinds import COUNT, NAME, RATE, SHARE, bounds, count, percent
from .pages import Figure, Key, page
from .svg_charts import accuracy_chart
from .table import Column, Table


def write_copy_page(path: Path, summary: CopySummary) -> None:
    """Write the page of a benchmark; it needs no other file, no network and no script.

    Args:
        path: the HTML file, replaced in one step.
        summary: of its records.
    """
    write_atomically(path, copy_page(summary).encode())


def copy_page(summary: CopySummary) -> str:
    """The page as text; see :func:`write_copy_page`."""
    main = summary.systems[0]
    return page(
        "copies.html.j2",
        run=summary.run,
        when=when(summary.run),
        counted=_counted(summary, main),
        checked=sum(line.checked for line in summary.systems),
        refuted=summary.refuted,
        keys=list(_keys(main, summary.epsilons)),
        figures=list(_figures(summary)),
        first_place=first_place_table(main, summary.epsilons),
        verdicts=None if main.mean.verdict is None else verdict_table(main, summary),
        systems=system_table(summary),
        negatives=_negatives(summary),
        command=str(summary.plan.get("command") or "–"),
        run_facts=[("run", summary.run), *((name, _fact(value)) for name, value in sorted(summary.plan.items()))],
        skipped=[f"{number} × {reason}" for reason, number in summary.skipped.items()],
    )


def _fact(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _counted(summary: CopySummary, main: SystemLine) -> list[str]:
    queries = sum(family.queries for family in main.families)
    systems = len(summary.systems)
    return [
        f"{count(queries)} queries in {len(main.families)} families",
        f"{count(main.stored['items'])} gallery items",
        main.system if systems == 1 else f"{systems} systems, the first {main.system}",
    ]


def _keys(main: SystemLine, epsilons: Sequence[float]) -> Iterator[Key]:
    """The main figures of the first system."""
    low, high = main.interval
    ends = bounds(Share(main.mean.recall, low, high, 0, 0))
    yield Key(percent(main.mean.recall), ("of queries have the true item first, mean over families", f"95 %: {ends}"))
    place = min(range(len(epsilons)), key=lambda place: abs(epsilons[place] - 1.0))
    at = f"RMSE {budget_text(epsilons[place])}"
    if main.certified:
        words = f"proved to stay first for every change up to {at}"
        yield Key(percent(main.mean.certified[place]), (words,), "proved")
    if main.mean.verdict is not None:
        yield Key(percent(main.mean.verdict), ("are called copies of the true item",))
    if main.certified and main.mean.verdict_certified is not None:
        yield Key(percent(main.mean.verdict_certified[place]), (f"proved to stay so up to {at}",), "proved")
    if main.negatives is not None:
        words = f"of {count(main.negatives.queries)} negatives taken for copies"
        yield Key(str(main.negatives.false_matches), (words,), "broken" if main.negatives.false_matches else "")


def _figures(summary: CopySummary) -> Iterator[Figure]:
    """For every certified system what is proved of the mean, by the size of the change."""
    for line in summary.systems:
        if line.certified:
            yield _figure(f"{line.system}: the true item is first", line.mean.recall, line.mean.certified, summary)
            if line.mean.verdict is not None and line.mean.verdict_certified is not None:
                title = f"{line.system}: the verdict names it"
                yield _figure(title, line.mean.verdict, line.mean.verdict_certified, summary)


def _figure(title: str, clean: float, proved: Sequence[float], summary: CopySummary) -> Figure:
    """Between two sizes counts what is proved at the larger one: it holds at the smaller as well."""
    epsilons = summary.epsilons

    def certified(amount: float) -> float:
        return next((share for eps, share in zip(epsilons, proved, strict=True) if eps >= amount), 0.0)

    drawn = accuracy_chart(
        clean=clean,
        attacked=lambda _: clean,
        certified=certified,
        points=(),
        reach=0.0,
        x_max=epsilons[-1],
        axis="size of the change, RMSE in levels of 255",
        label=f"{title}, mean over families, against the size of the change; clean {percent(clean)}",
    )
    at = ", ".join(f"{percent(share)} at RMSE {budget_text(eps)}" for eps, share in zip(epsilons, proved, strict=True))
    return Figure(title, drawn, f"Clean {percent(clean)}; certified {at}.")


def _negatives(summary: CopySummary) -> Table | None:
    """Negatives of every system that gives verdicts."""
    lines = [line for line in summary.systems if line.negatives is not None]
    if not lines:
        return None
    columns = [
        Column("system", NAME, attrgetter("system")),
        Column("negatives", COUNT, attrgetter("negatives.queries")),
        Column("taken for copies", COUNT, attrgetter("negatives.false_matches")),
        Column("share", RATE, _false_matches),
    ]
    for place, eps in enumerate(summary.epsilons):
        columns.append(
            Column(budget_text(eps), SHARE, lambda line, place=place: _rejected(line, place), "rejected and certified")
        )
    return Table.of(columns, lines)


def _false_matches(line: SystemLine) -> Share:
    own = line.negatives
    assert own is not None, "only systems with verdicts have negatives"
    return Share(own.false_matches / own.queries, *own.interval, own.false_matches, own.queries)


def _rejected(line: SystemLine, place: int) -> float | None:
    return line.negatives.certified[place] if line.certified and line.negatives else None
