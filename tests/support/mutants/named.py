"""Changes that change nothing that is promised, each with the reason: they are named once and never drawn."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .sites import Change

LIST = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True, slots=True)
class Named:
    """Changes of one kind on lines of one text.

    Attributes:
        file: path from the root of the project.
        line: the line's text, without the space around it: line numbers shift.
        old: the token.
        new: what stands in its place; None for whatever does.
        which: the how-manieth such token of the line, from 0; None for all of them.
        why: the argument.
    """

    file: str
    line: str
    old: str
    why: str
    new: str | None = None
    which: int | None = None


def read(path: Path = LIST) -> list[Named]:
    """The committed list."""
    return [Named(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8"))["equivalent"]]


def split(found: Iterable[Change], names: Iterable[Named]) -> tuple[list[Change], list[Change], list[Named]]:
    """The changes that count, those that are named, and the names that fit no change."""
    names, used = list(names), set[Named]()
    counted, named = [], []
    places = _places(found := list(found))
    for change in found:
        fitting = [name for name in names if _fits(name, change, places[change])]
        used.update(fitting)
        (named if fitting else counted).append(change)
    return counted, named, [name for name in names if name not in used]


def _places(found: list[Change]) -> dict[Change, int]:
    """Of each change, how many equal ones stand before it on its line."""
    seen, places = Counter[tuple[str, int, str, str]](), {}
    for change in sorted(found, key=lambda change: (change.file, change.start)):
        key = (change.file, change.line, change.old, change.new)
        places[change] = seen[key]
        seen[key] += 1
    return places


def _fits(name: Named, change: Change, place: int) -> bool:
    return (
        (name.file, name.line, name.old) == (change.file, change.text, change.old)
        and name.new in (None, change.new)
        and name.which in (None, place)
    )
