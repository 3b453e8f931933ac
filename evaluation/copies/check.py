"""Brute force against the engine: claims of single answers, recomputed over every row, without shortlists or bounds.

No rounding is bounded here and nothing is proved: a claim must not exceed what plain float64 gives by more than one
part in a million. It catches a wrong row, a wrong scale or a wrong threshold, not a wrong last digit; the soundness
tests and ``retr attack-eval`` are for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...attacks.media import Bytes, as_pixels
from ...core.units import Radius
from ...retrieval.answer import Answer
from ...retrieval.channel import Channel, Float64, QueryEmbedding
from ...retrieval.engine import Engine

_TOLERANCE = 1e-6
_ABSOLUTE = 1e-6
"""In pixels: an arccos near 1 is good to 1e-8."""
_ROWS = 8192


def claims_hold(engine: Engine, pixels: Bytes, answer: Answer, verdict: Radius | None) -> bool:
    """Whether the first item and its radii are at most what a scan of every row allows.

    Args:
        engine: what answered.
        pixels: (H, W, 3) uint8, the query.
        answer: to it, with a match.
        verdict: radius of its verdict; None where it has none.
    """
    first, scan = answer.matches[0], Scan(engine, as_pixels(pixels))
    if first.top1 is not None and not below(first.top1.l2, scan.rank(first.group, 1)):
        return False
    if verdict is None:
        return True
    return below(verdict.l2, scan.inside(first.group) if answer.point_verdict == "copy" else -scan.inside())


def below(claimed: float, bound: float) -> bool:
    """Whether a claimed radius is at most the bound, but for the last digits."""
    return claimed <= max(0.0, bound) * (1.0 + _TOLERANCE) + _ABSOLUTE


class Scan:
    """What every row says of one query, in plain float64, by every test that it is put to.

    Args:
        engine: an opened index whose channels are certified.
        query: (H, W, 3) float64 in [0, 1].
    """

    def __init__(self, engine: Engine, query: Float64) -> None:
        asked = engine.embed(query)
        self._blind = -math.inf if asked.blind is None else asked.blind.margin
        self._tests = [
            _Test(engine.scope(probe.name).channel, probe.z, _scale(one))
            for probe, one in zip(asked.probes, asked.embedded, strict=True)
        ]
        self._items = engine.gallery.items

    def rank(self, item: int, k: int) -> float:
        """How far the query may move before k other items can be ahead of an item, in pixels: T1 to T3; T9, T10."""
        behind = self._by_scores(item) if len(self._tests) == 1 else self._by_margins(item)  # views items
        if k == 1:  # one view of the item stays ahead of everything
            return float(behind.min(axis=1).max())
        found = np.sort(np.delete(behind.max(axis=0), item))
        return float(found[k - 1]) if len(found) >= k else math.inf

    def inside(self, item: int | None = None) -> float:
        """The largest signed T4/T5 distance over an item's rows, or over all, in pixels; positive inside "copy"."""
        return max(float(one.verdicts[one.of(item)].max(initial=-math.inf)) for one in self._tests)

    def _by_scores(self, item: int) -> Float64:
        """One test: how far each view of the item is ahead of each other item (T1, T3)."""
        (test,) = self._tests
        leads = test.half_spaces(item)
        behind = np.full((len(leads), self._items), np.inf)
        for view, lead in zip(behind, leads, strict=True):
            test.least(view, lead, item)
        return behind

    def _by_margins(self, item: int) -> Float64:
        """Several tests: each row of another item stays behind by half the lead of the item's margin over all of them.

        Or by T1 against one of the item's rows in the same test whose threshold is no stricter.
        """
        ahead = max(float(one.margins[one.of(item)].max(initial=-math.inf)) for one in self._tests)
        behind = np.full(self._items, 0.5 * (ahead - self._blind))
        for one in self._tests:
            lead = 0.5 * (ahead - one.margins)
            own = np.flatnonzero(one.channel.groups == item)
            if len(own):
                allowed = one.reach[own][:, None] >= one.reach
                lead = np.maximum(lead, np.where(allowed, one.half_spaces(item), -np.inf).max(axis=0))
            one.least(behind, lead, item)
        return behind[None]


