"""Gallery images that are near each other: presumed copies, and those that limit how near a copy of another must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .dismissed import Pair, read_dismissed
from .gallery import Gallery
from .gaps import KIND, Gaps, all_of, read_neighbours
from .items import Keys

CROWDED = 0.6
"""Part of its reference gap that an item must have left; of different pictures of one source few are nearer."""


PAIR: dict[str, type] = dict.fromkeys(("path", "copy_of", "id", "copy_of_id"), str)
"""What is told of a presumed copy, and of what type it is."""
CROWD: dict[str, type] = {
    **dict.fromkeys(("path", "near", "id", "near_id", "channel"), str),
    "gap": float,
    "reference": float,
}
"""What is told of a crowded item."""


@dataclass(frozen=True, slots=True)
class Company:
    """How many items are near others.

    Attributes:
        presumed: items that are presumed to be copies of others; groups: into how many groups they fall.
        crowded: items that another, which is no presumed copy, limits much.
    """

    presumed: int = 0
    groups: int = 0
    crowded: int = 0


def company_of(index: Path, gallery: Gallery) -> Company:
    """Counts of :func:`presumed_copies` and :func:`crowded_items`."""
    pairs = presumed_copies(index, gallery)
    return Company(len(pairs), _groups(pairs), len(_found(index, gallery)))


def _groups(pairs: Sequence[dict[str, Any]]) -> int:
    """How many groups the pairs fall into: each that joins two of them leaves one less."""
    heads: dict[str, str] = {}

    def head(item: str) -> str:
        while (above := heads.setdefault(item, item)) != item:
            heads[item] = heads[above]  # half of the way is saved for the next time
            item = heads[item]
        return item

    joins = 0
    for pair in pairs:
        one, other = head(pair["id"]), head(pair["copy_of_id"])
        heads[one], joins = other, joins + (one != other)
    return len(heads) - joins


def crowded_items(index: Path, gallery: Gallery) -> list[dict[str, Any]]:
    """Items that accept only very near queries, because another item is near, and is no presumed copy of theirs.

    Pairs that were dismissed as no duplicates are left out: somebody has looked at them.

    Args:
        index: the index folder.
        gallery: of one of its snapshots.

    Returns:
        For each, the most limited first, ``path`` and ``id`` of it and of the item that limits it (``near``,
        ``near_id``), the ``channel`` in which it does so most, the ``gap`` there, and the ``reference`` gap that it
        would be without items (angles in radians, or distances).

    Raises:
        IntegrityError: what was dismissed is damaged.
    """
    return [crowd.told(gallery, other) for crowd, other in _found(index, gallery)]


def _found(index: Path, gallery: Gallery) -> list[tuple[_Crowd, int]]:
    """Those items, the most limited first, and the number of the item that limits each."""
    known = _known(index, gallery)
    if known is None:
        return []
    found: dict[int, _Crowd] = {}
    for channel, gaps in zip(gallery.snapshot.channels, known, strict=True):
        for crowd in _crowds(gallery, gaps, channel.name):
            held = found.get(int(gallery.groups[crowd.row]))
            if held is None or crowd.part < held.part:
                found[int(gallery.groups[crowd.row])] = crowd
    crowds = sorted(found.values(), key=lambda crowd: (crowd.part, crowd.row))
    others = gallery.table.numbers(np.array([crowd.limit for crowd in crowds], dtype="S64"))
    pairs = [(crowd, int(other)) for crowd, other in zip(crowds, others, strict=True) if other >= 0]
    dismissed = read_dismissed(index) if pairs else frozenset()
    return [one for one in pairs if not dismissed or one[0].pair(gallery, one[1]) not in dismissed]


@dataclass(frozen=True, slots=True)
class _Crowd:
    """A row whose gap is this part of its reference gap, because of the item of that name."""

    row: int
    channel: str
    gap: float
    reference: float
    limit: bytes

    @property
    def part(self) -> float:
        return self.gap / self.reference

    def pair(self, gallery: Gallery, other: int) -> Pair:
        """By what they show, as it is dismissed."""
        rows = (self.row, int(gallery.table.first_rows(np.array([other]))[0]))
        one, two = sorted(str(gallery.describe(row)["pixels_sha256"]).encode() for row in rows)
        return one, two

    def told(self, gallery: Gallery, other: int) -> dict[str, Any]:
        own, near = gallery.describe(self.row), gallery.describe(int(gallery.table.first_rows(np.array([other]))[0]))
        names = {"path": own["path"], "near": near["path"], "id": own["id"], "near_id": near["id"]}
        return {**names, "channel": self.channel, "gap": self.gap, "reference": self.reference}


def _crowds(gallery: Gallery, gaps: Gaps, channel: str) -> Iterator[_Crowd]:
    rows = gallery.originals()
    limit, gap, reference = gaps.limit[rows], gaps.gap[rows].astype(np.float64), gaps.reference[rows].astype(np.float64)
    item = (limit != b"") & ~np.char.startswith(limit, KIND.encode())
    for place in np.flatnonzero(item & (gap < CROWDED * reference)):
        yield _Crowd(int(rows[place]), channel, float(gap[place]), float(reference[place]), bytes(limit[place]))


def presumed_copies(index: Path, gallery: Gallery) -> list[dict[str, Any]]:
    """Items that are set aside as neighbours of others, because both seem to be one picture (``indexer.gaps``).

    Returns:
        For each such item the ``path`` of its first file and of that of one of its copies (``copy_of``), with their
        ids. None are known where thresholds are not measured by gaps.
    """
    known = _known(index, gallery)
    if known is None:
        return []
    firsts = gallery.table.first_rows(np.arange(gallery.items))
    copies = _least([own.presumed for own in known], gallery)
    some = np.flatnonzero(copies != b"")
    others = gallery.table.numbers(copies[some])
    pairs = [(firsts[item], firsts[other]) for item, other in zip(some, others, strict=True) if other >= 0]
    return [_pair(gallery.describe(int(row)), gallery.describe(int(other))) for row, other in pairs]


def _pair(row: dict[str, object], other: dict[str, object]) -> dict[str, Any]:
    return {"path": row["path"], "copy_of": other["path"], "id": row["id"], "copy_of_id": other["id"]}


def _known(index: Path, gallery: Gallery) -> list[Gaps] | None:
    found = []
    for channel in gallery.snapshot.channels:
        threshold = channel.threshold
        if threshold is None or threshold.gaps is None or threshold.neighbours is None:
            return None
        found.append(all_of(gallery.snapshot, read_neighbours(index, threshold.gaps, threshold.neighbours)[0]))
    return found


def _least(columns: list[Keys], gallery: Gallery) -> Keys:
    """(items,) the first name that any row of an item was set aside for."""
    found = np.full(gallery.items, b"~", dtype="S64")  # after every digest
    for column in columns:
        rows = np.flatnonzero((column != b"") & gallery.live)
        order = rows[np.argsort(column[rows], kind="stable")[::-1]]
        items = gallery.groups[order]
        earlier = column[order] <= found[items]
        found[items[earlier]] = column[order][earlier]  # of several writes the last, which is the first name, stays
    found[found == b"~"] = b""
    return found
