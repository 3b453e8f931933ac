"""The losses of attacks on an index, of embeddings and rows alone (docs/theory.md, T1, T2, T4, T5, T9).

Each is positive exactly where the attack's goal is reached, and a signed distance in embedding units times ``scale``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from ...retrieval.channel import Channel

Goal = Literal["evasion", "rank10", "verdict", "collision", "embedding"]
GOALS: tuple[Goal, ...] = ("evasion", "rank10", "verdict", "collision", "embedding")
"""What attacks are after: another item first; the first item out of the first ten; the other verdict; a chosen item
first; the embedding as far away as it goes."""

TOP = 10
"""The first ten: how many matches an audit asks for."""


@dataclass(frozen=True)
class Rows:
    """The rows that a batch is compared with in one channel; they stay the same for many steps of an attack.

    Attributes:
        own: (b, v, d) rows of the protagonist.
        others: (b, m, d) rows of other items; NaN for none.
        places: (b, m) which item each of these belongs to, numbered from 0 per query, the same in every channel.
        own_limits, others_limits: (b, v) and (b, m) thresholds of these rows: of the verdict where it is attacked, else
            those that margins are measured from; None where there are none.
    """

    own: Tensor
    others: Tensor
    places: Tensor
    own_limits: Tensor | None = None
    others_limits: Tensor | None = None

    @cached_property
    def width(self) -> Tensor:
        """(b, v, m): how far each other row is from each own one."""
        return torch.cdist(self.own, self.others, compute_mode="donot_use_mm_for_euclid_dist").clamp(min=1e-12)


@dataclass(frozen=True)
class View:
    """A batch seen by one channel, through one view of it.

    Attributes:
        channel: of the rows that this view is compared with.
        scale: pixels per embedding unit.
        z: (b, d) embeddings.
        rows: what they are compared with.
    """

    channel: Channel
    scale: float
    z: Tensor
    rows: Rows

    def leads(self) -> Tensor:
        """(b, v, m): signed distance to where the other row beats the own one; positive while the own one leads."""
        ahead = _ranking(self.channel, self.z, self.rows.own)[:, :, None]
        ahead = ahead - _ranking(self.channel, self.z, self.rows.others)[:, None, :]
        return self.scale * ahead / self.rows.width

    def margins(self, which: Literal["own", "others"]) -> Tensor:
        """(b, m): signed T4/T5 distances, by which items are ranked over several tests."""
        limits = getattr(self.rows, f"{which}_limits")
        assert limits is not None, "margins need thresholds"
        return self._inside(getattr(self.rows, which), limits)

    def insides(self) -> Tensor:
        """(b, v + m): signed T4/T5 distances to the edge of each row's copy region, positive inside."""
        rows = self.rows
        assert rows.own_limits is not None
        assert rows.others_limits is not None
        parts = [self._inside(rows.own, rows.own_limits), self._inside(rows.others, rows.others_limits)]
        return torch.cat(parts, dim=1)

    def _inside(self, rows: Tensor, limits: Tensor) -> Tensor:
        distance = _cone if self.channel.score == "cosine" else _ball
        return self.scale * distance(self.z, rows, limits)


def evasion(views: Sequence[View]) -> Tensor:
    """(b,): how far some other item is past the protagonist.

    One channel: max over rival rows of −h, h the distance to the half-space where the rival wins (T1; with several
    stored views the best own view counts, T3). Several channels: the best rival margin minus the own margin (T9).
    """
    return _worst(_past(views))


def rank10(views: Sequence[View]) -> Tensor:
    """(b,): how far the tenth of the other items is past the protagonist (T2); fewer than ten near it: the last."""
    past, places = _past(views), torch.cat([view.rows.places for view in views], dim=1)
    items = torch.full((len(past), int(places.max()) + 1), -torch.inf, dtype=past.dtype, device=past.device)
    past = torch.where(past.isnan(), -torch.inf, past)
    best = items.scatter_reduce(1, places, past, "amax")  # an item's best row speaks for it
    ranked = best.sort(dim=1, descending=True).values[:, :TOP]
    there = ranked.isfinite().sum(dim=1, keepdim=True).clamp(min=1)
    return ranked.gather(1, there - 1)[:, 0]


def collision(views: Sequence[View]) -> Tensor:
    """(b,): how far the protagonist, the chosen item, is ahead of every other."""
    if len(views) == 1:
        return views[0].leads().amin(dim=2).amax(dim=1)
    return _worst(_best(views, "own")) - _worst(_best(views, "others"))


def verdict(views: Sequence[View], copies: Tensor) -> Tensor:
    """(b,): how far every copy region is left (T4, T5), or where ``copies`` is False, how far one is entered."""
    deepest = _worst(torch.cat([view.insides() for view in views], dim=1))
    return torch.where(copies, -deepest, deepest)


def embedding(moved: Sequence[Tensor], reach: Tensor) -> Tensor:
    """(b,): how much farther some channel's embedding moved than ``reach``; (b,) each, all in pixels."""
    return torch.stack(list(moved)).amax(dim=0) - reach


RANKINGS: dict[Goal, Callable[[Sequence[View]], Tensor]] = {
    "evasion": evasion,
    "rank10": rank10,
    "collision": collision,
}
"""The losses of rows alone."""


def _past(views: Sequence[View]) -> Tensor:
    """(b, m): how far each other row is past the protagonist, all channels side by side."""
    if len(views) == 1:
        return -views[0].leads().amax(dim=1)
    return _best(views, "others") - _worst(_best(views, "own"))[:, None]


def _best(views: Sequence[View], which: Literal["own", "others"]) -> Tensor:
    """Margins of all rows of all channels, side by side."""
    return torch.cat([view.margins(which) for view in views], dim=1)


def _worst(values: Tensor) -> Tensor:
    """The largest over the last axis; rows that stand for nothing (NaN) never are."""
    return torch.where(values.isnan(), -torch.inf, values).amax(dim=-1)


def _ranking(channel: Channel, z: Tensor, rows: Tensor) -> Tensor:
    """Scores whose differences, over the rows' distance, are the distances of T1."""
    if channel.score == "cosine":
        return torch.einsum("bd,bmd->bm", z, rows)
    return -0.5 * (z[:, None, :] - rows).square().sum(-1)


def _cone(z: Tensor, rows: Tensor, limits: Tensor) -> Tensor:
    """‖z‖·sin(θ − φ): right in sign at every angle, and the distance where |θ − φ| ≤ 90°."""
    along = torch.einsum("bd,bmd->bm", z, rows)
    # The clamp keeps the root's gradient finite where z lies on the row itself.
    across = (z.square().sum(-1, keepdim=True) - along.square()).clamp(min=1e-12).sqrt()
    return ((1.0 - limits) * (1.0 + limits)).sqrt() * along - limits * across


def _ball(z: Tensor, rows: Tensor, limits: Tensor) -> Tensor:
    return limits - (z[:, None, :] - rows).square().sum(-1).clamp(min=1e-24).sqrt()