@dataclass(frozen=True)
class _Test:
    """One view of the query and the rows of one channel that it meets; scale: embedding units to a pixel."""

    channel: Channel
    z: Float64
    scale: float

    def of(self, item: int | None) -> npt.NDArray[np.bool_]:
        """(rows,) those of an item, or of all that is searched."""
        return self.channel.groups >= 0 if item is None else self.channel.groups == item

    def least(self, behind: Float64, lead: Float64, item: int) -> None:
        """Put the least lead over each other item in its place."""
        rivals = self.of(None) & ~self.of(item)
        np.minimum.at(behind, self.channel.groups[rivals], lead[rivals])

    @cached_property
    def reach(self) -> Float64:
        """(rows,) angle or distance that margins are measured from."""
        assert self.channel.threshold is not None
        value = self.channel.threshold.value
        whole = math.acos(value) if self.channel.score == "cosine" else value
        parts = self.channel.parts
        return np.full(self.channel.store.rows, whole) if parts is None else parts * whole

    @cached_property
    def margins(self) -> Float64:
        """(rows,) by what ranks items, in pixels."""
        return _margins(self.channel, self.z, self.reach) / self.scale

    @cached_property
    def verdicts(self) -> Float64:
        """(rows,) by each row's own threshold, in pixels."""
        limits = self.channel.limits(np.arange(self.channel.store.rows))
        angles = np.arccos(limits) if self.channel.score == "cosine" else limits
        return _margins(self.channel, self.z, angles) / self.scale

    def half_spaces(self, item: int) -> Float64:
        """(views, rows) of T1, in pixels."""
        return _half_spaces(self.channel, self.z, item) / self.scale


def _scale(embedded: QueryEmbedding) -> float:
    assert embedded.lipschitz is not None
    return embedded.lipschitz.value


def _half_spaces(channel: Channel, z: Float64, item: int) -> Float64:
    """Per view of the item and row: the half-space distance, in embedding units; inf for rows of the item itself."""
    own = channel.rows64(np.flatnonzero(channel.groups == item))
    parts = []
    for groups, rows in _scan(channel):
        if channel.score == "cosine":
            lead = (own @ z)[:, None] - rows @ z
        else:
            lead = 0.5 * (_distances(z, rows) ** 2 - _distances(z, own)[:, None] ** 2)
        squares = (own**2).sum(1)[:, None] + (rows**2).sum(1) - 2.0 * own @ rows.T
        width = np.sqrt(np.maximum(squares, 0.0))
        h = np.where(width > 1e-7, lead / np.maximum(width, 1e-7), np.inf)
        h = np.where(lead <= 0.0, lead, h)
        parts.append(np.where((groups == item) | (groups < 0), np.inf, h))
    return np.concatenate(parts, axis=1)


def _margins(channel: Channel, z: Float64, reach: Float64) -> Float64:
    """The signed T4/T5 distance of every row in embedding units; reach: angles or distances."""
    parts = []
    for start, (_, rows) in zip(range(0, len(reach), _ROWS), _scan(channel), strict=True):
        limit = reach[start : start + _ROWS]
        if channel.score == "euclidean":
            parts.append(limit - _distances(z, rows))
            continue
        length = float(np.sqrt(z @ z))
        angle = limit - np.arccos(np.clip(rows @ z / length, -1.0, 1.0))
        parts.append(length * np.sin(np.clip(angle, -np.pi / 2, np.pi / 2)))
    return np.concatenate([np.zeros(0), *parts])


def _distances(z: Float64, rows: Float64) -> Float64:
    return np.sqrt(((rows - z) ** 2).sum(axis=1))


def _scan(channel: Channel) -> Iterator[tuple[npt.NDArray[np.int64], Float64]]:
    """(items, rows) of every row, some thousand at a time."""
    for start in range(0, channel.store.rows, _ROWS):
        ids = np.arange(start, min(start + _ROWS, channel.store.rows))
        yield channel.groups[ids], channel.rows64(ids)
