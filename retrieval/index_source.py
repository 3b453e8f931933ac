"""The opened index as a source: FAISS proposes, float64 decides, and what was not proposed is bounded (THEORY §6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ..certificates.decision import ranking
from ..core.types import Score
from ..indexer.items import Items, Keys
from ..indexer.vectors import Float32, Ids
from .channel import Channel, Float64
from .compared_rows import Rows
from .distances import beyond, lower_bounds
from .evidence import Evidence
from .probe import Probe
from .rejecting import rejects_within
from .rivals import find_rivals
from .scopes import Scope, Scopes, scope_of
from .source import Ask
from .unlisted import search_bound, unseen

SPARE = 16
"""Rows that float32 proposes beyond those asked for, so that its rounding seldom decides which are the nearest."""


@dataclass(frozen=True)
class IndexSource:
    """Rows of an opened index, or of some of its segments; see ``source.Source``.

    What it lists is a function of the probe and of the rows in float64 alone: those nearer than ``unseen``, which is
    the distance asked for, or that of the row after the last of so many. So several parts of an index can say together
    what the whole says, to the last bit (``joined``), however float32 rounds in each of them.

    Attributes:
        channels: by the number that probes give.
        items: which item each of its rows is of.
        start: global number of its first row.
        scopes: which rows each view of a query is compared with; empty where each is with all of them.
    """

    channels: tuple[Channel, ...]
    items: Items
    start: int = 0
    scopes: Scopes = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """See :class:`source.Source`."""
        return self.items.live_rows

    def answer(self, asks: Sequence[Ask]) -> list[Evidence]:
        """See :class:`source.Source`; all that ask a channel for equally many rows are searched for together."""
        found: dict[int, Evidence] = {}
        together: dict[tuple[int, int, int], list[int]] = {}
        for place, ask in enumerate(asks):
            if ask.nearest:
                # Views that look at the very same rows are searched for together, each with thresholds of its own.
                rows = id(self._scope(ask.probe).channel.store)
                together.setdefault((rows, ask.probe.channel, ask.nearest), []).append(place)
            else:
                found[place] = self._within(ask)
        for (_, _, count), places in together.items():
            for place, one in zip(places, self._nearest([asks[p] for p in places], count), strict=True):
                found[place] = one
        return [self._with_rivals(ask, self._with_rejects(ask, found[place])) for place, ask in enumerate(asks)]

    def _with_rejects(self, ask: Ask, seen: Evidence) -> Evidence:
        """With how far every row rejects, where that was asked."""
        if not ask.rejects:
            return seen
        scope = self._scope(ask.probe)
        return replace(seen, rejects=rejects_within(scope.channel, ask.probe, ask.rejects, self._alive(scope)))

    def _with_rivals(self, ask: Ask, seen: Evidence) -> Evidence:
        """With the rows that might contradict what is claimed, where that was asked."""
        if ask.claims is None:
            return seen
        scope = self._scope(ask.probe)
        rows = self._rows(ask.probe, scope, find_rivals(scope.channel, ask.probe, ask.claims, self._alive(scope)))
        return replace(seen, claims=ask.claims, rivals=rows.take(ranking(rows.scores, rows.ids)))

    def _alive(self, scope: Scope) -> Callable[[Ids], npt.NDArray[np.bool_]]:
        """Which rows of a scope are part of the gallery."""
        return lambda ids: self.items.groups[scope.outward(ids)] >= 0

    def _scope(self, probe: Probe) -> Scope:
        """The rows that a probe is compared with; all of them where nothing says which."""
        return scope_of(self.scopes, self.channels, probe.name)

    def _nearest(self, asks: Sequence[Ask], count: int) -> list[Evidence]:
        scope = self._scope(asks[0].probe)
        if not scope.channel.store.rows:
            return [self._evidence(ask, Rows.none(ask.probe), math.inf) for ask in asks]
        scores, ids = self._proposed(scope.channel, [ask.probe for ask in asks], count + SPARE)
        found = zip(asks, ids, scores[:, -1], strict=True)
        return [self._first(ask, count, own, float(worst)) for ask, own, worst in found]

    @staticmethod
    def _proposed(channel: Channel, probes: Sequence[Probe], count: int) -> tuple[Float32, Ids]:
        queries = np.stack([channel.query32(probe.z) for probe in probes])
        return channel.store.nearest(queries, count, gpu=channel.gpu)

    def _first(self, ask: Ask, count: int, ids: Ids, worst: float) -> Evidence:
        """The rows nearer than the one at place count + 1: what they are depends on no rounding of the proposals."""
        probe, scope = ask.probe, self._scope(ask.probe)
        channel, listed = scope.channel, self._listed(probe, scope, ids)
        # Rows that are no longer part of the gallery may have taken all the places.
        while len(listed) <= count and len(ids) < channel.store.rows:
            before, (scores, [ids]) = len(ids), self._proposed(channel, [probe], 2 * len(ids))
            worst, listed = float(scores[0, -1]), self._listed(probe, scope, ids)
            if len(ids) <= before:  # whoever proposes has no more, and bounds what it does not propose
                return self._evidence(ask, listed, unseen(channel, probe.z, worst))
        if len(listed) <= count:
            return self._evidence(ask, listed, math.inf)
        high = beyond(float(np.partition(listed.distances, count)[count]), channel.score)
        if len(ids) < channel.store.rows and high >= unseen(channel, probe.z, worst):
            # As far as float32 can tell, a row that it did not propose may be nearer.
            listed = self._listed(probe, scope, _rows_within(channel, probe.z, high))
        return self._evidence(ask, *first_rows(listed, count, channel.score))

    def _within(self, ask: Ask) -> Evidence:
        """Every row nearer than was asked; no row where that was not."""
        if ask.within is None:
            return self._evidence(ask, Rows.none(ask.probe), math.inf)
        probe, scope = ask.probe, self._scope(ask.probe)
        channel = scope.channel
        far = beyond(ask.within, channel.score)
        listed = self._listed(probe, scope, _rows_within(channel, probe.z, beyond(far, channel.score)))
        listed = listed.take(np.flatnonzero(listed.distances < far))
        return self._evidence(ask, listed, math.inf if len(listed) == channel.live else ask.within)

    def _listed(self, probe: Probe, scope: Scope, ids: Ids) -> Rows:
        """Rows of a scope, compared with the probe; those that are no longer part of the gallery are left out."""
        return self._rows(probe, scope, ids[self._alive(scope)(ids)])

    def _evidence(self, ask: Ask, listed: Rows, unseen: float) -> Evidence:
        """What these rows of its scope are to the probe."""
        probe, scope = ask.probe, self._scope(ask.probe)
        channel = scope.channel
        return Evidence(
            probe=probe,
            listed=listed.take(ranking(listed.scores, listed.ids)),
            own=self._rows(probe, scope, scope.inward(self._rows_of(ask.own))),
            whole=np.concatenate([ask.own, whole_items(self.items, listed.ids - self.start)]),
            unseen=unseen,
            widest=None if channel.threshold is None else channel.widest,
            longest=1.0 if channel.score == "cosine" else channel.longest,
            scanned=self.rows,
            total=self.rows,
            span=None if channel.threshold is None or channel.parts is None or not channel.live else channel.span,
        )

    def _rows_of(self, keys: Keys) -> Ids:
        if not len(keys):
            return _NONE
        items = self.items.numbers(keys)
        return np.concatenate([_NONE, *(self.items.rows_of(int(item)) for item in items if item >= 0)])

    def _rows(self, probe: Probe, scope: Scope, ids: Ids) -> Rows:
        """Rows by their numbers in the scope."""
        if not len(ids):
            return Rows.none(probe)
        channel, every = scope.channel, scope.outward(ids)
        stored = channel.store.take(ids)
        keys, firsts = self._names(every)
        limits = None if channel.threshold is None else channel.limits(ids)
        levels = None if channel.threshold is None or channel.parts is None else channel.levels(ids)
        return Rows.of(
            probe,
            stored,
            ids=every + self.start,
            keys=keys,
            firsts=firsts + self.start,
            limits=limits,
            levels=levels,
        )

    def _names(self, ids: Ids) -> tuple[Keys, Ids]:
        """The name of each row's item, and its first row."""
        items, place = np.unique(self.items.groups[ids], return_inverse=True)
        return self.items.keys(items)[place], self.items.first_rows(items)[place]


