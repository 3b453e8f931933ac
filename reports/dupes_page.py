"""The page of duplicates: every group with its pictures, in one file that needs nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.files import write_atomically
from ..core.names import shown
from .audit_page_images import named_picture, picture
from .dupes_table import heading, member_words
from .pages import page

if TYPE_CHECKING:
    from ..retrieval.duplicates import Group

MOST = 200
"""Groups that a page shows; all of them are in the other formats. And as many pairs of items that limit each other."""


@dataclass(frozen=True)
class Shot:
    """One file.

    Attributes:
        address: its picture as a data address; None where it cannot be read.
        path: its name.
        lines: what it is, and what becomes of it.
    """

    address: str | None
    path: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One group: its heading, its files, and the commands by which a person says what they are; none for copies."""

    title: str
    shots: tuple[Shot, ...]
    commands: tuple[str, ...] = ()


def write_page(
    out: Path,
    groups: Sequence[Group],
    fates: Mapping[str, str],
    index: str,
    crowded: Sequence[Mapping[str, object]] = (),
) -> None:
    """Write the page.

    Args:
        out: the file.
        groups: of copies, the largest first.
        fates: path → what becomes of a file.
        index: the folder they were found in.
        crowded: items that limit each other and are in no group (``indexer.presumed.crowded_items``), nearest first.
    """
    pairs = _pairs(groups, crowded)
    text = page(
        "dupes.html.j2",
        index=index,
        sections=[_section(number, group, fates) for number, group in enumerate(groups[:MOST], start=1)],
        groups=len(groups),
        more=max(0, len(groups) - MOST),
        pairs=[_pair(number, pair, index) for number, pair in enumerate(pairs[:MOST], start=1)],
        more_pairs=max(0, len(pairs) - MOST),
    )
    write_atomically(out, text.encode())


def _pairs(groups: Sequence[Group], crowded: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Each pair once, and none that a group holds: it is said there."""
    places = {member.path: number for number, group in enumerate(groups) for member in group.members}
    found: dict[frozenset[str], Mapping[str, object]] = {}
    for row in crowded:
        one, other = str(row["path"]), str(row["near"])
        if one not in places or places[one] != places.get(other):
            found.setdefault(frozenset((one, other)), row)
    return list(found.values())


def _pair(number: int, row: Mapping[str, object], index: str) -> Section:
    paths = [str(row["path"]), str(row["near"])]
    # What a page cannot show as it is, nobody could copy from it: such files go by their ids.
    names = [path if shown(path) == path else str(row[id_]) for path, id_ in zip(paths, ("id", "near_id"), strict=True)]
    ways = ("--same", "--dismiss")
    commands = tuple(
        shlex.join(["retr", "dupes", index, *(word for one in names for word in (way, one))]) for way in ways
    )
    return Section(f"Pair {number}", tuple(_pictured(path) for path in paths), commands)


def _section(number: int, group: Group, fates: Mapping[str, str]) -> Section:
    members = [member.as_json() | {"fate": fates.get(member.path)} for member in group.members]
    record = {"group": number, "diameter": group.diameter, "members": members}
    return Section(heading(record), tuple(_shot(member) for member in members))


def _shot(member: Mapping[str, object]) -> Shot:
    return _pictured(str(member["path"]), tuple(member_words(member)))


def _pictured(path: str, lines: tuple[str, ...] = ()) -> Shot:
    pixels = named_picture(path)
    return Shot(None if pixels is None else picture(pixels), path, lines)
