"""The opened index as a source: FAISS proposes, float64 decides, and what was not proposed is bounded (THEORY §6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..certificates.decision import ranking
from ..certificates.rounding import norm_bounds
from ..certificates.shortlist import search_score, search_squared_distance, unseen_chord, unseen_distance
from ..indexer.items import Items, Keys
from ..indexer.vectors import Ids
from .channel import Channel, Float64
from .compared_rows import Rows
from .evidence import Evidence
from .probe import Probe
from .scopes import Scope, Scopes
from .source import Ask

UNIT_HIGH = 1.0 + 1e-14
"""Upper bound on the norm of ẑ = z/‖z‖ as computed in float64; its rounding to float32 is counted by the slack."""


@dataclass(frozen=True)
class IndexSource:
    """Rows of an opened index, or of some of its segments; see ``source.Source``.

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

    def answer(self, asks: Sequence[Ask]) -> list[Evidence | None]:
        """See :class:`source.Source`; all that ask a channel for equally many rows are searched for together."""
        found: list[Evidence | None] = [None] * len(asks)
        together: dict[tuple[int, int, int], list[int]] = {}
        for place, ask in enumerate(asks):
            if ask.nearest:
                # Views that look at the very same rows are searched for together, each with thresholds of its own.
                rows = id(self._scope(ask.probe).channel.store)
                together.setdefault((rows, ask.probe.channel, ask.nearest), []).append(place)
            else:
                found[place] = self._within(ask) if ask.within else self._evidence(ask, _NONE, math.inf)
        for (_, _, count), places in together.items():
            for place, one in zip(places, self._nearest([asks[p] for p in places], count), strict=True):
                found[place] = one
        return found

    def _scope(self, probe: Probe) -> Scope:
        """The rows that a probe is compared with; all of them where nothing says which."""
        return self.scopes[probe.name] if self.scopes else Scope(self.channels[probe.channel])

    def _nearest(self, asks: Sequence[Ask], count: int) -> list[Evidence]:
        channel = self._scope(asks[0].probe).channel
        if not channel.store.rows:
            return [self._evidence(ask, _NONE, math.inf) for ask in asks]
        queries = np.stack([channel.query32(ask.probe.z) for ask in asks])
        scores, ids = channel.store.nearest(queries, count, gpu=channel.gpu)
        return [
            self._evidence(
                ask, own, math.inf if len(own) >= channel.store.rows else _unseen(channel, ask.probe.z, float(worst))
            )
            for ask, own, worst in zip(asks, ids, scores[:, -1], strict=True)
        ]

    def _within(self, ask: Ask) -> Evidence | None:
        channel = self._scope(ask.probe).channel
        for distance in ask.within:
            ids = _rows_within(channel, ask.probe.z, distance)
            if ask.most is None or len(ids) <= ask.most:
                return self._evidence(ask, ids, math.inf if len(ids) >= channel.store.rows else distance)
        return None

    def _evidence(self, ask: Ask, ids: Ids, unseen: float) -> Evidence:
        """What these rows of its scope are to the probe; rows that are no longer part of the gallery are left out."""
        probe, scope = ask.probe, self._scope(ask.probe)
        channel = scope.channel
        ids = ids[self.items.groups[scope.outward(ids)] >= 0]
        listed = self._rows(probe, scope, ids)
        return Evidence(
            probe=probe,
            listed=listed.take(ranking(listed.scores, listed.ids)),
            own=self._rows(probe, scope, scope.inward(self._rows_of(ask.own))),
            whole=np.concatenate([ask.own, self._all_listed(scope, ids)]),
            unseen=unseen,
            widest=None if channel.threshold is None else channel.widest,
            longest=1.0 if channel.score == "cosine" else channel.longest,
            scanned=self.rows,
            total=self.rows,
            span=None if channel.threshold is None or channel.parts is None else channel.span,
        )

    def _rows_of(self, keys: Keys) -> Ids:
        if not len(keys):
            return _NONE
        items = self.items.numbers(keys)
        return np.concatenate([_NONE, *(self.items.rows_of(int(item)) for item in items if item >= 0)])

    def _all_listed(self, scope: Scope, ids: Ids) -> Keys:
        """Names of the items that have no other row than these; at least those that have none outside of the scope."""
        items, counts = np.unique(self.items.groups[scope.outward(ids)], return_counts=True)
        return self.items.keys(items[counts == self.items.sizes(items)])

    def _rows(self, probe: Probe, scope: Scope, ids: Ids) -> Rows:
        """Rows by their numbers in the scope."""
        if not len(ids):
            return Rows.none(probe)
        channel, every = scope.channel, scope.outward(ids)
        numbers = channel.rows64(ids)
        keys, firsts = self._names(every)
        limits = None if channel.threshold is None else channel.limits(ids)
        levels = None if channel.threshold is None or channel.parts is None else channel.levels(ids)
        numbered = {"ids": every + self.start, "keys": keys, "firsts": firsts + self.start}
        return Rows.of(probe, numbers, **numbered, limits=limits, levels=levels)

    def _names(self, ids: Ids) -> tuple[Keys, Ids]:
        """The name of each row's item, and its first row."""
        items, place = np.unique(self.items.groups[ids], return_inverse=True)
        return self.items.keys(items)[place], self.items.first_rows(items)[place]


_NONE = np.empty(0, dtype=np.int64)


def _rows_within(channel: Channel, z: Float64, distance: float) -> Ids:
    """Every row nearer than this, and some more."""
    bound = _search_bound(channel, z, distance)
    if not math.isfinite(bound) or (channel.score == "cosine" and distance >= 2.0):
        return np.arange(channel.store.rows)
    return channel.store.within(channel.query32(z), bound)


def _unseen(channel: Channel, z: Float64, worst: float) -> float:
    dim, unit = channel.store.dim, channel.input_unit
    if channel.score == "cosine":
        return unseen_chord(worst, y_norm=UNIT_HIGH, dim=dim, input_unit=unit)
    z_norm = float(norm_bounds(z)[1])
    return unseen_distance(worst, z_norm=z_norm, row_norm=channel.longest, dim=dim, input_unit=unit)


def _search_bound(channel: Channel, z: Float64, distance: float) -> float:
    dim, unit = channel.store.dim, channel.input_unit
    if channel.score == "cosine":
        return search_score(distance, y_norm=UNIT_HIGH, dim=dim, input_unit=unit)
    z_norm = float(norm_bounds(z)[1])
    return search_squared_distance(distance, z_norm=z_norm, row_norm=channel.longest, dim=dim, input_unit=unit)
