"""Edits with proof in audits: a line for each family of edits, and what was done first against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from rich.console import Console

from ..core.rounded import budget_text
from ..evaluation.edits.summary import RangeLine, RangeSummary
from .html_tags import Html
from .kinds import COUNT, MARKUP, NAME, PERCENT, SECONDS, counted, measured, percent
from .svg_charts import share_bar
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


def edit_tables(summary: RangeSummary, *, bars: bool = False) -> Iterator[Table]:
    """By family, and by what was done to the queries first.

    Args:
        summary: of an audit's edits.
        bars: with a bar for each family, for pages.
    """
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
        *((Column("", MARKUP, _bar),) if bars else ()),
    )
    yield Table.of(columns, summary.lines, title=f"Edits with proof, any change up to RMSE {on_top} on top")
    if summary.by_edit:
        yield _by_edit(summary.by_edit)


def _bar(line: RangeLine) -> Html:
    """The share of queries of which all is proved: the verdict dark, first place grey up to the stroke."""
    said = f"verdict {percent(line.whole)}, first place {percent(line.first)}"
    first = max(line.first, line.whole)
    return share_bar(clean=first, attacked=first, certified=line.whole, label=f"{line.family}: {said} of queries")


def _by_edit(lines: tuple[RangeLine, ...]) -> Table:
    """A row for each edit that came first, a column for each family."""
    families = list(dict.fromkeys(line.family for line in lines))
    edits = list(dict.fromkeys(str(line.edit) for line in lines))
    found = {(str(line.edit), line.family): line for line in lines}
    columns = (Column("query", NAME), *(Column(family, PERCENT) for family in families))
    lines_of = [(edit, [found.get((edit, family)) for family in families]) for edit in edits]
    rows = tuple((edit, *(line and line.whole for line in own)) for edit, own in lines_of)
    return Table(columns, rows, "By what was done to the query first: the verdict proved of all edits")


@dataclass(frozen=True)
class ProvedEdits:
    """What a page says of edits with proof.

    Attributes:
        tables: with a bar for each family.
        alarms: proofs that were overturned; pairs: what was tried, in words, empty for nothing.
        left_out: what the time limit left out, in words, empty for nothing.
    """

    tables: tuple[Table, ...]
    alarms: int
    pairs: str
    left_out: str

    @staticmethod
    def of(summary: RangeSummary | None) -> ProvedEdits | None:
        """None where nothing was asked of edits, or nothing was reached."""
        if summary is None or not summary.lines:
            return None
        pairs = sum(line.pairs for line in summary.lines)
        return ProvedEdits(
            tuple(edit_tables(summary, bars=True)),
            summary.alarms,
            counted(pairs, "attacked edit", "attacked edits") if pairs else "",
            counted(summary.left_out, "query", "queries") if summary.left_out else "",
        )


def _attacks(summary: RangeSummary) -> str:
    pairs = counted(sum(line.pairs for line in summary.lines), "attacked edit", "attacked edits")
    return f"edits with proof: {pairs}, {counted(summary.alarms, 'proof', 'proofs')} overturned"
