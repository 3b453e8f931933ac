"""``retr dupes``: groups of copies in a corpus, or of candidates around references, each link with its radius."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..certificates.channels import union_copy_radius
from ..core.errors import ImageRejected
from ..core.units import Radius
from ..indexer.addresses import text_to_path
from ..indexer.entries import load_named
from ..indexer.items import Keys
from ..indexer.vectors import Ids
from .channel import ORIGINAL
from .engine import Engine
from .grouping import Pair, Star, assigned, stars
from .links import Links, find_links, reach_of_rows
from .probe import Query
from .query import to_float
from .source import Ask
from .verdict import radii_of

_BLANK = "it has no direction: the pixels are the same, and nothing is proved of changes"
MEASURED = 256
"""Members up to which every pair of a group is measured for its diameter; larger groups say a bound."""
Silent = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a group.

    Attributes:
        index: the folder of the index that holds it.
        id, path, width, height, format, bytes, mtime_ns, bytes_sha256, pixels_sha256: as in its catalog.
        role: ``reference`` (of the other index), ``centre``, or ``copy``.
        kind: how it is a copy of the centre: ``same-bytes``, ``same-pixels``, ``near``; None for the centre itself.
        share: how far it is from the centre, as part of how far it may be; 0 for the same pixels.
        channel: in which it is nearest.
        radius: within it every change of this file's image is still a copy of the centre; None where nothing is proved.
        unproved: why; None where something is, and where nothing was asked for.
    """

    index: str
    id: str
    path: str
    width: int
    height: int
    format: str
    bytes: int
    mtime_ns: int
    bytes_sha256: str
    pixels_sha256: str
    role: str
    kind: str | None = None
    share: float | None = None
    channel: str | None = None
    radius: Radius | None = None
    unproved: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The member as in ``retr.dupes/1``."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "radius"}
        return plain | {"radius": None if self.radius is None else self.radius.as_json()}


_KINDS = {**dict.fromkeys(("width", "height", "bytes", "mtime_ns"), int), "share": float}


@dataclass(frozen=True, slots=True)
class Group:
    """Files that show one picture.

    Attributes:
        members: the centre's files first, then the nearest.
        diameter: how far the two members that are farthest apart are, as part of how far a copy may be in the channel
            where they are nearest; measured on the stored rows, or 2 where there are too many to look at each pair.
    """

    members: tuple[Member, ...]
    diameter: float


@dataclass(frozen=True)
class Found:
    """All groups, the largest first; of equals by the name of their centre.

    Attributes:
        groups: of copies.
        engine: the index; references: the other, None where there is none.
    """

    groups: tuple[Group, ...]
    engine: Engine
    references: Engine | None


def find_duplicates(
    engine: Engine,
    references: Engine | None = None,
    *,
    dismissed: Collection[Pair] = frozenset(),
    certify: bool = False,
    advance: Silent = lambda _: None,
) -> Found:
    """Groups of copies.

    Args:
        engine: an opened index, or the part of it that is to be looked at.
        references: another index of the same models: copies of its items are looked for. None for copies within.
        dismissed: pairs that are no duplicates.
        certify: prove for every link how far the image may change and still be a copy of the centre; reads the files.
        advance: called with 1 after each file that was proved.

    Raises:
        IndexStateError, UsageError: as :func:`links.find_links`.
    """
    links = find_links(engine, references)
    own = _keys(engine)
    if references is None:
        found = _with_exact(stars(links, own, dismissed), engine)
    else:
        found = assigned(links, own, _keys(references), dismissed)
    maker = _Maker(engine, references, links, certify, advance)
    groups = [group for star in found if len((group := maker.group(star)).members) > 1]
    groups += maker.blank_groups()
    if references is not None:
        groups = [group for group in groups if any(one.role == "copy" for one in group.members)]
    groups.sort(key=lambda group: (-len(group.members), group.members[0].pixels_sha256, group.members[0].path))
    return Found(tuple(groups), engine, references)


