"""The tables of a copy benchmark, each built once; its terminal, JSON and rows: from its summary alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ..core.rounded import budget_text, nearest_text, percent_text
from ..core.statistics import Share
from ..evaluation.copies.plan import AS_IT_COMES
from ..evaluation.copies.summary import CopySummary, Scores, SystemLine
from .attack_table import say_skipped
from .edits_table import print_edits
from .kinds import COUNT, NAME, PERCENT, RATE, SHARE, WRAPPED, measured
from .table import Column, Table
from .terminal import say, show
from .words import words

if TYPE_CHECKING:
    from ..evaluation.copies.bench import CopyResult

_TITLES = words("copies")["titles"]


def copy_json(result: CopyResult) -> dict[str, Any]:
    """The benchmark as ``retr.copies/1``."""
    return {
        "schema": "retr.copies/1",
        **result.summary.as_json(),
        "records": str(result.path),
        "index": str(result.index),
        "seconds": result.seconds,
        **({} if result.edits is None else {"edits_with_proof": result.edits.as_json()}),
    }


def copy_rows(result: CopyResult) -> list[dict[str, Any]]:
    """One flat row per system and family, then its mean and its worst."""
    return [row for line in result.summary.systems for row in _flat_rows(result, line)]


def _flat_rows(result: CopyResult, line: SystemLine) -> Iterator[dict[str, Any]]:
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


def print_copies(result: CopyResult, console: Console | None = None) -> None:
    """The first system by family, all systems by their means, what the negatives say, and where the records are."""
    out, summary = console or Console(), result.summary
    say(out, _head(summary))
    for table in copy_tables(summary):
        show(out, table)
    if result.edits is not None:
        print_edits(result.edits, out)
    checked, refuted = sum(line.checked for line in summary.systems), summary.refuted
    text = f"recomputed by brute force: {checked} answers, {refuted} claims refuted"
    say(out, (text, "red" if refuted else "green"))
    say_skipped(out, summary.skipped)
    stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in result.seconds.items())
    say(out, f"records: {result.path}" + (f"  ({stages})" if stages else ""), on_one_line=True)


def _head(summary: CopySummary) -> str:
    line, plan = summary.systems[0], summary.plan
    stored = line.stored
    queries = sum(family.queries for family in line.families)
    return (
        f"run {summary.run}: {queries} queries in {len(line.families)} families over {stored['items']} gallery items; "
        f"{stored['rows']} rows, views {plan['views']}, {stored['bytes_per_item']:.0f} bytes per gallery item; "
        f"model {line.system}; {nearest_text(line.seconds * 1000, decimals=0)} ms per query in the median"
    )


def copy_tables(summary: CopySummary) -> list[Table]:
    """The first system by family, all systems by their means, and the negatives."""
    found = [*family_tables(summary), system_table(summary), negative_table(summary)]
    return [table for table in found if table.rows]


def family_tables(summary: CopySummary) -> Iterator[Table]:
    """Recall@1 of the first system by family, and recall of its verdict where it gives one."""
    line, sizes = summary.systems[0], list(map(budget_text, summary.epsilons))
    family, ladder = Column("family", NAME), [Column(size, PERCENT, ladder=True) for size in sizes]
    columns = (family, Column("n", COUNT, spare=True), Column("clean", PERCENT), *ladder, Column("µAP", PERCENT))
    rows = ((name, queries, one.recall, *one.certified, one.uap) for name, queries, one in _scores(line))
    yield Table(columns, tuple(rows), _TITLES["first_place"])
    if line.mean.verdict is not None:
        rows = ((name, one.verdict, *(one.verdict_certified or [""] * len(sizes))) for name, _, one in _scores(line))
        plan = summary.plan
        as_it_comes = plan.get("thresholds") == AS_IT_COMES  # records of the first release do not say
        title = _TITLES["as_it_comes" if as_it_comes else "verdict"].format(fpr=budget_text(plan["fpr"]))
        yield Table((family, Column("clean", PERCENT), *ladder), tuple(rows), title)


def _scores(line: SystemLine) -> Iterator[tuple[str, int | str, Scores]]:
    """(name, queries, scores) of every family, the mean and the worst."""
    for family in line.families:
        name = f"{family.family} *" if family.geometric else family.family
        yield name, family.queries, family.scores
    yield "mean", sum(family.queries for family in line.families), line.mean
    yield "worst", "", line.worst


def system_table(summary: CopySummary) -> Table:
    """Means of all systems at two budgets."""
    low, high = near(summary.epsilons, 1.0), near(summary.epsilons, 3.0)

    def proved(place: int) -> Any:
        return lambda line: line.mean.certified[place] if line.certified else None

    def verdict(line: SystemLine) -> float | None:
        found = line.mean.verdict_certified
        return found[low] if line.certified and found else None

    columns = (
        Column("system", NAME, attrgetter("system")),
        Column("B/item", measured(decimals=0), lambda line: line.stored["bytes_per_item"]),
        Column("clean", PERCENT, attrgetter("mean.recall"), "first"),
        *(Column(budget_text(summary.epsilons[place]), PERCENT, proved(place), "first") for place in (low, high)),
        Column("µAP", PERCENT, attrgetter("mean.uap"), "first"),
        Column("clean", PERCENT, attrgetter("mean.verdict"), "verdict"),
        Column(budget_text(summary.epsilons[low]), PERCENT, verdict, "verdict"),
        Column("worst", WRAPPED, lambda line: f"{percent_text(line.worst.recall)} {line.worst_families[0]}"),
    )
    return Table.of(columns, summary.systems, title=_TITLES["systems"])


def near(epsilons: Sequence[float], wanted: float) -> int:
    """The place of the size that is nearest to one."""
    return min(range(len(epsilons)), key=lambda place: abs(epsilons[place] - wanted))


def negative_table(summary: CopySummary) -> Table:
    """Negatives of every system that gives verdicts."""

    def rejected(place: int) -> Any:
        return lambda line: line.negatives.certified[place] if line.certified else None

    over = "rejected and certified"
    columns = (
        Column("system", NAME, attrgetter("system")),
        Column("negatives", COUNT, attrgetter("negatives.queries")),
        Column("taken for copies", COUNT, attrgetter("negatives.false_matches")),
        Column("share", RATE, _false_matches),
        *(Column(budget_text(e), SHARE, rejected(at), over, ladder=True) for at, e in enumerate(summary.epsilons)),
    )
    lines = [line for line in summary.systems if line.negatives is not None]
    return Table.of(columns, lines, title=_TITLES["negatives"])


def _false_matches(line: SystemLine) -> Share:
    own = line.negatives
    assert own is not None, "only systems with verdicts have negatives"
    return Share(own.false_matches / own.queries, *own.interval, own.false_matches, own.queries)
