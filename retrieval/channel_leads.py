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
from .rank import Proof
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

    def best_row(self, group: int) -> int | None:
        """Place of the item's row with the largest margin; None where this channel has none of it."""
        own = np.flatnonzero(self.items == group)
        return int(own[self.margins.values[own].argmax()]) if own.size else None

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
    """A channel that may carry an item's lead: its best row there, and the item's margin by that row."""

    part: Part
    own: int
    surroundings: Surroundings

    @property
    def margin(self) -> tuple[float, float]:
        return float(self.part.margins.values[self.own]), float(self.part.margins.errors[self.own])


def lead_radii(parts: Sequence[Part], group: int, items: Ids, total: Margins, place: int) -> Float64:
    """How far the query may move before each other item can be ahead of this one, in pixels.

    The larger of two radii: half the lead of the margins over all channels; or, for one channel that carries the item,
    T1 against the other's rows in that channel and half the lead against its rows in every other channel.
    The second is computed only as far as it can matter for the smallest of all; the others keep the first, which is
    sound.

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
    hidden = np.flatnonzero(others == UNSEEN)
    if hidden.size:
        radii[hidden] = np.maximum(radii[hidden], hidden_lead(parts, group))
    seen = np.flatnonzero(others != UNSEEN)
    order = seen[radii[seen].argsort(kind="stable")]
    for start in range(0, len(order), CHUNK):
        chunk = order[start : start + CHUNK]
        if float(radii[order[:start]].min(initial=math.inf)) <= radii[chunk[0]]:
            break
        for carrier in carriers:
            radii[chunk] = np.maximum(radii[chunk], _seen(carrier, parts, others[chunk]))
    return radii


def hidden_lead(parts: Sequence[Part], group: int) -> float:
    """How far one channel keeps the item ahead of all that no channel lists; −inf where no channel can tell."""
    return max((_hidden(carrier, parts) for carrier in _carriers(parts, group)), default=-math.inf)


def raw_lead(parts: Sequence[Part], group: int, other: int) -> float:
    """The radius against one other item, nothing taken off for rounding: for people."""
    own, rival = (np.asarray([_largest(part, one) for part in parts]) for one in (group, other))
    lead = 0.5 * float(own.max() - rival.max())
    for carrier in _carriers(parts, group):
        part = carrier.part
        rows = part.rows[part.items == other]
        h = half_space_distances(part.proof.z, part.rows[carrier.own], rows, "cosine") / part.proof.lipschitz.value
        across = [0.5 * (carrier.margin[0] - far) for one, far in zip(parts, rival, strict=True) if one is not part]
        lead = max(lead, float(min([h.min(initial=math.inf), *across])))
    return lead


def unseen_parts(parts: Sequence[Part]) -> list[tuple[Margins, Ids]]:
    """One stand-in per channel for all rows that are not listed."""
    return [(far, np.asarray([UNSEEN])) for far in (part.unseen() for part in parts) if far is not None]


def _carriers(parts: Sequence[Part], group: int) -> list[_Carrier]:
    found = ((part, part.best_row(group), part.surroundings) for part in parts)
    return [_Carrier(part, own, around) for part, own, around in found if own is not None and around is not None]


def _seen(carrier: _Carrier, parts: Sequence[Part], wanted: Ids) -> Float64:
    """Per wanted item: how far this channel alone keeps the item ahead of all its rows."""
    part, rows = carrier.part, np.flatnonzero(np.isin(carrier.part.items, wanted))
    radii = within_channel_radii(
        part.proof.z,
        part.rows[carrier.own],
        part.rows[rows],
        errors=up(part.margins.errors[rows] + carrier.margin[1]),
        surroundings=carrier.surroundings,
    )
    least = np.full(len(wanted), np.inf)
    np.minimum.at(least, _places(part.items[rows], wanted), radii)
    for rival in parts:
        if rival is not part:
            least = np.minimum(least, half_leads(*carrier.margin, _margins_of(rival, part, wanted)))
    return least


def _hidden(carrier: _Carrier, parts: Sequence[Part]) -> float:
    """The same against everything that is not listed."""
    leads = [_hidden_within(carrier)]
    for rival in parts:
        far = None if rival is carrier.part else rival.unseen()
        if far is not None:
            far = replace(far, growth=max(far.growth, carrier.part.margins.growth))
            leads.append(float(half_leads(*carrier.margin, far)[0]))
    return min(leads)


def _hidden_within(carrier: _Carrier) -> float:
    part, far = carrier.part, carrier.part.unseen()
    if far is None:
        return math.inf
    winner, around = part.rows[carrier.own], carrier.surroundings
    _, farthest = distance_bounds(part.channel, part.proof.z, winner[None])
    return unseen_within_channel(
        part.proof.z,
        winner,
        a=float(farthest[0]),
        b=part.short.unseen,
        errors=up(far.errors + carrier.margin[1]),
        surroundings=replace(around, growth=max(far.growth, around.growth)),
    )


def _margins_of(rival: Part, carrier: Part, wanted: Ids) -> Margins:
    """The largest margin of each wanted item in another channel; −inf where it has no row there."""
    rows = np.flatnonzero(np.isin(rival.items, wanted))
    places = _places(rival.items[rows], wanted)
    values, errors = np.full(len(wanted), -np.inf), np.zeros(len(wanted))
    np.maximum.at(values, places, rival.margins.values[rows])
    np.maximum.at(errors, places, rival.margins.errors[rows])
    return Margins(values, errors, max(rival.margins.growth, carrier.margins.growth))


def _largest(part: Part, group: int) -> float:
    return float(part.margins.values[part.items == group].max(initial=-math.inf))


def _places(values: Ids, wanted: Ids) -> Ids:
    """Where each value stands in ``wanted``, which holds it once."""
    order = np.argsort(wanted, kind="stable")
    return order[np.searchsorted(wanted, values, sorter=order)]
