"""FAISS proposes, float64 decides: rows near a query, and a proved floor under all other distances (THEORY §6)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..certificates.decision import ranking, ranking_scores
from ..certificates.rounding import norm_bounds
from ..certificates.shortlist import search_score, search_squared_distance, unseen_chord, unseen_distance
from ..core.numerics import norm
from ..indexer.vectors import Ids
from .channel import Channel, Float64

SHORTLIST = 128
"""Rows proposed per query before anything is known about how many are needed."""


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Rows rescored in float64, in ranked order, and what is known of the rest.

    Distances are chords ‖ẑ − u‖ for cosine, ‖z − e‖ for Euclidean.

    Attributes:
        ids: (m,) global row numbers, best first, ties by number.
        rows: (m, d) float64.
        scores: (m,) float64, see ``certificates.decision.ranking_scores``.
        distances: (m,) float64, nearest values.
        unseen: no live row that is not listed is nearer than this; inf when every live row is listed.
    """

    ids: Ids
    rows: Float64
    scores: Float64
    distances: Float64
    unseen: float


def shortlists(channel: Channel, zs: Float64, count: int) -> list[Shortlist]:
    """For each of (b, d) queries the ``count`` rows a float32 search finds nearest (all, if there are not more)."""
    queries = np.stack([channel.query32(z) for z in zs])
    scores, ids = channel.store.nearest(queries, count, gpu=channel.gpu)
    return [_from_proposal(channel, *one) for one in zip(zs, scores, ids, strict=True)]


def widen(channel: Channel, z: Float64, distance: float) -> Shortlist:
    """Every row nearer than ``distance`` and some more: the range search that settles an open question."""
    ids = _within(channel, z, distance)
    return _rescore(channel, z, ids, math.inf if len(ids) >= channel.store.rows else distance)


def widen_to_few(channel: Channel, z: Float64, distance: float, most: int) -> Shortlist | None:
    """As :func:`widen`; None where that would be more than ``most`` rows."""
    ids = _within(channel, z, distance)
    if len(ids) > most:
        return None
    return _rescore(channel, z, ids, math.inf if len(ids) >= channel.store.rows else distance)


def _within(channel: Channel, z: Float64, distance: float) -> Ids:
    bound = _search_bound(channel, z, distance)
    if not math.isfinite(bound) or (channel.score == "cosine" and distance >= 2.0):
        return np.arange(channel.store.rows)
    return channel.store.within(channel.query32(z), bound)


def _from_proposal(channel: Channel, z: Float64, scores: np.ndarray, ids: Ids) -> Shortlist:
    everything = len(ids) >= channel.store.rows
    return _rescore(channel, z, ids, math.inf if everything else _unseen(channel, z, float(scores[-1])))


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


UNIT_HIGH = 1.0 + 1e-14
"""Upper bound on the norm of ẑ = z/‖z‖ as computed in float64; its rounding to float32 is counted by the slack."""


def _rescore(channel: Channel, z: Float64, ids: Ids, unseen: float) -> Shortlist:
    ids = ids[channel.groups[ids] >= 0]
    rows = channel.rows64(ids)
    scores = ranking_scores(z, rows, channel.score)
    order = ranking(scores, ids)
    ids, rows, scores = ids[order], rows[order], scores[order]
    return Shortlist(ids, rows, scores, distances(channel, z, rows), unseen)


def distances(channel: Channel, z: Float64, rows: Float64) -> Float64:
    """Chords or Euclidean distances from z, (m,) float64."""
    return norm((z / norm(z) if channel.score == "cosine" else z) - rows)


def distance_bounds(channel: Channel, z: Float64, rows: Float64) -> tuple[Float64, Float64]:
    """Proved lower and upper bounds on those distances (the computed ẑ is within 1e-14 of the exact one)."""
    low, high = norm_bounds((z / norm(z) if channel.score == "cosine" else z) - rows)
    margin = 1e-14 if channel.score == "cosine" else 0.0
    return np.maximum(low - margin, 0.0), high + margin
