"""Terminal tables about the life of an index: plans, removals, what is wrong, snapshots, items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from rich.console import Console

from ..core.names import shown
from ..core.rounded import nearest_text
from .kinds import COUNT, DIGEST, NAME, WRAPPED, counted
from .table import Column, Table
from .terminal import facts, show

SHOWN = 20
"""Names of a kind that a table lists; all of them are in the other formats."""


def size(number: int) -> str:
    """Bytes in words, rounded to nearest."""
    for unit, bytes_of in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= bytes_of:
            return f"{nearest_text(number / bytes_of, decimals=1)} {unit}"
    return counted(number, "byte")


def _named(what: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Some names, and how many more there are."""
    if names:
        more = [f"… and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
        yield what, "\n".join([*map(shown, names[:SHOWN]), *more])  # a name may hold an end of line


def print_plan(plan: Mapping[str, Any]) -> None:
    """What a sync would do."""
    Console().print(facts(f"{plan['index']}  snapshot {plan['snapshot']}", _plan(plan)))


def _plan(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    counts = [f"{len(plan[kind])} {kind}" for kind in ("added", "changed", "removed")]
    yield "would be", f"{', '.join(counts)}; {plan['unchanged']} unchanged"
    for kind in ("added", "changed", "removed", "unreadable"):
        yield from _named(kind, plan[kind])


def print_removed(done: Mapping[str, Any]) -> None:
    """What was taken out, or would be."""
    words = "taken out" if done["done"] else "would go"
    pairs = [(words, counted(len(done["paths"]), "file")), *_named("", done["paths"])]
    Console().print(facts(f"{done['index']}  snapshot {done['snapshot']}", [*pairs, ("left", str(done["items"]))]))


def print_verified(found: Mapping[str, Any]) -> None:
    """What is wrong with an index, and what was dropped."""
    Console().print(facts(f"{found['index']}  snapshot {found['snapshot']}", _verified(found)))
    if found["problems"]:
        columns = (Column("file", WRAPPED, itemgetter("file")), Column("what is wrong", WRAPPED, itemgetter("what")))
        show(Console(), Table.of(columns, found["problems"]), whole=False)


def _verified(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    good = "all is well" if not found["problems"] else counted(len(found["problems"]), "problem")
    yield "state", good
    yield "read", f"{counted(found['files'], 'file')}, {size(found['bytes'])}, {counted(found['rows'], 'row')}"
    yield "snapshots", str(found["snapshots"])
    if found["unfinished"]:
        yield "unfinished", "a run that --resume goes on with"
    if found["orphans"]:
        taken = size(sum(one["bytes"] for one in found["orphans"]))
        yield "left over", f"{counted(len(found['orphans']), 'file')} that nothing names, {taken}: remove with --gc"
    if found["cleared"]:
        taken = size(sum(one["bytes"] for one in found["cleared"]))
        yield "removed", f"{counted(len(found['cleared']), 'file')} that nothing named, {taken}"
    for one in found["dropped"]:
        yield "dropped", "\n".join([one["what"], *one["paths"][:SHOWN]])


def print_compacted(done: Mapping[str, Any]) -> None:
    """What a compaction did."""
    pairs = [
        ("segments", "{} → {}".format(*done["segments"])),
        ("rows", "{} → {}".format(*done["rows"])),
        ("forgotten", counted(len(done["forgotten"]), "snapshot")),
        ("freed", size(done["freed"])),
    ]
    if done["held"]:
        pairs.append(("held", f"{size(done['held'])} that only older snapshots name: free it with --forget-snapshots"))
    Console().print(facts(f"{done['index']}  snapshot {done['snapshot']}", pairs))


def print_rules(said: Mapping[str, Any]) -> None:
    """The rules of an index."""
    pairs = [(_rule(one), f"{one['where']}  ({counted(one['files'], 'file')})") for one in said["rules"]]
    Console().print(facts(f"{said['index']}  snapshot {said['snapshot']}", pairs or [("rules", "none")]))


def _rule(one: Mapping[str, Any]) -> str:
    return "negative bank" if one["reach"] is None else f"reach × {nearest_text(one['reach'], decimals=3)}"


def print_snapshots(states: Iterable[Mapping[str, Any]]) -> None:
    """The states of an index."""
    columns = (
        Column("snapshot", DIGEST, itemgetter("id")),
        Column("created", NAME, itemgetter("created")),
        Column("rows", COUNT, itemgetter("rows")),
        Column("removed items", COUNT, itemgetter("tombstones")),
        Column("segments", COUNT, itemgetter("segments")),
        Column("", NAME, _state),
    )
    show(Console(), Table.of(columns, list(states)), whole=False)


def _state(state: Mapping[str, Any]) -> str:
    return "current" if state["current"] else "" if state["whole"] else "files are missing"


def print_items(items: Iterable[Mapping[str, Any]]) -> None:
    """The items of an index."""
    rows = list(items)
    keys = [key for key in (rows[0] if rows else {}) if key.startswith("label.")]
    columns = (
        Column("id", NAME, itemgetter("id")),
        Column("path", WRAPPED, itemgetter("path")),
        Column("size", NAME, lambda row: f"{row['width']}×{row['height']} {row['format']}"),
        Column("bytes", COUNT, itemgetter("bytes")),
        Column("changed", NAME, lambda row: _time(row["mtime_ns"])),
        *(Column(key.removeprefix("label."), NAME, itemgetter(key)) for key in keys),
    )
    show(Console(), Table.of(columns, rows), whole=False)


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).strftime("%Y-%m-%d %H:%M")


def print_exported(done: Mapping[str, Any]) -> None:
    """What was written."""
    Console().print(facts("exported", [("rows", str(done["rows"])), *(("file", file) for file in done["files"])]))
