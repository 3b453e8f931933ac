"""The terminal table of perceptual metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def print_metrics(rows: Sequence[Mapping[str, Any]]) -> None:
    """What ``--metric`` takes, whether it runs now, and what it needs; the rest is in ``--format json``."""
    table = Table("metric", "runs", "attacks", "range", "input", "needs", "licence")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(
            row["form"],
            "yes" if row["runs"] else "no",
            "all" if row["differentiable"] else "black-box",
            f"{_end(row['lowest'], '−∞')} … {_end(row['highest'], '∞')}",
            _input(row),
            row["needs"] or "",
            row["licence"],
        )
    Console().print(table)


def _end(value: float | None, infinite: str) -> str:
    return infinite if value is None else f"{value:g}"


def _input(row: Mapping[str, Any]) -> str:
    if row["input_size"]:
        return "×".join(map(str, row["input_size"]))
    return "any" if row["smallest_side"] == 1 else f"≥ {row['smallest_side']} px"
