"""Several probes: how far one item stays ahead of each other item (T9, and T1 where one probe knows rows of both)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..certificates.channels import Margins, half_leads, margin_radii
from ..certificates.ranking import half_space_distances
from ..certificates.rounding import up
from ..certificates.within_channel import Surroundings, unseen_within_channel, within_channel_radii
from ..indexer.vectors import Ids
from .candidates import UNSEEN, Candidates, Part
from .channel import Float64
from .distances import bounds_of_distances

CHUNK = 32
"""Items whose tighter radius is computed at a time."""


@dataclass(frozen=True)
class Carrier:
    """A probe that may carry an item's lead over rows that it knows: the item's best rows there."""

    part: Part
    own: Ids
    surroundings: Surroundings


def lead_radii(found: Candidates, place: int) -> Float64:
    """How far the query may move before each other item can be ahead of this one, in pixels.

    An item is ahead of another while its margin is above that of every row of the other, and each of those rows is
    covered by the largest of several radii: half the lead of the item's margin over all probes, or T1 against one of
    the item's rows in the same probe. T1 is computed only as far as it can matter for the smallest radius of all; the
    others keep half the lead, which is sound.

    Args:
        found: all items.
        place: of the item among ``found.items``.

    Returns:
        (g − 1,) signed, in the order of ``found.items`` without this one.
    """
    parts, item = found.parts, int(found.items[place])
    radii, others, carriers = margin_radii(found.total, place), np.delete(found.items, place), carriers_of(parts, item)
    own = (float(found.total.values[place]), float(found.total.errors[place]))
    hidden = np.flatnonzero(others == UNSEEN)
    if hidden.size:
        radii[hidden] = np.maximum(radii[hidden], _hidden(parts, carriers, *own))
    seen = np.flatnonzero(others != UNSEEN)
    order = seen[radii[seen].argsort(kind="stable")]
    for start in range(0, len(order), CHUNK):
        chunk = order[start : start + CHUNK]
        if float(radii[order[:start]].min(initial=math.inf)) <= radii[chunk[0]]:
            break
        radii[chunk] = np.maximum(radii[chunk], _seen(parts, carriers, *own, others[chunk]))
    return radii


def hidden_lead(parts: Sequence[Part], item: int, margin: float, error: float) -> float:
    """How far an item keeps its lead over all that is not listed; its margin is that over all probes."""
    return _hidden(parts, carriers_of(parts, item), margin, error)


def carrying_rows(parts: Sequence[Part], item: int) -> tuple[tuple[int, int], ...]:
    """(place of the probe, row) of the item's rows that T1 is tried with."""
    found = enumerate(carriers_of(parts, item))
    return tuple((place, int(one.part.rows.ids[row])) for place, one in found if one is not None for row in one.own)


def raw_lead(parts: Sequence[Part], item: int, other: int) -> float:
    """The radius against one other item, nothing taken off for rounding: for people."""
    own = max(part.best_margin(item) for part in parts)
    leads = []
    for part, carrier in zip(parts, carriers_of(parts, item), strict=True):
        rows = part.rows_of(other)
        lead = 0.5 * (own - part.margins.values[rows])
        for row in carrier.own if carrier else ():
            numbers = part.rows.some(np.append(rows, row))
            h = half_space_distances(part.seen.probe.z, numbers[-1], numbers[:-1], "cosine")
            h[part.levels[rows] < part.levels[row]] = -math.inf
            lead = np.maximum(lead, h / part.seen.probe.proved.lipschitz.value)
        leads.append(lead.min(initial=np.inf))
    return float(min(leads))


def carriers_of(parts: Sequence[Part], item: int) -> list[Carrier | None]:
    """Per probe; None where T1 does not apply there, or it knows no row of the item."""
    found = ((part, part.best_rows(item), part.surroundings) for part in parts)
    return [Carrier(part, own, around) if own.size and around is not None else None for part, own, around in found]


def _seen(
    parts: Sequence[Part], carriers: Sequence[Carrier | None], margin: float, error: float, wanted: Ids
) -> Float64:
    """Per wanted item: how far all its rows stay behind."""
    least = np.full(len(wanted), np.inf)
    for part, carrier in zip(parts, carriers, strict=True):
        rows = np.flatnonzero(np.isin(part.items, wanted))
        radii = half_leads(margin, error, _grown(part.margins, rows, parts))
        if carrier is not None:
            radii = np.maximum.reduce([radii, *(within_rows(carrier, int(row), rows) for row in carrier.own)])
        np.minimum.at(least, _places(part.items[rows], wanted), radii)
    return least


def within_rows(carrier: Carrier, row: int, rows: Ids) -> Float64:
    """T1 of one row of the item against some rows of others, in the carrier's probe; pixels, signed.

    −inf where the row's threshold is less permissive than the other's: being nearer says nothing of margins then. Where
    it is more permissive its margin is larger still, and the theorem is used with the other's.
    """
    part = carrier.part
    numbers, nu = part.rows.some(np.append(rows, row)), part.rows.met.nu
    radii = within_channel_radii(
        part.seen.probe.z,
        numbers[-1],
        numbers[:-1],
        errors=up(part.margins.errors[rows] + part.margins.errors[row]),
        surroundings=carrier.surroundings,
        nu=np.maximum(nu[rows], nu[row]),
    )
    levels = part.levels
    return np.where(levels[rows] >= levels[row], radii, -math.inf)


def _hidden(parts: Sequence[Part], carriers: Sequence[Carrier | None], margin: float, error: float) -> float:
    """How far everything that is not listed stays behind."""
    leads = [math.inf]
    for part, carrier in zip(parts, carriers, strict=True):
        far = part.unseen
        if far is None:
            continue
        lead = float(half_leads(margin, error, replace(far, growth=_growth(parts, far)))[0])
        leads.append(max(lead, *(hidden_within(carrier, int(row), far) for row in carrier.own)) if carrier else lead)
    return min(leads)


def hidden_within(carrier: Carrier, row: int, far: Margins) -> float:
    """The same against everything that is not listed there, whatever its threshold."""
    part, around = carrier.part, carrier.surroundings
    if part.levels[row] > part.seen.loosest:
        return -math.inf
    z = part.seen.probe.z
    _, farthest = bounds_of_distances(part.rows.distances[[row]], len(z), "cosine")
    return unseen_within_channel(
        z,
        part.rows.some(np.array([row]))[0],
        a=float(farthest[0]),
        b=part.seen.unseen,
        errors=up(far.errors + part.margins.errors[row]),
        surroundings=replace(around, growth=max(far.growth, around.growth)),
    )


def _grown(some: Margins, rows: Ids, parts: Sequence[Part]) -> Margins:
    return Margins(some.values[rows], some.errors[rows], _growth(parts))


def _growth(parts: Sequence[Part], *others: Margins) -> float:
    """That of the item's margin, which may be of any probe, and of those it is compared with."""
    return max(one.growth for one in (*(part.margins for part in parts), *others))


def _places(values: Ids, wanted: Ids) -> Ids:
    """Where each value stands in ``wanted``, which holds it once."""
    order = np.argsort(wanted, kind="stable")
    return order[np.searchsorted(wanted, values, sorter=order)]
