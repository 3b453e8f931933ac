"""Groups of copies by their links alone: the same ones in whatever order the items were stored.

A group is a centre and items that are linked with it, so no two of its members are farther apart than two links: there
is no chain from one picture by many small steps to another. Centres are taken by the number of their links, most first;
of equals the one whose pixels have the least SHA-256. That is a property of the pictures and not of their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ..indexer.items import Keys
from .links import Links

Pair = tuple[bytes, bytes]
"""Names of two items, the smaller first."""


@dataclass(frozen=True, slots=True)
class Star:
    """One group.

    Attributes:
        centre: number of its item.
        members: item → number of its link with the centre, the nearest first.
    """

    centre: int
    members: Mapping[int, int]


def stars(links: Links, keys: Keys, dismissed: Collection[Pair] = frozenset()) -> list[Star]:
    """Groups within one gallery; every item is in one at most.

    Args:
        links: pairs within it.
        keys: (items,) their names.
        dismissed: pairs that are no duplicates, and are never in one group.
    """
    near = _neighbours(links, keys, dismissed)
    order = sorted(near, key=lambda item: (-len(near[item]), bytes(keys[item])))
    taken: set[int] = set()
    found = []
    for centre in order:
        if centre in taken:
            continue
        members = _members(centre, near, links, keys, taken, dismissed)
        if members:
            taken.update([centre, *members])
            found.append(Star(centre, members))
    return found


def assigned(links: Links, own: Keys, references: Keys, dismissed: Collection[Pair] = frozenset()) -> list[Star]:
    """Groups of candidates around references: each candidate is with the reference that it is nearest to.

    Args:
        links: pairs of a candidate and a reference.
        own: names of the candidates.
        references: names of the references.
        dismissed: pairs that are no duplicates.
    """
    best: dict[int, int] = {}
    for number in _by_nearness(links, references, links.right):
        pair = pair_of(bytes(own[links.left[number]]), bytes(references[links.right[number]]))
        if pair not in dismissed:
            best.setdefault(int(links.left[number]), int(number))
    groups: dict[int, dict[int, int]] = defaultdict(dict)
    for candidate, number in sorted(best.items(), key=lambda pair: (links.share[pair[1]], bytes(own[pair[0]]))):
        groups[int(links.right[number])][candidate] = number
    centres = sorted(groups, key=lambda item: (-len(groups[item]), bytes(references[item])))
    return [Star(centre, groups[centre]) for centre in centres]


def pair_of(one: bytes, other: bytes) -> Pair:
    """Two names in order."""
    return (one, other) if one <= other else (other, one)


def _neighbours(links: Links, keys: Keys, dismissed: Collection[Pair]) -> dict[int, dict[int, int]]:
    """Item → linked item → number of the link."""
    near: dict[int, dict[int, int]] = defaultdict(dict)
    for number, (one, other) in enumerate(zip(links.left.tolist(), links.right.tolist(), strict=True)):
        if dismissed and pair_of(bytes(keys[one]), bytes(keys[other])) in dismissed:
            continue
        near[one][other] = number
        near[other][one] = number
    return near


def _members(
    centre: int,
    near: Mapping[int, Mapping[int, int]],
    links: Links,
    keys: Keys,
    taken: set[int],
    dismissed: Collection[Pair],
) -> dict[int, int]:
    free = [(number, item) for item, number in near[centre].items() if item not in taken]
    chosen: dict[int, int] = {}
    for number, item in sorted(free, key=lambda pair: (float(links.share[pair[0]]), bytes(keys[pair[1]]))):
        if not any(pair_of(bytes(keys[item]), bytes(keys[other])) in dismissed for other in chosen):
            chosen[item] = number
    return chosen


def _by_nearness(links: Links, keys: Keys, items: np.ndarray) -> np.ndarray:
    """Numbers of links, the nearest first; of equals by the name of one end."""
    return np.lexsort((keys[items], links.share)) if len(links) else np.empty(0, dtype=np.int64)