_NONE = np.empty(0, dtype=np.int64)


def whole_items(items: Items, ids: Ids) -> Keys:
    """Names of the items that have no other row than these; at least those that have none outside of the scope."""
    own, counts = np.unique(items.groups[ids], return_counts=True)
    return items.keys(own[counts == items.sizes(own)])


def first_rows(rows: Rows, count: int, score: Score, unseen: float = math.inf) -> tuple[Rows, float]:
    """Of rows the nearest, at most ``count``: those surely nearer than the one at place count + 1; and its distance.

    Args:
        rows: all that are nearer than ``unseen``.
        count: how many.
        score: how they are compared.
        unseen: a lower bound on the distance of every other row, inf where there is none.

    Returns:
        the rows; a lower bound on the distance of all others, inf where there are none.
    """
    low = lower_bounds(rows.distances, rows.met.dim, score)
    far = min(unseen, float(np.partition(low, count)[count])) if len(rows) > count else unseen
    return rows.take(np.flatnonzero(low < far)), far


def _rows_within(channel: Channel, z: Float64, distance: float) -> Ids:
    """Every row nearer than this, and some more."""
    bound = search_bound(channel, z, distance)
    if not math.isfinite(bound) or (channel.score == "cosine" and distance >= 2.0):
        return np.arange(channel.store.rows)
    return channel.store.within(channel.query32(z), bound)
