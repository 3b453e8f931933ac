"""Groups of copies on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

from rich.console import Console

from ..core.rounded import radius_text, upper_text
from .kinds import NAME, WHOLE, WRAPPED, counted, radius
from .table import Column, Group, Row, Table
from .terminal import say, show


def print_dupes(records: Iterable[Mapping[str, Any]]) -> None:
    """Every group with its files; what each is, and how far it may change."""
    groups = list(records)
    out = Console()
    if groups:
        show(out, dupes_table(groups), whole=False)
    files = sum(len(group["members"]) for group in groups)
    say(out, f"{counted(len(groups), 'group')} of {counted(files, 'file')}")


def dupes_table(groups: list[Mapping[str, Any]]) -> Table:
    """One line for each file, under the heading of its group."""
    columns = _columns(groups)
    rows: list[Row] = []
    for group in groups:
        rows.append(Group(heading(group)))
        rows += [tuple(column.value(member) for column in columns) for member in group["members"]]
    return Table(columns, tuple(rows))


def heading(group: Mapping[str, Any]) -> str:
    """What a group is; how far apart its files are is rounded up."""
    most = upper_text(100.0 * group["diameter"], decimals=1)
    wide = f", at most {most} % of the threshold apart" if group["diameter"] else ""
    return f"group {group['group']}: {counted(len(group['members']), 'file')}{wide}"


def member_words(one: Mapping[str, Any]) -> Iterator[str]:
    """A file in a few lines."""
    yield f"{one['width']}×{one['height']} {one['format']}, {one['kind'] or one['role']}"
    if one["radius"]:
        yield f"a copy within RMSE {radius_text(one['radius']['rmse'], decimals=2)}"
    if one["fate"]:
        yield str(one["fate"])


def _columns(groups: list[Mapping[str, Any]]) -> tuple[Column, ...]:
    members = [member for group in groups for member in group["members"]]
    return tuple(_of(members))


def _of(members: list[Mapping[str, Any]]) -> Iterator[Column]:
    yield Column("file", WRAPPED, itemgetter("path"))
    yield Column("is", NAME, lambda one: one["kind"] or one["role"])
    yield Column("size", NAME, lambda one: f"{one['width']}×{one['height']} {one['format']}")
    yield Column("of threshold", WHOLE, itemgetter("share"))
    if any(one["radius"] or one["unproved"] for one in members):
        yield Column("a copy within RMSE", radius(decimals=2), _radius)
    if any(one["fate"] for one in members):
        yield Column("", WRAPPED, itemgetter("fate"))


def _radius(one: Mapping[str, Any]) -> float | str | None:
    return one["radius"]["rmse"] if one["radius"] else one["unproved"]
