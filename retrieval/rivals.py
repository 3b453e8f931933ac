"""Rows that might overtake one of the first within what is claimed of it, of which few are read (T1, THEORY §6.4).

How far row i stays ahead of row j depends on how near j is *and on how far apart the two are*: by nearness alone, all
rows of a thick shell would have to be listed for the radii of ten items. So each row is judged by bounds on both: the
filter's integers first, then float32 products, then float64. What is found is a function of the rows in float64 alone:
those whose ``pair_radii`` is below what is claimed, near or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..certificates.ranking import pair_radii
from ..certificates.rivals import rival_floors, widest
from ..certificates.rounding import norm_bounds
from ..certificates.shortlist import needed_separation, score_slack, unseen_chords, unseen_radius
from ..certificates.stored import defined_rows
from ..core.numerics import round_up
from ..indexer.vectors import Float32, Ids
from .channel import Channel, Float64
from .claims import Claims
from .distances import bounds_of_distances, distances
from .probe import Probe
from .unlisted import UNIT_HIGH, search_bound
from .verdict import Bools

_AT_ONCE, _PAIRS = 2**15, 2**12
"""Rows that are judged by bounds at a time, and pairs that are compared in float64."""


def find_rivals(channel: Channel, probe: Probe, claims: Claims, alive: Callable[[Ids], Bools]) -> Ids:
    """Every row that is alive and might overtake a claimed one while the query moves by less than what is claimed.

    Args:
        channel: unit rows (cosine).
        probe: certified.
        claims: rows of this channel or of another part of it.
        alive: which rows are part of the gallery.

    Returns:
        (m,) numbers, ascending, those of the claimed rows among them.
    """
    if not channel.live:
        return np.empty(0, dtype=np.int64)
    ahead = defined_rows(claims.rows, "cosine")
    near = bounds_of_distances(distances(probe.z, ahead, "cosine"), len(probe.z), "cosine")[1]

    def may_overtake(far: Float64, products: Float64) -> Bools:
        """(w, m) by lower bounds on distances (m,) and on products with the claimed rows (w, m)."""
        bounds = probe.proved
        widths = widest(products, len(probe.z))
        floors = rival_floors(
            probe.z, near, far, widths, lipschitz=bounds.lipschitz, forward_error=bounds.forward_error
        )
        return ~(floors >= claims.radii[:, None])

    def may_matter(ids: Ids, scores: Float64) -> Bools:
        found = np.zeros(len(ids), dtype=np.bool_)
        for start in range(0, len(ids), _AT_ONCE):  # of a million rows, pairs with ten others would take a gigabyte
            some = slice(start, start + _AT_ONCE)
            least = -channel.store.ceilings(-claims.rows, ids[some])
            found[some] = may_overtake(_chords(channel, scores[some]), least).any(axis=0)
        return found

    bound = search_bound(channel, probe.z, _reach(probe, near, claims.radii))
    ids, scores = channel.store.scored(channel.query32(probe.z), bound, may_matter)
    kept = alive(ids)
    ids, far = ids[kept], _chords(channel, scores[kept])
    stored = channel.store.take(ids)
    pairs = may_overtake(far, _least_products(claims.rows, stored))
    found = ids[_overtakes(probe, ahead, claims.radii, stored, pairs)]
    return np.sort(found)


def _chords(channel: Channel, scores: Float64) -> Float64:
    """(m,) lower bounds on the distances of rows with such float32 scores, or less."""
    return unseen_chords(scores, y_norm=UNIT_HIGH, dim=channel.store.dim, input_unit=channel.input_unit)


def _least_products(claimed: Float32, stored: Float32) -> Float64:
    """(w, m) lower bounds on the inner products of stored rows, by float32 products."""
    dim = claimed.shape[1]
    with np.errstate(invalid="ignore", over="ignore"):
        products = (claimed @ stored.T).astype(np.float64)
    return products - (1.001 * score_slack(dim) + 1e-30)


def _overtakes(probe: Probe, ahead: Float64, radii: Float64, stored: Float32, pairs: Bools) -> Bools:
    """(m,) in float64: whether some pair is decided within its radius; pairs (w, m) are those that may be."""
    owns, others = np.nonzero(pairs)
    found = np.zeros(len(stored), dtype=np.bool_)
    for start in range(0, len(owns), _PAIRS):
        own, other = owns[start : start + _PAIRS], others[start : start + _PAIRS]
        exact = pair_radii(
            probe.z,
            ahead[own],
            defined_rows(stored[other], "cosine"),
            score="cosine",
            lipschitz=probe.proved.lipschitz,
            forward_error=probe.proved.forward_error,
        )
        found[other[exact < radii[own]]] = True
    return found


def _reach(probe: Probe, near: Float64, radii: Float64) -> float:
    """A distance beyond which no row contradicts a claim, wherever it lies (§6.3); inf where that cannot be said."""
    z_low = float(norm_bounds(probe.z)[0])
    return max(_reach_of_one(probe, z_low, *one) for one in zip(near.tolist(), radii.tolist(), strict=True))


def _reach_of_one(probe: Probe, z_low: float, a: float, radius: float) -> float:
    bounds = probe.proved
    h = round_up(round_up(radius * bounds.lipschitz.value) + 2.0 * bounds.forward_error)
    far = needed_separation(a, h, score="cosine", z_norm=z_low) * (1.0 + 1e-9) + 1e-9
    floor = unseen_radius(
        a,
        far,
        score="cosine",
        z_norm=z_low,
        dim=len(probe.z),
        lipschitz=bounds.lipschitz,
        forward_error=bounds.forward_error,
    )
    return far if floor >= radius else math.inf