def _keys(engine: Engine) -> Keys:
    return engine.gallery.table.keys(np.arange(engine.gallery.items))


def _with_exact(found: Sequence[Star], engine: Engine) -> list[Star]:
    """Also items that no other is linked with and that several files hold."""
    grouped = {item for star in found for item in (star.centre, *star.members)}
    table = engine.gallery.table
    several = np.flatnonzero(table.sizes(np.arange(table.count)) > 1)
    return [*found, *(Star(int(item), {}) for item in several if int(item) not in grouped)]


class _Maker:
    """Makes groups of files out of groups of items."""

    def __init__(self, engine: Engine, references: Engine | None, links: Links, certify: bool, advance: Silent) -> None:
        self.engine, self.references, self.links = engine, references, links
        self.certify, self.advance = certify, advance
        self.centres = engine if references is None else references

    def group(self, star: Star) -> Group:
        """The files of one star."""
        role = "centre" if self.references is None else "reference"
        centre = [replace(one, role=role) for one in _files(self.centres, star.centre)]
        first, *same = _each_file_once(centre, ())
        members = [first, *(self._linked(one, first, star.centre, 0.0, None) for one in same)]
        for item, number in star.members.items():
            share, channel = float(self.links.share[number]), int(self.links.channel[number])
            name = self.engine.channels[channel].name
            for one in _each_file_once(_files(self.engine, item), members):
                members.append(self._linked(one, first, star.centre, share, name))
        return Group(tuple(members), self._diameter(star))

    def blank_groups(self) -> list[Group]:
        """Files without a direction: no network compares them, and those with the same pixels are copies."""
        own, centres = _blank_files(self.engine), _blank_files(self.centres)
        role, groups = ("centre" if self.references is None else "reference"), []
        for pixels, files in centres.items():
            first, *same = _each_file_once([replace(one, role=role) for one in files], ())
            others = same if self.references is None else [*same, *own.get(pixels, ())]
            copies = [self._same(one, first) for one in _each_file_once(others, [first])]
            if copies:
                groups.append(Group((first, *copies), 0.0))
        return groups

    def _same(self, one: Member, centre: Member) -> Member:
        kind = "same-bytes" if one.bytes_sha256 == centre.bytes_sha256 else "same-pixels"
        role = one.role if one.role == "reference" else "copy"
        return replace(one, role=role, kind=kind, share=0.0, unproved=_BLANK if self.certify else None)

    def _linked(self, one: Member, centre: Member, item: int, share: float, channel: str | None) -> Member:
        kind = "near" if one.pixels_sha256 != centre.pixels_sha256 else "same-pixels"
        kind = "same-bytes" if one.bytes_sha256 == centre.bytes_sha256 else kind
        role = one.role if one.role == "reference" else "copy"
        one = replace(one, role=role, kind=kind, share=share, channel=channel)
        if not self.certify:
            return one
        radius, why = _link_radius(self.centres, one, item)
        self.advance(1)
        return replace(one, radius=radius, unproved=why)

    def _diameter(self, star: Star) -> float:
        if not star.members:
            return 0.0
        if len(star.members) >= MEASURED:
            return 2.0
        items = np.array([star.centre, *star.members] if self.references is None else list(star.members))
        within = _widest(self.engine, items)
        return max(within, *(float(self.links.share[number]) for number in star.members.values()))


def _files(engine: Engine, item: int) -> list[Member]:
    """The files of an item, by path."""
    return _members(engine, engine.gallery.table.rows_of(item))


def _members(engine: Engine, rows: Ids) -> list[Member]:
    """The files of some rows, by path."""
    named = {row["path"]: row for row in engine.gallery.catalog.take(rows).to_pylist()}
    fields = ("id", "path", "width", "height", "format", "bytes", "mtime_ns", "bytes_sha256", "pixels_sha256")
    found = (Member(str(engine.path), *(row[name] for name in fields), role="copy") for row in named.values())
    return sorted(found, key=lambda member: member.path)


