"""How near an image known to be absent comes to a channel's rows: what thresholds are set by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..certificates.decision import verdict_values
from ..indexer.vectors import Float32
from .channel import Channel, Float64
from .rank import GROWTH, beyond, rank
from .shortlist import SHORTLIST, Shortlist, shortlists, widen

_LEAST_STEP = 1e-3


def best_scores(channel: Channel, zs: Sequence[Float64]) -> Float64:
    """(b,) the score of the nearest row: a cosine, or a distance. −1 or inf for an embedding that nothing is near to.

    Exact, as the verdict is: a float32 shortlist alone could miss the nearest row.
    """
    best = np.full(len(zs), -1.0 if channel.score == "cosine" else math.inf)
    for place, short in _lists(channel, zs):
        row = rank(channel, zs[place], short, 1, None).items[0].row
        best[place] = verdict_values(zs[place], channel.rows64(np.asarray([row])), channel.score)[0]
    return best


def best_levels(channel: Channel, gaps: Float32, zs: Sequence[Float64]) -> Float64:
    """(b,) the least offset of a local threshold that would accept, over all rows: nearness less half of the gap.

    Angles in radians (cosine) or distances. −inf for a stored row itself, which every offset accepts; inf for an
    embedding that nothing is near to. Exact but for rounding.

    Args:
        channel: whose rows are looked at.
        gaps: (rows,) of ``indexer.gaps``.
        zs: (b,) embeddings (d,).
    """
    best = np.full(len(zs), math.inf)
    farthest = 0.5 * float(gaps.max(initial=0.0))
    for place, short in _lists(channel, zs):
        found, growth = _level(channel, gaps, zs[place], short), GROWTH
        while (need := _reaching(channel, found + farthest)) > short.unseen:
            short = widen(channel, zs[place], max(need, growth * short.unseen, _LEAST_STEP))
            found, growth = _level(channel, gaps, zs[place], short), growth * growth
        best[place] = found
    return best


def _lists(channel: Channel, zs: Sequence[Float64]) -> list[tuple[int, Shortlist]]:
    usable = [place for place, z in enumerate(zs) if channel.why_refused(z) is None]
    lists = shortlists(channel, np.stack([zs[place] for place in usable]), SHORTLIST) if usable else []
    return list(zip(usable, lists, strict=True))


def _level(channel: Channel, gaps: Float32, z: Float64, short: Shortlist) -> float:
    values = verdict_values(z, short.rows, channel.score)
    cosine = channel.score == "cosine"
    far = np.arccos(np.clip(values, -1.0, 1.0)) if cosine else values
    level = np.where(far > 0.0, far - 0.5 * gaps[short.ids].astype(np.float64), -np.inf)
    return float(level.min(initial=math.inf))


def _reaching(channel: Channel, far: float) -> float:
    """How near an unseen row must not be, for none to be nearer than this angle or distance."""
    if channel.score == "euclidean":
        return beyond(max(0.0, far), channel)
    return beyond(2.0 * math.sin(0.5 * min(max(0.0, far), math.pi)), channel)
