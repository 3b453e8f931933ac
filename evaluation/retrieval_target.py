"""A retr index as a target of attack: the retrieval margin itself is the loss (docs/theory.md, T1, T4, T5, T9).

Losses are signed distances in pixels (ℓ2) where the model has a proved Lipschitz constant, in embedding units where
not. They are computed over rows near the query, a lower bound of the true loss, and those rows are looked up anew now
and then as the image moves. Whether an attack really succeeded is the engine's word, not theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..images.resize import resize_operator
from ..retrieval.channel import Channel

Goal = Literal["evasion", "verdict", "collision"]
GOALS: tuple[Goal, ...] = ("evasion", "verdict", "collision")

_RIVALS = 128
_REFRESH = 20
_FLOAT32_DOUBT = 1e-5


@dataclass(frozen=True)
class Aim:
    """What an attack on one query is about.

    Attributes:
        item: number of the item that is first before the attack.
        chosen: for a collision, the item that shall come first.
        copy: for a verdict attack, whether the verdict is "copy" before the attack.
    """

    item: int
    chosen: int | None = None
    copy: bool | None = None


class RetrievalTarget:
    """Loss of a batch of queries against an index; see :class:`..attacks.target.Target`.

    - evasion: some other item beats the first one. One channel: max over rival rows of −h, h the distance to the
      half-space where the rival wins (T1; with several stored views the best own view counts, T3). Several channels:
      the best rival margin minus the own margin (T9).
    - collision: the chosen item beats every other.
    - verdict: every copy region is left (T4, T5), or one is entered.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        aims: Sequence[Aim],
        goal: Goal,
        *,
        rivals: int = _RIVALS,
        refresh: int = _REFRESH,
    ) -> None:
        self._channels = tuple(channels)
        self._aims = tuple(aims)
        self._count, self._refresh = rivals, refresh
        self._loss = _LOSSES[goal]
        self._age = [0] * len(aims)
        self._own = [[self._rows(c, _protagonist(aim, goal)) for aim in aims] for c in self._channels]
        self._others: list[list[Tensor | None]] = [[None] * len(aims) for _ in self._channels]

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See :class:`..attacks.target.Target`."""
        wanted = samples.tolist()
        # Margins are small differences: float64 from here on, whatever the network computes in.
        embedded = [channel.embed(x).double() for channel in self._channels]
        self._look_around(embedded, wanted)
        views = [self._view(number, z, x, wanted) for number, z in enumerate(embedded)]
        copies = torch.tensor([bool(self._aims[i].copy) for i in wanted], device=x.device)
        return (self._loss(views, copies) - _doubt(x.dtype, views)).to(x.dtype)

    def _view(self, number: int, z: Tensor, x: Tensor, wanted: Sequence[int]) -> _View:
        own = _stack([self._own[number][i] for i in wanted], z)
        others = _stack([_known(self._others[number][i]) for i in wanted], z)
        channel = self._channels[number]
        return _View(channel, _pixels_per_unit(channel, (x.shape[-2], x.shape[-1])), z, own, others)

    def _look_around(self, embedded: Sequence[Tensor], wanted: Sequence[int]) -> None:
        """Look up the rows near each image whose list has grown old."""
        due = [place for place, i in enumerate(wanted) if self._age[i] % self._refresh == 0]
        for i in wanted:
            self._age[i] += 1
        for number, (channel, z) in enumerate(zip(self._channels, embedded, strict=True)):
            if due:
                found = _nearest(channel, z[due].detach().cpu().double().numpy(), self._count)
                for place, ids in zip(due, found, strict=True):
                    i = wanted[place]
                    rival = channel.groups[ids] != self._own_item(i)
                    self._others[number][i] = torch.from_numpy(channel.rows64(ids[rival]))

    def _own_item(self, i: int) -> int:
        aim = self._aims[i]
        return aim.item if aim.chosen is None else aim.chosen

    @staticmethod
    def _rows(channel: Channel, item: int) -> Tensor:
        return torch.from_numpy(channel.rows64(np.flatnonzero(channel.groups == item)))


def _protagonist(aim: Aim, goal: Goal) -> int:
    if goal != "collision":
        return aim.item
    if aim.chosen is None:
        raise AssertionError("a collision needs a chosen item")
    return aim.chosen


def _nearest(channel: Channel, zs: np.ndarray, count: int) -> list[np.ndarray]:
    """Live rows near each of several embeddings, by one float32 search."""
    _, ids = channel.store.nearest(np.stack([channel.query32(z) for z in zs]), count, gpu=channel.gpu)
    return [row[channel.groups[row] >= 0] for row in ids]


def _doubt(dtype: torch.dtype, views: Sequence[_View]) -> Tensor | float:
    """What a float32 network may be mistaken by, so that an attack that stops at success stops on the right side."""
    if dtype == torch.float64:
        return 0.0
    return _FLOAT32_DOUBT * torch.stack([view.scale * view.z.detach().norm(dim=1) for view in views]).amax(dim=0)


def _pixels_per_unit(channel: Channel, size: tuple[int, int]) -> float:
    """1/L, L = L_g·ρ; 1 for a model without a proved bound."""
    bound = channel.embedder.lipschitz
    return 1.0 if bound is None else 1.0 / bound.times(resize_operator(size, channel.embedder.input_size).norm).value


def _known(rows: Tensor | None) -> Tensor:
    assert rows is not None, "rows are looked up before they are used"
    return rows


def _stack(rows: Sequence[Tensor], like: Tensor) -> Tensor:
    """(b, m, d) of row sets of different size: short ones repeat their first row, which changes no min or max.

    A set without rows (an item alone in its index) becomes rows of NaN, which win no comparison.
    """
    most = max(1, *(len(one) for one in rows)) if rows else 1
    dim = like.shape[-1]
    filled = [one if len(one) else torch.full((1, dim), math.nan, dtype=torch.float64) for one in rows]
    padded = [torch.cat([one, one[:1].expand(most - len(one), -1)]) for one in filled]
    return torch.stack(padded).to(like)


@dataclass(frozen=True)
class _View:
    """A batch seen by one channel: z (b, d), rows of the protagonist (b, v, d), rows of others (b, m, d).

    scale: pixels per embedding unit.
    """

    channel: Channel
    scale: float
    z: Tensor
    own: Tensor
    others: Tensor

    def leads(self) -> Tensor:
        """(b, v, m): signed distance to where the other row beats the own one; positive while the own one leads."""
        width = torch.cdist(self.own, self.others, compute_mode="donot_use_mm_for_euclid_dist")
        ahead = _ranking(self.channel, self.z, self.own)[:, :, None]
        ahead = ahead - _ranking(self.channel, self.z, self.others)[:, None, :]
        return self.scale * ahead / width.clamp(min=1e-12)

    def margins(self, rows: Tensor) -> Tensor:
        """(b, m): signed T4/T5 distances to the edge of each row's copy region, positive inside."""
        threshold = self.channel.threshold
        assert threshold is not None, "margins need a threshold"
        distance = _cone if self.channel.score == "cosine" else _ball
        return self.scale * distance(self.z, rows, threshold.value)