def _blank_files(engine: Engine) -> dict[str, list[Member]]:
    """Pixels → files, of images without a direction."""
    found: dict[str, list[Member]] = {}
    for one in _members(engine, engine.gallery.blank):
        found.setdefault(one.pixels_sha256, []).append(one)
    return found


def _each_file_once(files: Sequence[Member], before: Sequence[Member]) -> list[Member]:
    """Without names of files that are among them under another name: links to one file are no copies."""
    seen = {_inode(one.path) for one in before} - {None}
    found = []
    for one in files:
        inode = _inode(one.path)
        if inode is None or inode not in seen:
            seen.add(inode)
            found.append(one)
    return found


def _inode(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(text_to_path(path))
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _widest(engine: Engine, items: np.ndarray) -> float:
    """The largest distance of two items, each pair in the channel where it is nearest, as part of the threshold."""
    shares = []
    originals = engine.gallery.originals()
    groups = engine.gallery.groups[originals]
    ids = originals[np.array([np.flatnonzero(groups == item)[0] for item in items])]
    for channel in engine.channels:
        reach = np.maximum(reach_of_rows(channel, ids), 1e-12)
        rows = channel.rows64(ids)
        apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
        if channel.score == "cosine":
            apart = 2.0 * np.arcsin(np.minimum(0.5 * apart, 1.0))
        shares.append(apart / np.maximum(reach[:, None], reach[None]))
    return float(np.minimum.reduce(shares).max())


def _link_radius(centres: Engine, one: Member, item: int) -> tuple[Radius | None, str | None]:
    """How far the file's image may change and still be a copy of the centre's item (T4, T5, T9)."""
    uncertified = centres.why_uncertified()
    if uncertified:
        return None, uncertified
    try:
        image = load_named(one.path, centres.policy)
    except ImageRejected as why:
        return None, f"{why.reason}: {why.detail}"
    if image.bytes_sha256 != one.bytes_sha256:
        return None, "the file has changed since it was indexed"
    query = centres.embed(to_float(image))
    if query.refused is not None:
        return None, query.refused
    l2 = _copy_radius(centres, query, item)
    return (Radius(l2, query.values), None) if l2 > 0.0 else (None, "it lies at the threshold")


def _copy_radius(centres: Engine, query: Query, item: int) -> float:
    """The largest radius of any probe and row of the item, no farther than any probe is good for."""
    [source] = centres.sources
    keys = centres.gallery.table.keys(np.array([item]))
    radii = []
    for probe in query.probes:
        [evidence] = source.answer([Ask(probe, own=keys)])
        assert evidence is not None
        radii.append(radii_of(probe, evidence.own))
    own = [min(union_copy_radius([one]), probe.proved.cap) for one, probe in zip(radii, query.probes, strict=True)]
    return min(max(0.0, *own), *(probe.proved.cap for probe in query.probes if probe.view == ORIGINAL.name))


def as_records(found: Found, kept: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Groups as ``retr.dupes/1``: one record for each.

    Args:
        found: the groups.
        kept: path of a member → what becomes of it.
    """
    records = []
    for number, group in enumerate(found.groups, start=1):
        members = [member.as_json() | {"fate": (kept or {}).get(member.path)} for member in group.members]
        records.append({"schema": "retr.dupes/1", "group": number, "diameter": group.diameter, "members": members})
    return records


COLUMNS: dict[str, type] = {
    "schema": str,
    "group": int,
    "diameter": float,
    **{name: _KINDS.get(name, str) for name in Member.__slots__ if name != "radius"},
    "radius": str,
    "fate": str,
}
"""Of :func:`as_rows`, where nothing is proved; a radius has a column for each of its numbers."""


def as_rows(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One record for each file in place of one for each group, for tables."""
    return [
        {"schema": one["schema"], "group": one["group"], "diameter": one["diameter"], **member}
        for one in records
        for member in one["members"]
    ]
