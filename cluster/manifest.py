"""Which shard holds which rows, and what a shard must say before its word counts (THEORY §6: every row, once)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..core.errors import UsageError
from ..core.version import VERSION
from ..indexer.items import Items
from ..retrieval.evidence import Evidence
from ..retrieval.probe import Name
from ..retrieval.source import Ask


@dataclass(frozen=True, slots=True)
class Manifest:
    """How the rows of a snapshot are divided.

    Attributes:
        snapshot: its id, the digest of its content.
        edges: (shards + 1,) shard i holds the rows from edge i to before edge i + 1: all of them, each once.
    """

    snapshot: str
    edges: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.edges) < 2 or self.edges[0] != 0 or any(a > b for a, b in pairwise(self.edges)):
            raise ValueError(f"shards must follow one another from row 0 on, got edges {self.edges}")

    @property
    def shards(self) -> int:
        """How many there are."""
        return len(self.edges) - 1

    @staticmethod
    def even(snapshot: str, rows: int, shards: int) -> Manifest:
        """Shards of all but equally many rows.

        Raises:
            UsageError: no shards.
        """
        if shards < 1:
            raise UsageError(f"an index is held by at least 1 shard, got {shards}")
        return Manifest(snapshot, tuple(rows * number // shards for number in range(shards + 1)))

    def name(self, number: int) -> str:
        """A shard as people are told of it."""
        first, last = self.edges[number], self.edges[number + 1] - 1
        return f"shard {number} (rows {first} to {last})" if last >= first else f"shard {number} (no rows)"


@dataclass(frozen=True)
class Reply:
    """What a shard says.

    Attributes:
        shard: its number; snapshot: id of what it holds; gallery: which part of that it was asked about.
        start, stop: the rows that it speaks for.
        evidence: to each question.
        version: of the retr that says so: another one may mean other things by it. No default: what a shard that
            knows of no version sent would read as this one's.
    """

    shard: int
    snapshot: str
    gallery: str
    start: int
    stop: int
    evidence: list[Evidence]
    version: str


@dataclass(frozen=True)
class Expected:
    """What the manifest says of a shard's part of a gallery.

    Attributes:
        shard, snapshot, gallery, start, stop, version: as in the reply.
        size: its live rows; scopes: of those, how many each view of a query is compared with, where not with all.
    """

    shard: int
    snapshot: str
    gallery: str
    start: int
    stop: int
    size: int
    scopes: Mapping[Name, int]
    version: str = VERSION


def why_refused(reply: Reply, expected: Expected, asks: Sequence[Ask], items: Items) -> str | None:
    """Why a reply cannot count for these rows, or None.

    A merged answer counts a row as scanned because the shard that holds it says so here and no other shard can: each
    speaks for the rows of its own place alone, of this snapshot, to these questions.

    Args:
        reply: what came.
        expected: whose answer it must be.
        asks: what was asked.
        items: which item each row of the gallery is of.
    """
    for what in ("version", "shard", "snapshot", "gallery", "start", "stop"):
        said, known = getattr(reply, what), getattr(expected, what)
        if said != known:
            return f"it answered for {what} {said}, and {known} was asked"
    if len(reply.evidence) != len(asks):
        return f"it gave {len(reply.evidence)} answers to {len(asks)} questions"
    for ask, seen in zip(asks, reply.evidence, strict=True):
        why = _why_no_evidence(seen, ask, expected, items)
        if why is not None:
            return why
    return None


def _why_no_evidence(seen: Evidence, ask: Ask, expected: Expected, items: Items) -> str | None:
    if seen.probe.name != ask.probe.name or not np.array_equal(seen.probe.z, ask.probe.z):
        return "it answered another question"
    if (seen.scanned, seen.total) != (expected.size, expected.size):
        return f"it scanned {seen.scanned} of {seen.total} rows, and holds {expected.size}"
    rivals = () if seen.rivals is None else (seen.rivals,)
    for rows in (seen.listed, seen.own, *rivals):
        if len(rows) and not (expected.start <= rows.ids.min() and rows.ids.max() < expected.stop):
            return f"it lists rows outside of {expected.start} to {expected.stop - 1}"
        if (items.groups[rows.ids] < 0).any():
            return "it lists rows that are no part of the gallery"
    if any(len(np.unique(rows.ids)) < len(rows) for rows in (seen.listed, *rivals)):
        return "it lists a row twice"
    if not (seen.claims is None if ask.claims is None else ask.claims.are(seen.claims)):
        return "it speaks of other claims than it was asked about"
    return _why_no_list(seen, ask, expected)


def _why_no_list(seen: Evidence, ask: Ask, expected: Expected) -> str | None:
    """As :func:`_why_no_evidence`, of how far it looked."""
    if seen.rejects > ask.rejects:
        return f"it says that rows reject within {seen.rejects}, and was asked about {ask.rejects}"
    if not ask.lists:
        return None
    if math.isinf(seen.unseen):
        listed = len(seen.listed)
        all_rows = expected.scopes.get(ask.probe.name, expected.size)
        return None if listed == all_rows else f"it lists {listed} of {all_rows} rows, and bounds no other"
    if ask.within is not None and seen.unseen != ask.within:
        return f"it looked as far as {seen.unseen}, and {ask.within} was asked"
    return None
