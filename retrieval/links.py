"""Links: which items are copies of which by their stored rows, every pair of them looked at.

Float32 products propose, float64 decides each pair alone (``indexer.neighbours``), so a link is there or not whatever
the order of the rows is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.errors import IndexStateError, UsageError
from ..core.types import Score
from ..indexer.neighbours import Others
from ..indexer.vectors import Float32, Ids
from .channel import ORIGINAL, Channel, Float64
from .engine import Engine

OWN_ROWS, OTHER_ROWS = 2048, 8192
"""Rows whose products are held at a time."""


@dataclass(frozen=True)
class Links:
    """Pairs of items, each once, sorted.

    Attributes:
        left, right: (p,) numbers of items; within one gallery left < right, between two candidate and reference.
        share: (p,) how far they are apart, as part of how far they may be: 0 for the same row, 1 at the threshold. The
            least over channels.
        channel: (p,) the channel of that.
        apart: (p,) angle in radians, or distance, in that channel.
    """

    left: Ids
    right: Ids
    share: Float64
    channel: Ids
    apart: Float64

    def __len__(self) -> int:
        return len(self.left)

    def take(self, chosen: npt.NDArray[np.bool_]) -> Links:
        """Some of them."""
        return Links(
            self.left[chosen], self.right[chosen], self.share[chosen], self.channel[chosen], self.apart[chosen]
        )


def find_links(candidates: Engine, references: Engine | None = None) -> Links:
    """Every pair of items of which one, by its unedited view, is a copy of the other by that one's threshold.

    Args:
        candidates: an opened index.
        references: another of the same models: pairs of a candidate and a reference that it is a copy of, by the
            thresholds of the references. None for pairs within the first.

    Raises:
        IndexStateError: an index without thresholds.
        UsageError: indexes of different models.
    """
    other = candidates if references is None else references
    _check(candidates, other)
    found = [_of_channel(number, candidates, other, within=references is None) for number in range(len(other.channels))]
    return _merged(found, within=references is None)


def _check(candidates: Engine, references: Engine) -> None:
    digests = [[c.model_digest for c in engine.gallery.snapshot.channels] for engine in (candidates, references)]
    if digests[0] != digests[1]:
        raise UsageError(
            f"{candidates.path} holds {candidates.model} and {references.path} holds {references.model}: only indexes "
            "of the same models can be compared"
        )
    policies = [engine.gallery.snapshot.policy_digest for engine in (candidates, references)]
    if policies[0] != policies[1]:
        raise UsageError(
            f"{candidates.path} and {references.path} decode images by different policies "
            f"({policies[0][:16]} and {policies[1][:16]}): their rows cannot be compared"
        )
    if references.gallery.items > 0 and any(channel.threshold is None for channel in references.channels):
        raise IndexStateError(f"{references.path} has no threshold: it is too small for one; calibrate it")


def _of_channel(number: int, candidates: Engine, references: Engine, *, within: bool) -> Links:
    scope = references.scope((number, ORIGINAL.name))
    theirs, own_ids = scope.channel, candidates.gallery.originals()
    ids = np.flatnonzero(theirs.groups >= 0)
    if not len(own_ids) or not len(ids):
        return _none()
    reach = reach_of_rows(theirs, ids)
    rows, mine = theirs.store.take(ids), candidates.channels[number].store.take(own_ids)
    own_groups, groups = candidates.gallery.groups[own_ids], theirs.groups[ids]
    pieces = []
    for left, right, apart in _accepted(mine, rows, reach, theirs.score):
        pairs = np.stack([own_groups[left], groups[right]])
        differ = pairs[0] != pairs[1] if within else np.ones(len(left), dtype=np.bool_)
        share = np.divide(apart, reach[right], out=np.zeros(len(apart)), where=reach[right] > 0)
        pieces.append((pairs[:, differ], share[differ], apart[differ]))
    return Links(
        np.concatenate([pairs[0] for pairs, _, _ in pieces]),
        np.concatenate([pairs[1] for pairs, _, _ in pieces]),
        np.concatenate([share for _, share, _ in pieces]),
        np.full(sum(len(share) for _, share, _ in pieces), number),
        np.concatenate([apart for _, _, apart in pieces]),
    )


def reach_of_rows(channel: Channel, ids: Ids) -> Float64:
    """(m,) angle or distance up to which each row accepts; negative where it accepts nothing."""
    limits = channel.limits(ids)
    if channel.score != "cosine":
        return limits
    return np.where(limits > 1.0, -1.0, np.arccos(np.clip(limits, -1.0, 1.0)))


def _accepted(own: Float32, rows: Float32, reach: Float64, score: Score) -> Iterator[tuple[Ids, Ids, Float64]]:
    """Pairs (own row, other row) that the other accepts, and how far they are apart."""
    for first in range(0, len(rows), OTHER_ROWS):
        others = Others.of(rows[first : first + OTHER_ROWS], score)
        own_reach = reach[first : first + OTHER_ROWS]
        edge = others.at(own_reach)
        edge[own_reach < 0.0] = np.inf
        for start in range(0, len(own), OWN_ROWS):
            part = own[start : start + OWN_ROWS]
            slack = np.float32(2.0 * others.slack(part))
            left, right = np.nonzero(others.nearness(part) >= (edge - slack)[None])
            apart = others.distances(part, left, right)
            inside = apart <= own_reach[right]
            yield left[inside] + start, right[inside] + first, apart[inside]


def _merged(parts: list[Links], *, within: bool) -> Links:
    """Each pair once: by the direction and the channel in which it is nearest; of equals by the first channel."""
    left = np.concatenate([part.left for part in parts])
    right = np.concatenate([part.right for part in parts])
    if within:
        left, right = np.minimum(left, right), np.maximum(left, right)
    share, apart = np.concatenate([p.share for p in parts]), np.concatenate([p.apart for p in parts])
    channel = np.concatenate([part.channel for part in parts])
    order = np.lexsort((apart, channel, share, right, left))
    pairs = np.stack([left, right])[:, order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (np.diff(pairs) != 0).any(axis=0)
    chosen = order[new]
    return Links(left[chosen], right[chosen], share[chosen], channel[chosen], apart[chosen])


def _none() -> Links:
    ids = np.empty(0, dtype=np.int64)
    return Links(ids, ids, np.empty(0), ids, np.empty(0))
