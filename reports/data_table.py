"""Terminal pages about data sets: which there are, and how to get one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ..datasets.catalogue import DataInfo

_SECTIONS = (
    ("How it lies on disk", "layout"),
    ("How to get it (nothing is fetched for you)", "get"),
    ("Remarks", "notes"),
)


def print_data_list(rows: Sequence[Mapping[str, Any]]) -> None:
    """The data sets that can be read."""
    table = Table("name", "task", "what it is", "splits")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(row["name"], row["task"], row["title"], ", ".join(row["splits"]))
    Console(markup=False).print(table)


def print_data_info(info: DataInfo) -> None:
    """One data set: what it is, how it must lie on disk, and what to do to get it."""
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(f"{info.name}: {info.title}")
    for label, text in (("paper", info.paper), ("licence", info.licence), ("size", info.size)):
        if text:
            console.print(f"  {label:<8} {text}")
    console.print(f"  {'splits':<8} {', '.join(info.splits)}")
    for title, field in _SECTIONS:
        value = getattr(info, field)
        console.print(f"\n{title}")
        for line in value.splitlines() if isinstance(value, str) else value:
            console.print(f"  {line}")
