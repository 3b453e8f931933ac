"""Several probes: the rows that each of them knows, with their margins (T9), and the items those rows are of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..certificates.channels import Margins, item_margins, margins_of, unseen_margins
from ..certificates.verdicts import VerdictRadii
from ..certificates.within_channel import Surroundings
from ..core.numerics import norm
from ..indexer.items import NO_KEYS, Keys
from ..indexer.vectors import Ids
from .channel import Float64
from .compared_rows import Rows
from .evidence import Evidence, number_items
from .ranking import VIEWS_TRIED
from .verdict import radii_of

UNSEEN = -1
"""Item number that stands for everything that no evidence lists."""


@dataclass(frozen=True)
class Part:
    """What one probe knows of the candidates.

    Attributes:
        seen: its evidence.
        rows: all rows of it, by number.
        items: (m,) the item of each.
        count: how many items all probes know.
        margins: (m,) how deep the query lies inside of each row's copy region, in pixels.
    """

    seen: Evidence
    rows: Rows
    items: Ids
    count: int
    margins: Margins

    @cached_property
    def levels(self) -> Float64:
        """(m,) the threshold that each row's margin is measured from."""
        return np.full(len(self.rows), self.seen.probe.tau) if self.rows.levels is None else self.rows.levels

    @property
    def surroundings(self) -> Surroundings | None:
        """What T1 within this probe needs, for the strictest of its thresholds; None where it does not apply."""
        probe = self.seen.probe
        if probe.score != "cosine" or not 0.0 <= self.seen.loosest <= self.seen.strictest <= 1.0:
            return None
        proved = probe.proved
        return Surroundings(self.seen.strictest, proved.lipschitz, proved.forward_error, self.margins.growth)

    @cached_property
    def _by_item(self) -> tuple[Ids, Ids]:
        """The item of each row and its place, item after item, the largest margins of each first, ties by place."""
        order = np.lexsort((-self.margins.values, self.items))
        return self.items[order], order

    def rows_of(self, item: int) -> Ids:
        """Places of the item's rows, the largest margins first; empty where this probe knows none."""
        items, order = self._by_item
        return order[np.searchsorted(items, item) : np.searchsorted(items, item, "right")]

    def best_rows(self, item: int) -> Ids:
        """Some of them: those that theorems are tried with."""
        return self.rows_of(item)[:VIEWS_TRIED]

    def best_margin(self, item: int) -> float:
        """The largest margin of the item's rows; −inf where this probe knows none."""
        own = self.rows_of(item)
        return float(self.margins.values[own[0]]) if own.size else -math.inf

    @cached_property
    def verdict(self) -> VerdictRadii:
        """T4/T5 of every row."""
        return radii_of(self.seen.probe, self.rows)

    @cached_property
    def copy_radii(self) -> Float64:
        """(items,) T9, "copy of this item" by this probe alone; 0 where it does not say so."""
        found = np.zeros(self.count)
        np.maximum.at(found, self.items, self.verdict.copy)
        return found

    @cached_property
    def unseen(self) -> Margins | None:
        """One margin that stands for all rows that are not listed, as far out as is proved; None where all are."""
        return None if self.seen.everything_listed else hidden_margins(self.seen, self.seen.unseen)


def hidden_margins(seen: Evidence, b: float) -> Margins:
    """One margin that stands for all rows of a probe that lie at least b away."""
    probe = seen.probe
    return unseen_margins(
        b,
        z_norm=float(norm(probe.z)),
        dim=len(probe.z),
        score=probe.score,
        threshold=seen.loosest,
        lipschitz=probe.proved.lipschitz,
        forward_error=probe.proved.forward_error,
    )


@dataclass(frozen=True)
class Candidates:
    """Every item that some probe knows.

    Attributes:
        parts: per probe.
        keys: (g,) names of the items by number; firsts: (g,) the first row of each.
        items: (g or g + 1,) their numbers, after UNSEEN where something is not listed.
        total: their margins over all probes.
    """

    parts: tuple[Part, ...]
    keys: Keys
    firsts: Ids
    items: Ids
    total: Margins

    @staticmethod
    def of(evidence: Sequence[Evidence]) -> Candidates:
        """All that the probes of a query know; each has a threshold and is certified."""
        keys, firsts, numbers = number_items(evidence)
        parts = tuple(part_of(seen, items, len(keys)) for seen, items in zip(evidence, numbers, strict=True))
        known = [(part.margins, part.items) for part in parts]
        hidden = [(far, np.asarray([UNSEEN])) for far in (part.unseen for part in parts) if far is not None]
        items, total = item_margins([*known, *hidden])
        return Candidates(parts, keys, firsts, items, total)

    def first(self, k: int, ahead: Keys = NO_KEYS) -> Ids:
        """Places of the first k items among ``items``, best first; of equals the one stored first.

        Those that are named ``ahead`` come before all others.
        """
        behind = np.ones(len(self.items), dtype=np.bool_)
        behind[self.items != UNSEEN] = ~np.isin(self.keys[self.items[self.items != UNSEEN]], ahead)
        order = np.lexsort((self.items, -self.total.values, behind))
        return order[self.items[order] != UNSEEN][:k]


def part_of(seen: Evidence, items: Ids, count: int) -> Part:
    """What a probe knows, with the number of the item of each row, listed rows first; ``count`` items in all."""
    every = Rows.stack((seen.listed, seen.own))
    _, place = np.unique(every.ids, return_index=True)  # rows of whole items may be listed as well
    every = every.take(place)
    found = margins_of(
        every.met,
        seen.probe.tau if every.levels is None else every.levels,
        lipschitz=seen.probe.proved.lipschitz,
        forward_error=seen.probe.proved.forward_error,
    )
    return Part(seen, every, items[place], count, found)
