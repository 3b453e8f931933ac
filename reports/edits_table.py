"""Edits with proof in audits: a line for each family of edits, and what was done first against it."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from rich.console import Console

from ..core.rounded import budget_text
from ..evaluation.edits.summary import RangeLine, RangeSummary
from .kinds import COUNT, NAME, PERCENT, SECONDS, counted, measured
from .table import Column, Table
from .terminal import say, show

_PROVED = "proved of all edits"


def print_edits(summary: RangeSummary, out: Console | None = None) -> None:
    """The tables, what the time limit left out, and alarms."""
    console = out or Console()
    for table in edit_tables(summary):
        show(console, table)
    if summary.left_out:
        say(console, f"edits with proof: {counted(summary.left_out, 'query', 'queries')} not reached in time")
    if any(line.pairs for line in summary.lines):
        say(console, (_attacks(summary), "red" if summary.alarms else "green"))


def edit_tables(summary: RangeSummary) -> Iterator[Table]:
    """By family, and by what was done to the queries first."""
    if not summary.lines:
        return
    on_top = budget_text(summary.lines[0].on_top)
    columns = (
        Column("edits", NAME, attrgetter("family")),
        Column("n", COUNT, attrgetter("queries"), spare=True),
        Column("verdict", PERCENT, attrgetter("whole"), _PROVED),
        Column("first", PERCENT, attrgetter("first"), _PROVED),
        Column("median", PERCENT, attrgetter("share"), "share of edits"),
        Column("network", measured(decimals=0), attrgetter("evaluations"), spare=True),
        Column("s", SECONDS, attrgetter("seconds"), spare=True),
        Column("attacked", COUNT, attrgetter("pairs"), spare=True),
    )
    yield Table.of(columns, summary.lines, title=f"Edits with proof, any change up to RMSE {on_top} on top")
    if summary.by_edit:
        yield _by_edit(summary.by_edit)


def _by_edit(lines: tuple[RangeLine, ...]) -> Table:
    """A row for each edit that came first, a column for each family."""
    families = list(dict.fromkeys(line.family for line in lines))
    edits = list(dict.fromkeys(str(line.edit) for line in lines))
    found = {(str(line.edit), line.family): line for line in lines}
    columns = (Column("query", NAME), *(Column(family, PERCENT) for family in families))
    lines_of = [(edit, [found.get((edit, family)) for family in families]) for edit in edits]
    rows = tuple((edit, *(line and line.whole for line in own)) for edit, own in lines_of)
    return Table(columns, rows, "By what was done to the query first: the verdict proved of all edits")


def _attacks(summary: RangeSummary) -> str:
    pairs = counted(sum(line.pairs for line in summary.lines), "attacked edit", "attacked edits")
    return f"edits with proof: {pairs}, {counted(summary.alarms, 'proof', 'proofs')} overturned"