def _ranking(channel: Channel, z: Tensor, rows: Tensor) -> Tensor:
    """Scores whose differences, over the rows' distance, are the distances of T1."""
    if channel.score == "cosine":
        return torch.einsum("bd,bmd->bm", z, rows)
    return -0.5 * (z[:, None, :] - rows).square().sum(-1)


def _cone(z: Tensor, rows: Tensor, threshold: float) -> Tensor:
    """‖z‖·sin(θ − φ): right in sign at every angle, and the distance where |θ − φ| ≤ 90°."""
    along = torch.einsum("bd,bmd->bm", z, rows)
    # The clamp keeps the root's gradient finite where z lies on the row itself.
    across = (z.square().sum(-1, keepdim=True) - along.square()).clamp(min=1e-12).sqrt()
    return math.sqrt((1.0 - threshold) * (1.0 + threshold)) * along - threshold * across


def _ball(z: Tensor, rows: Tensor, threshold: float) -> Tensor:
    return threshold - (z[:, None, :] - rows).square().sum(-1).clamp(min=1e-24).sqrt()


def _evasion(views: Sequence[_View], copies: Tensor) -> Tensor:
    del copies
    if len(views) == 1:
        return _worst(-views[0].leads().amax(dim=1))
    return _worst(_best(views, "others")) - _worst(_best(views, "own"))


def _collision(views: Sequence[_View], copies: Tensor) -> Tensor:
    del copies
    if len(views) == 1:
        return views[0].leads().amin(dim=2).amax(dim=1)
    return _worst(_best(views, "own")) - _worst(_best(views, "others"))


def _verdict(views: Sequence[_View], copies: Tensor) -> Tensor:
    margins = torch.cat([_best(views, "own"), _best(views, "others")], dim=1)
    deepest = _worst(margins)
    return torch.where(copies, -deepest, deepest)


def _best(views: Sequence[_View], which: Literal["own", "others"]) -> Tensor:
    """Margins of all rows of all channels, side by side."""
    return torch.cat([view.margins(getattr(view, which)) for view in views], dim=1)


def _worst(values: Tensor) -> Tensor:
    """The largest over the last axis; rows that stand for nothing (NaN) never are."""
    return torch.where(values.isnan(), -torch.inf, values).amax(dim=-1)


_LOSSES: dict[Goal, Callable[[Sequence[_View], Tensor], Tensor]] = {
    "evasion": _evasion,
    "verdict": _verdict,
    "collision": _collision,
}
