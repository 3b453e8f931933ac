"""The page of duplicates: every group with its pictures, in one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.files import write_atomically
from .audit_page_images import named_picture, picture
from .dupes_table import heading, member_words
from .pages import page

if TYPE_CHECKING:
    from ..retrieval.duplicates import Group

MOST = 200
"""Groups that a page shows; all of them are in the other formats."""


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
    """One group: its heading and its files."""

    title: str
    shots: tuple[Shot, ...]


def write_page(out: Path, groups: Sequence[Group], fates: Mapping[str, str], index: str) -> None:
    """Write the page.

    Args:
        out: the file.
        groups: of copies, the largest first.
        fates: path → what becomes of a file.
        index: the folder they were found in.
    """
    sections = [_section(number, group, fates) for number, group in enumerate(groups[:MOST], start=1)]
    text = page("dupes.html.j2", index=index, sections=sections, groups=len(groups), more=max(0, len(groups) - MOST))
    write_atomically(out, text.encode())


def _section(number: int, group: Group, fates: Mapping[str, str]) -> Section:
    members = [member.as_json() | {"fate": fates.get(member.path)} for member in group.members]
    record = {"group": number, "diameter": group.diameter, "members": members}
    return Section(heading(record), tuple(_shot(member) for member in members))


def _shot(member: Mapping[str, object]) -> Shot:
    path = str(member["path"])
    pixels = named_picture(path)
    return Shot(None if pixels is None else picture(pixels), path, tuple(member_words(member)))
