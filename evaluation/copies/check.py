"""Brute force against the engine: claims of single answers, recomputed over every row, without shortlists or bounds.

No rounding is bounded here and nothing is proved: a claim must not exceed what plain float64 gives by more than one
part in a million. It catches a wrong row, a wrong scale or a wrong threshold, not a wrong last digit; the soundness
tests and ``retr attack-eval`` are for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...retrieval.channel import Channel, Float64
from ...retrieval.engine import Engine
from ..systems.copy_system import Found, Pixels, as_query

_TOLERANCE = 1e-6
_ABSOLUTE = 1e-6
"""In pixels: an arccos near 1 is good to 1e-8."""
_ROWS = 8192


def claims_hold(engine: Engine, pixels: Pixels, found: Found, item: int) -> bool:
    """Whether the first item and its radii are at most what a scan of every row allows.

    Args:
        engine: what answered.
        pixels: (H, W, 3) uint8, the query.
        found: its answer, with radii.
        item: number of the first item in the gallery.
    """
    query = as_query(pixels)
    if found.top1 is not None and not _below(found.top1.l2, _lead(engine, query, item)):
        return False
    if found.verdict is None or found.accepted is None:
        return True
    inside, deepest = _verdict(engine, query, item)
    return _below(found.verdict.l2, inside if found.accepted else -deepest)


def _below(claimed: float, bound: float) -> bool:
    return claimed <= max(0.0, bound) * (1.0 + _TOLERANCE) + _ABSOLUTE


def _lead(engine: Engine, query: Float64, item: int) -> float:
    """How far the query may move before another item can be first, in pixels: T1 with T3; with several channels T9.

    With several channels each row of another item stays behind by half the lead of the item's margin, or by T1 against
    one of the item's rows in the same channel.
    """
    if len(engine.channels) == 1:
        z, scale = _embedded(engine.channels[0], query)
        return float(_half_spaces(engine.channels[0], z, item).min(axis=1, initial=np.inf).max()) / scale
    groups = engine.channels[0].groups
    rivals = (groups >= 0) & (groups != item)
    margins = [_margins(channel, query) for channel in engine.channels]
    own, leads = max(float(one[groups == item].max()) for one in margins), [math.inf]
    for channel, margin in zip(engine.channels, margins, strict=True):
        z, scale = _embedded(channel, query)
        within = _half_spaces(channel, z, item).max(axis=0) / scale
        leads.append(np.maximum(0.5 * (own - margin), within)[rivals].min(initial=math.inf))
    return float(min(leads))


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


def _verdict(engine: Engine, query: Float64, item: int) -> tuple[float, float]:
    """The largest signed T4/T5 distance over the item's rows, and over all rows, in pixels."""
    groups = engine.channels[0].groups
    margins = np.max([_margins(channel, query, verdict=True) for channel in engine.channels], axis=0)
    return float(margins[groups == item].max()), float(margins[groups >= 0].max())


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
