"""How far every row of a channel rejects a query (T4, T5), of which few are looked at (THEORY §6.4).

The row that sets the radius of *not a copy* need not be near: it is one that accepts far out. So each row is judged
by a bound on how near it can be and by its own threshold, and only those that may accept within the least radius found
so far are compared in float64. What is said is a function of the rows in float64 alone, as all evidence is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..certificates.shortlist import unseen_chords, unseen_distances
from ..certificates.stored import compare_stored
from ..certificates.verdicts import unseen_nothing_radii, verdict_radii_of
from ..core.numerics import norm
from ..indexer.vectors import Ids
from .channel import Channel, Float64
from .probe import Probe
from .unlisted import UNIT_HIGH, longest_of, search_bound
from .verdict import Bools

AT_ONCE = 256
"""Rows that are compared at a time, those that may accept first before the others."""


def rejects_within(channel: Channel, probe: Probe, wanted: float, alive: Callable[[Ids], Bools]) -> float:
    """The least radius within which every row that is alive rejects the query, or ``wanted`` where that is less.

    Args:
        channel: its rows, with their thresholds.
        probe: certified.
        wanted: pixels, > 0.
        alive: which rows are part of the gallery.

    Returns:
        Pixels, ≥ 0, proved.
    """
    if not channel.live:
        return wanted

    def floors(ids: Ids, scores: Float64) -> Float64:
        """(m,) within which each row rejects for certain, by a bound on its float32 score."""
        return _floors(channel, probe, _separations(channel, probe, scores), channel.limits(ids))

    def may_matter(ids: Ids, scores: Float64) -> Bools:
        return ~(floors(ids, scores) >= wanted)

    bound = search_bound(channel, probe.z, _reach(channel, probe, wanted))
    ids, scores = channel.store.scored(channel.query32(probe.z), bound, may_matter)
    kept = alive(ids)
    ids, known = ids[kept], np.nan_to_num(floors(ids[kept], scores[kept]), nan=-math.inf)
    order, least = np.argsort(known, kind="stable"), wanted
    for start in range(0, len(order), AT_ONCE):
        some = order[start : start + AT_ONCE]
        if known[some[0]] >= least:
            break
        least = min(least, float(_radii(channel, probe, ids[some]).min()))
    return max(0.0, least)


def _radii(channel: Channel, probe: Probe, ids: Ids) -> Float64:
    """(m,) of rows, in float64."""
    met, _ = compare_stored(probe.z, channel.store.take(ids), probe.score)
    proved = probe.proved
    limits = channel.limits(ids)
    return verdict_radii_of(met, limits, lipschitz=proved.lipschitz, forward_error=proved.forward_error).nothing


def _floors(channel: Channel, probe: Probe, far: Float64, limits: float | Float64) -> Float64:
    """(m,) within which rows so far away reject, by their thresholds."""
    return unseen_nothing_radii(
        far,
        z_norm=float(norm(probe.z)),
        dim=channel.store.dim,
        score=channel.score,
        threshold=limits,
        lipschitz=probe.proved.lipschitz,
        forward_error=probe.proved.forward_error,
    )


def _separations(channel: Channel, probe: Probe, scores: Float64) -> Float64:
    """(m,) lower bounds on the distances of rows with such float32 scores."""
    dim, unit = channel.store.dim, channel.input_unit
    if channel.score == "cosine":
        return unseen_chords(scores, y_norm=UNIT_HIGH, dim=dim, input_unit=unit)
    return unseen_distances(scores, z_norm=longest_of(probe.z), row_norm=channel.longest, dim=dim, input_unit=unit)


def _reach(channel: Channel, probe: Probe, wanted: float) -> float:
    """A distance beyond which every row rejects within ``wanted``; inf where that cannot be said of any."""
    moved = wanted * probe.proved.lipschitz.value + 2.0 * probe.proved.forward_error
    if channel.score == "cosine":
        turn = math.asin(min(1.0, moved / float(norm(probe.z))))
        angle = math.acos(min(1.0, max(-1.0, channel.widest))) + turn
        far = 2.0 * math.sin(0.5 * min(math.pi, angle)) + 1e-6
    else:
        far = (channel.widest + moved) * (1.0 + 1e-6)
    return far if _floors(channel, probe, np.array([far]), channel.widest)[0] >= wanted else math.inf
