"""Why a match is or is not a copy: how near the query is to the item, and the unrelated picture it is measured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..core.numerics import norm
from ..indexer.gallery import Gallery
from ..indexer.gaps import KIND, Gaps, all_of, read_neighbours
from ..indexer.neighbours import to_angles
from ..indexer.presumed import CROWDED
from ..indexer.vectors import Ids
from .answer import Answer, Match
from .channel import Channel, Float64
from .probe import Probe, Query
from .ranking import COMPANION
from .scopes import Scope, Scopes


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The unrelated picture that is nearest to a row.

    Attributes:
        kind: of a vector of the reference set; None for an image of the gallery.
        id, path: of that image; None for a vector of the reference set, and for an image that was not asked about.
    """

    kind: str | None
    id: str | None
    path: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How near a query is to the row of an item that is readiest to accept it.

    Attributes:
        channel: that compares them; view: of the item; query_view: of the query.
        distance: between them, in ``unit``: ``rad`` for an angle, ``l2`` for a Euclidean distance.
        gap: distance from the row to its nearest unrelated neighbour.
        within: distance within which the row accepts.
        part: distance as a part of the gap; None where the gap is 0.
        neighbour: that neighbour; None where nothing is nearer than the reference set's ``farthest``.
        reference: the gap that the row would have without other items.
        crowded: whether another item leaves it little of that (``presumed.CROWDED``).
    """

    channel: str
    view: str
    query_view: str
    distance: float
    gap: float
    within: float
    part: float | None
    neighbour: Neighbour | None
    unit: str
    reference: float
    crowded: bool

    def as_json(self) -> dict[str, Any]:
        """As part of a match."""
        return asdict(self)


@dataclass(frozen=True)
class Explainer:
    """Explains the answers of an opened index whose rows have thresholds of their own.

    Attributes:
        path: of the index; gallery, channels: what was opened.
        rows: numbers, in the snapshot, of the rows that are here; None for all.
        scopes: which rows each view of a query is compared with.
    """

    path: Path
    gallery: Gallery
    channels: tuple[Channel, ...]
    rows: Ids | None = None
    scopes: Scopes = field(default_factory=dict)

    def explained(self, answer: Answer, query: Query) -> Answer:
        """The answer, its matches explained; those of an index with one threshold for all rows stay as they are."""
        if not answer.matches or any(known is None for known in self._known):
            return answer
        matches = tuple(replace(match, explained=self._match(match, query)) for match in answer.matches)
        return replace(answer, matches=matches)

    @cached_property
    def _known(self) -> Sequence[Gaps | None]:
        """Per channel what is known of its gaps; None without a share of them."""
        found: list[Gaps | None] = []
        for channel in self.channels:
            threshold = channel.threshold
            if threshold is None or threshold.gaps is None or threshold.neighbours is None:
                found.append(None)
                continue
            by_segment, _ = read_neighbours(self.path, threshold.gaps, threshold.neighbours)
            known = all_of(self.gallery.snapshot, by_segment)
            found.append(known if self.rows is None else known.take(self.rows))
        return found

    def _match(self, match: Match, query: Query) -> Explanation | None:
        """None where nothing was measured: a blank image is found by its pixels alone."""
        rows = self.gallery.table.rows_of(match.group)
        # Of what only a companion accepts, the companion's own threshold is the reason; of all else it is none.
        probes = query.companions if match.tier == COMPANION else query.probes
        found = (self._probe(probe, rows) for probe in probes)
        options = [one for one in found if one is not None]
        return min(
            options, key=lambda one: (one.distance / one.within if one.within else np.inf, one.distance), default=None
        )

    def _probe(self, probe: Probe, rows: Ids) -> Explanation | None:
        """By one probe; None where it is compared with none of the rows."""
        scope = self.scopes.get(probe.name) or Scope(self.channels[probe.channel])
        channel, known, own = scope.channel, self._known[probe.channel], scope.inward(rows)
        assert known is not None, "only shares of gaps are explained"
        if not len(own):
            return None
        far, within = _distances(channel, probe.z, own), channel.reach(own)
        nearness = np.divide(far, within, out=np.full_like(far, np.inf), where=within > 0.0)
        best = int(np.lexsort((far, nearness))[0])
        row = int(scope.outward(own)[best])
        gap, reference = float(known.gap[row]), float(known.reference[row])
        neighbour = self._neighbour(bytes(known.limit[row]))
        return Explanation(
            channel=channel.name,
            view=str(self.gallery.describe(row)["view"]),
            query_view=probe.view,
            distance=float(far[best]),
            gap=gap,
            within=float(within[best]),
            part=float(far[best]) / gap if gap else None,
            neighbour=neighbour,
            unit="rad" if channel.score == "cosine" else "l2",
            reference=reference,
            crowded=neighbour is not None and neighbour.kind is None and gap < CROWDED * reference,
        )

    def _neighbour(self, limit: bytes) -> Neighbour | None:
        if not limit:
            return None
        if limit.startswith(KIND.encode()):
            return Neighbour(limit.decode().removeprefix(KIND), None, None)
        item = int(self.gallery.table.numbers(np.array([limit], dtype="S64"))[0])
        if item < 0:  # it is none of the rows that are here
            return Neighbour(None, None, None)
        row = self.gallery.describe(int(self.gallery.table.first_rows(np.array([item]))[0]))
        return Neighbour(None, str(row["id"]), str(row["path"]))


def _distances(channel: Channel, z: Float64, rows: Ids) -> Float64:
    """(m,) angles or distances."""
    apart = (z / norm(z) if channel.score == "cosine" else z) - channel.rows64(rows)
    return to_angles(norm(apart)) if channel.score == "cosine" else norm(apart)
