"""The terminal table of perceptual metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from rich.console import Console

from ..core.rounded import budget_text
from .kinds import NAME
from .table import Column, Table
from .terminal import say, show


def print_metrics(rows: Sequence[Mapping[str, Any]]) -> None:
    """What ``--metric`` takes and whether it runs now; what is missing stands below, once for all that miss it.

    Licences, papers and where weights come from are in ``--format json``.
    """
    wanted = list(dict.fromkeys(row["needs"] for row in rows if row["needs"]))
    columns = (
        Column("metric", NAME, itemgetter("form")),
        Column("runs", NAME, lambda row: "yes" if row["runs"] else "no"),
        Column("attacks", NAME, lambda row: "all" if row["differentiable"] else "black-box"),
        Column("range", NAME, lambda row: f"{_end(row['lowest'], '−∞')} … {_end(row['highest'], '∞')}"),
        Column("input", NAME, _input),
        Column("needs", NAME, lambda row: f"({wanted.index(row['needs']) + 1})" if row["needs"] else ""),
    )
    console = Console()
    show(console, Table.of(columns, rows), whole=False)
    for number, needs in enumerate(wanted, 1):
        say(console, f"({number}) {needs}", on_one_line=True)


def _end(value: float | None, infinite: str) -> str:
    return infinite if value is None else budget_text(value)


def _input(row: Mapping[str, Any]) -> str:
    if row["input_size"]:
        return "×".join(map(str, row["input_size"]))
    return "any" if row["smallest_side"] == 1 else f"≥ {row['smallest_side']} px"
