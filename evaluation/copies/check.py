"""Brute force against the engine: claims of single answers, recomputed over every row, without shortlists or bounds.

No rounding is bounded here and nothing is proved: a claim must not exceed what plain float64 gives by more than one
part in a million. It catches a wrong row, a wrong scale or a wrong threshold, not a wrong last digit; the soundness
tests and ``retr attack-eval`` are for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...attacks.media import Bytes, as_pixels
from ...core.units import Radius
from ...retrieval.answer import Answer
from ...retrieval.channel import Channel, Float64
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
    """What every row says of one query, in plain float64.

    Args:
        engine: an opened index whose channels are certified.
        query: (H, W, 3) float64 in [0, 1].
    """

    def __init__(self, engine: Engine, query: Float64) -> None:
        self._engine, self._query = engine, query
        self._groups = engine.channels[0].groups

    def rank(self, item: int, k: int) -> float:
        """How far the query may move before k other items can be ahead of an item, in pixels: T1 to T3; T9."""
        rivals = (self._groups >= 0) & (self._groups != item)
        leads = _leads(self._engine, self._query, item)  # views rows
        behind = np.full((len(leads), int(self._groups.max(initial=-1)) + 1), np.inf)  # views items
        for view, lead in zip(behind, leads, strict=True):
            np.minimum.at(view, self._groups[rivals], lead[rivals])
        if k == 1:  # one view of the item stays ahead of everything
            return float(behind.min(axis=1).max())
        found = np.sort(np.delete(behind.max(axis=0), item))
        return float(found[k - 1]) if len(found) >= k else math.inf

    def inside(self, item: int | None = None) -> float:
        """The largest signed T4/T5 distance over an item's rows, or over all, in pixels; positive inside "copy"."""
        return float(self._verdicts[self._groups >= 0 if item is None else self._groups == item].max())

    @cached_property
    def _verdicts(self) -> Float64:
        return np.max([_margins(one, self._query, verdict=True) for one in self._engine.channels], axis=0)


def _leads(engine: Engine, query: Float64, item: int) -> Float64:
    """How far the query may move before a row can pass an item, in pixels: (views, rows) by T1, (1, rows) by T9.

    With several channels each row of another item stays behind by half the lead of the item's margin, or by T1 against
    one of the item's rows in the same channel. What holds is the least over the channels.
    """
    if len(engine.channels) == 1:
        z, scale = _embedded(engine.channels[0], query)
        return _half_spaces(engine.channels[0], z, item) / scale
    own = engine.channels[0].groups == item
    margins = [_margins(channel, query) for channel in engine.channels]
    ahead, leads = max(float(one[own].max()) for one in margins), []
    for channel, margin in zip(engine.channels, margins, strict=True):
        z, scale = _embedded(channel, query)
        leads.append(np.maximum(0.5 * (ahead - margin), _half_spaces(channel, z, item).max(axis=0) / scale))
    return np.min(leads, axis=0, keepdims=True)


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


def _margins(channel: Channel, query: Float64, *, verdict: bool = False) -> Float64:
    """The signed T4/T5 distance of every row in pixels: by what ranks channels, or by each row's own threshold."""
    assert channel.threshold is not None
    z, scale = _embedded(channel, query)
    parts, limits = [], np.full(channel.store.rows, channel.threshold.value)
    if verdict:
        limits[:] = channel.limits(np.arange(channel.store.rows))
    for start, (_, rows) in zip(range(0, len(limits), _ROWS), _scan(channel), strict=True):
        limit = limits[start : start + _ROWS]
        if channel.score == "euclidean":
            parts.append(limit - _distances(z, rows))
            continue
        length = float(np.sqrt(z @ z))
        angle = np.arccos(limit) - np.arccos(np.clip(rows @ z / length, -1.0, 1.0))
        parts.append(length * np.sin(np.clip(angle, -np.pi / 2, np.pi / 2)))
    return np.concatenate(parts) / scale


def _embedded(channel: Channel, query: Float64) -> tuple[Float64, float]:
    embedded = channel.embed_query(query)
    assert embedded.lipschitz is not None
    return embedded.z, embedded.lipschitz.value


def _distances(z: Float64, rows: Float64) -> Float64:
    return np.sqrt(((rows - z) ** 2).sum(axis=1))


def _scan(channel: Channel) -> Iterator[tuple[npt.NDArray[np.int64], Float64]]:
    """(items, rows) of every row, some thousand at a time."""
    for start in range(0, channel.store.rows, _ROWS):
        ids = np.arange(start, min(start + _ROWS, channel.store.rows))
        yield channel.groups[ids], channel.rows64(ids)
