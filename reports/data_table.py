"""Terminal pages about data sets: which there are, and how to get one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from rich.console import Console

from ..datasets.catalogue import DataInfo
from .kinds import NAME
from .table import Column, Table
from .terminal import show

_SECTIONS = (
    ("How it lies on disk", "layout"),
    ("How to get it (nothing is fetched for you)", "get"),
    ("Remarks", "notes"),
)


def print_data_list(rows: Sequence[Mapping[str, Any]]) -> None:
    """The data sets that can be read."""
    columns = (
        Column("name", NAME, itemgetter("name")),
        Column("task", NAME, itemgetter("task")),
        Column("what it is", NAME, itemgetter("title")),
        Column("splits", NAME, lambda row: ", ".join(row["splits"])),
    )
    show(Console(), Table.of(columns, rows), whole=False)


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
