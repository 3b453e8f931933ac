"""Several channels: how far one item stays ahead of each other item (T9, and T1 where one channel decides for both)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..certificates.channels import Margins, half_leads, margin_radii, unseen_margins
from ..certificates.ranking import half_space_distances
from ..certificates.rounding import up
from ..certificates.within_channel import Surroundings, unseen_within_channel, within_channel_radii
from ..core.numerics import norm
from ..indexer.vectors import Ids
from .channel import Channel, Float64
from .rank import VIEWS_TRIED, Proof
from .shortlist import Shortlist, distance_bounds

UNSEEN = -1
"""Item number that stands for everything a shortlist does not hold."""
CHUNK = 32
"""Items whose tighter radius is computed at a time."""


@dataclass(frozen=True)
class Part:
    """One channel's view of the candidates: the rows it lists and all rows of the items that come first, rescored."""

    channel: Channel
    proof: Proof
    ids: Ids
    rows: Float64
    margins: Margins
    short: Shortlist

    @property
    def items(self) -> Ids:
        """The item of each row."""
        return self.channel.groups[self.ids]

    @property
    def surroundings(self) -> Surroundings | None:
        """What T1 within this channel needs; None where it does not apply."""
        assert self.channel.threshold is not None
        threshold, proof = self.channel.threshold.value, self.proof
        if self.channel.score != "cosine" or not 0.0 <= threshold <= 1.0:
            return None
        return Surroundings(threshold, proof.lipschitz, proof.forward_error, self.margins.growth)

    def best_rows(self, group: int) -> Ids:
        """Places of the item's rows with the largest margins, some of them; empty where this channel has none of it."""
        own = np.flatnonzero(self.items == group)
        return own[np.argsort(-self.margins.values[own], kind="stable")[:VIEWS_TRIED]]

    def unseen(self) -> Margins | None:
        """One margin that stands for all rows that are not listed, as far out as is proved; None where all are."""
        if math.isinf(self.short.unseen):
            return None
        assert self.channel.threshold is not None
        return unseen_margins(
            self.short.unseen,
            z_norm=float(norm(self.proof.z)),
            dim=self.channel.store.dim,
            score=self.channel.score,
            threshold=self.channel.threshold.value,
            lipschitz=self.proof.lipschitz,
            forward_error=self.proof.forward_error,
        )


@dataclass(frozen=True)
class _Carrier:
    """A channel that may carry an item's lead over rows of this channel: the item's best rows there."""

    part: Part
    own: Ids
    surroundings: Surroundings


def lead_radii(parts: Sequence[Part], group: int, items: Ids, total: Margins, place: int) -> Float64:
    """How far the query may move before each other item can be ahead of this one, in pixels.

    An item is ahead of another while its margin is above that of every row of the other, and each of those rows is
    covered by the largest of several radii: half the lead of the item's margin over all channels, or T1 against one of
    the item's rows in the same channel. T1 is computed only as far as it can matter for the smallest radius of all; the
    others keep half the lead, which is sound.

    Args:
        parts: per channel.
        group: the item.
        items: (g,) all items, UNSEEN among them.
        total: their margins.
        place: of the item among them.

    Returns:
        (g − 1,) signed, in the order of ``items`` without this one.
    """
    radii, others, carriers = margin_radii(total, place), np.delete(items, place), _carriers(parts, group)
    own = (float(total.values[place]), float(total.errors[place]))
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


def hidden_lead(parts: Sequence[Part], group: int, margin: float, error: float) -> float:
    """How far an item keeps its lead over all that is not listed; its margin is that over all channels."""
    return _hidden(parts, _carriers(parts, group), margin, error)


def raw_lead(parts: Sequence[Part], group: int, other: int) -> float:
    """The radius against one other item, nothing taken off for rounding: for people."""
    own = max(_largest(part, group) for part in parts)
    leads = []
    for part, carrier in zip(parts, _carriers(parts, group), strict=True):
        rows = np.flatnonzero(part.items == other)
        lead = 0.5 * (own - part.margins.values[rows])
        for row in carrier.own if carrier else ():
            h = half_space_distances(part.proof.z, part.rows[row], part.rows[rows], "cosine")
            lead = np.maximum(lead, h / part.proof.lipschitz.value)
        leads.append(lead.min(initial=np.inf))
    return float(min(leads))


def unseen_parts(parts: Sequence[Part]) -> list[tuple[Margins, Ids]]:
    """One stand-in per channel for all rows that are not listed."""
    return [(far, np.asarray([UNSEEN])) for far in (part.unseen() for part in parts) if far is not None]


def _carriers(parts: Sequence[Part], group: int) -> list[_Carrier | None]:
    """Per channel; None where T1 does not apply there, or the item has no row."""
    found = ((part, part.best_rows(group), part.surroundings) for part in parts)
    return [_Carrier(part, own, around) if own.size and around is not None else None for part, own, around in found]


def _seen(
    parts: Sequence[Part], carriers: Sequence[_Carrier | None], margin: float, error: float, wanted: Ids
) -> Float64:
    """Per wanted item: how far all its rows stay behind."""
    least = np.full(len(wanted), np.inf)
    for part, carrier in zip(parts, carriers, strict=True):
        rows = np.flatnonzero(np.isin(part.items, wanted))
        radii = half_leads(margin, error, _grown(part.margins, rows, parts))
        if carrier is not None:
            radii = np.maximum.reduce([radii, *(_within(carrier, int(row), rows) for row in carrier.own)])
        np.minimum.at(least, _places(part.items[rows], wanted), radii)
    return least


def _within(carrier: _Carrier, row: int, rows: Ids) -> Float64:
    part = carrier.part
    return within_channel_radii(
        part.proof.z,
        part.rows[row],
        part.rows[rows],
        errors=up(part.margins.errors[rows] + part.margins.errors[row]),
        surroundings=carrier.surroundings,
    )


def _hidden(parts: Sequence[Part], carriers: Sequence[_Carrier | None], margin: float, error: float) -> float:
    """How far everything that is not listed stays behind."""
    leads = [math.inf]
    for part, carrier in zip(parts, carriers, strict=True):
        far = part.unseen()
        if far is None:
            continue
        lead = float(half_leads(margin, error, replace(far, growth=_growth(parts, far)))[0])
        leads.append(max(lead, *(_hidden_within(carrier, int(row), far) for row in carrier.own)) if carrier else lead)
    return min(leads)


def _hidden_within(carrier: _Carrier, row: int, far: Margins) -> float:
    part, winner, around = carrier.part, carrier.part.rows[row], carrier.surroundings
    _, farthest = distance_bounds(part.channel, part.proof.z, winner[None])
    return unseen_within_channel(
        part.proof.z,
        winner,
        a=float(farthest[0]),
        b=part.short.unseen,
        errors=up(far.errors + part.margins.errors[row]),
        surroundings=replace(around, growth=max(far.growth, around.growth)),
    )


def _grown(some: Margins, rows: Ids, parts: Sequence[Part]) -> Margins:
    return Margins(some.values[rows], some.errors[rows], _growth(parts))


def _growth(parts: Sequence[Part], *others: Margins) -> float:
    """That of the item's margin, which may be of any channel, and of those it is compared with."""
    return max(one.growth for one in (*(part.margins for part in parts), *others))


def _largest(part: Part, group: int) -> float:
    return float(part.margins.values[part.items == group].max(initial=-math.inf))


def _places(values: Ids, wanted: Ids) -> Ids:
    """Where each value stands in ``wanted``, which holds it once."""
    order = np.argsort(wanted, kind="stable")
    return order[np.searchsorted(wanted, values, sorter=order)]
