"""The terminal table of perceptual metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def print_metrics(rows: Sequence[Mapping[str, Any]]) -> None:
    """What ``--metric`` takes and whether it runs now; what is missing stands below, once for all that miss it.

    Licences, papers and where weights come from are in ``--format json``.
    """
    wanted = list(dict.fromkeys(row["needs"] for row in rows if row["needs"]))
    table = Table("metric", "runs", "attacks", "range", "input", "needs")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(
            escape(row["form"]),  # its square brackets mean "may be left out"
            "yes" if row["runs"] else "no",
            "all" if row["differentiable"] else "black-box",
            f"{_end(row['lowest'], '−∞')} … {_end(row['highest'], '∞')}",
            _input(row),
            f"({wanted.index(row['needs']) + 1})" if row["needs"] else "",
        )
    console = Console()
    console.print(table)
    for number, needs in enumerate(wanted, 1):
        console.print(f"({number}) {needs}", highlight=False, markup=False, soft_wrap=True)


def _end(value: float | None, infinite: str) -> str:
    return infinite if value is None else f"{value:g}"


def _input(row: Mapping[str, Any]) -> str:
    if row["input_size"]:
        return "×".join(map(str, row["input_size"]))
    return "any" if row["smallest_side"] == 1 else f"≥ {row['smallest_side']} px"
