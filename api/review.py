"""Pairs of pictures for a person to judge, and what was said of them, which the index keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..core.errors import UsageError
from ..indexer.decisions import Decision, forget, read_decisions, remember
from ..indexer.dismissed import read_dismissed
from ..indexer.info import list_presumed
from ..retrieval.duplicates import find_duplicates
from ..retrieval.grouping import pair_of
from .index import Index
from .serving import item_of

Relation = Literal["same", "different"]
__all__ = ["Decision", "Pair", "decide", "decided", "pairs_of", "undo"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two items that may show one picture.

    Attributes:
        one, other: ids; why: ``group`` (of ``retr dupes``) or ``presumed``.
        share: how far they are apart, as a part of how far a copy may be; None for a presumed copy.
    """

    one: str
    other: str
    why: str
    share: float | None


def pairs_of(index: Index) -> list[Pair]:
    """Pairs that nobody has judged yet: every file of a group beside its centre, then presumed copies; nearest first.

    Files with the very same pixels are no question, and are left out.
    """
    known = {frozenset((one.one, one.other)) for one in read_decisions(index.path)}
    found: dict[frozenset[str], tuple[Pair, frozenset[str]]] = {}
    for pair, pixels in [*_grouped(index), *_presumed(index)]:
        if len(pixels) == 2 and pixels not in known:
            found.setdefault(pixels, (pair, pixels))
    pairs = [pair for pair, _ in found.values()]
    return sorted(pairs, key=lambda pair: (pair.share is None, pair.share, pair.one, pair.other))


def decide(index: Index, one: str, other: str, relation: Relation) -> Decision:
    """Remember that two items are copies of one another, or different; what was said of them before is replaced.

    Raises:
        UsageError: an id that the index does not hold, two with the same pixels, or another word.
    """
    if relation not in ("same", "different"):
        raise UsageError(f"two pictures are same or different, not {relation!r}")
    pixels = _pixels(index, one), _pixels(index, other)
    if pixels[0] == pixels[1]:
        raise UsageError("the two items have the same pixels: nothing is to be decided")
    return remember(index.path, *pixels, relation)


def undo(index: Index) -> Decision | None:
    """Take the last decision back; None where there is none."""
    return forget(index.path)


def decided(index: Index) -> list[Decision]:
    """All decisions, the first one first."""
    return read_decisions(index.path)


def _pixels(index: Index, name: str) -> str:
    found = item_of(index, name)
    if found is None:
        raise UsageError(f"the index holds no item of the id {name!r}")
    return found.pixels_sha256


def _grouped(index: Index) -> Iterator[tuple[Pair, frozenset[str]]]:
    for group in find_duplicates(index.engine, dismissed=read_dismissed(index.path)).groups:
        centre, *members = group.members
        for one in members:
            yield Pair(centre.id, one.id, "group", one.share), frozenset((centre.pixels_sha256, one.pixels_sha256))


def _presumed(index: Index) -> Iterator[tuple[Pair, frozenset[str]]]:
    dismissed = read_dismissed(index.path)
    for row in list_presumed(index.path):
        one, other = item_of(index, row["id"]), item_of(index, row["copy_of_id"])
        if one is None or other is None:
            continue
        if pair_of(one.pixels_sha256.encode(), other.pixels_sha256.encode()) not in dismissed:
            yield Pair(other.id, one.id, "presumed", None), frozenset((one.pixels_sha256, other.pixels_sha256))
