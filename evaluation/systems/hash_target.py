"""Perceptual hashes as targets of attack: the hash itself decides, and its relaxation lends it a gradient.

A hash takes 8-bit images, so a float image is rounded first (:func:`to_levels`) and the library hashes that. A loss is
> 0 exactly where *those* bits reach the goal. How large it is depends on what an attack may see.

**Score or decision: the margin in bits.** An item's margin over the item under attack is its lead, d_own − d_item, plus
half a bit where it wins ties (the lower item number does) and minus half a bit where it loses them. Its margin over the
threshold is threshold − d + ½. The loss is the largest margin (evasion; entering a copy region), the tenth largest
(rank10), or minus the largest (collision; leaving every copy region). It has no gradient.

**Gradient: the margin in pixels.** Whoever is behind has to bring so and so many bits to its side. A bit that lies t
pixels (ℓ2) on the wrong side costs t, and several cost √(t₁² + … + t_m²) as far as their coefficients are independent:
the margin in pixels is the cost of the cheapest that suffice, with the sign of the margin in bits. Counting is the true
hash's part, depths are the relaxation's (:mod:`.hash_relaxation`); they are taken at the rounded image, and their
gradient is passed straight through the rounding. Three things make it strong: only as many bits are pushed as it takes;
bits that have turned are pushed on until they lie safely; and where the centre is a median, half of the bits are taken
from either side, because the median moves with them otherwise and turns others back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import softplus

from ...attacks.media import Bytes
from ...core.errors import UsageError
from .baselines import Hash, Words, hamming, pack
from .hash_relaxation import Relaxation, relaxation
from .retrieval_target import Aim

Bits = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_RIVALS = 64
"""Items considered for one image: those of largest margin."""
_SAFETY = 0.03
"""How deep a turned bit is pushed, as a share of a typical bit's depth. More of it wins in fewer steps, and misses wins
at the edge of the budget: on photographs, 0.1 missed a quarter of what 0.03 found."""


def to_levels(pixels: npt.NDArray[np.floating]) -> Bytes:
    """Pixels in [0, 1] to the nearest of 256 levels; halves go to the even one.

    An 8-bit image comes back as it was. Of a change to one, less than half a level is not seen, and more than half is
    seen as a whole level: what a hash sees may be up to twice as far from the clean image as what it was sent.
    """
    return np.rint(pixels.astype(np.float64) * 255.0).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Hashed:
    """A gallery of hashes.

    Attributes:
        hash: which.
        words: (items, bits ÷ 64), a row for each item, in item order.
        threshold: largest distance that counts as a copy.
    """

    hash: Hash
    words: Words
    threshold: int

    def bits_of(self, image: Bytes) -> Bits:
        """(bits,) of an image (H, W, 3)."""
        return self.hash.apply(np.ascontiguousarray(image))

    def distances(self, bits: Bits) -> Ints:
        """(items,) Hamming distances."""
        return hamming(self.words, pack(bits))

    def rows(self, items: Ints) -> Bits:
        """(m, bits) of m items."""
        return np.unpackbits(self.words[items].view(np.uint8), axis=1).astype(np.bool_)


class HashTarget:
    """Loss of a batch of queries against a gallery of hashes; see :class:`..attacks.target.Target`."""

    def __init__(self, gallery: Hashed, aims: Sequence[Aim], goal: str, *, gradient: bool) -> None:
        """Attack queries with these aims.

        Args:
            gallery: what they are compared with.
            aims: one per query.
            goal: one of :data:`GOALS`.
            gradient: the margin in pixels, with a gradient; otherwise the one in bits, without.

        Raises:
            UsageError: an unknown goal, or no relaxation of this hash is known.
        """
        if goal not in GOALS:
            raise UsageError(f"a hash cannot be attacked for the goal {goal!r}; choose from {', '.join(GOALS)}")
        if gradient:
            relaxation(gallery.hash.name, (64, 64))  # a hash without one is refused here, not at the first step
        self._gallery, self._gradient = gallery, gradient
        self._questions = [GOALS[goal](aim) for aim in aims]

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See :class:`..attacks.target.Target`."""
        images = to_levels(x.detach().permute(0, 2, 3, 1).cpu().numpy())
        questions = [self._questions[i] for i in samples.tolist()]
        duels = [self._duels(image, one.own) for image, one in zip(images, questions, strict=True)]
        if self._gradient:
            margins = self._in_pixels(x, images, duels)
        else:
            margins = [torch.from_numpy(one.margins) for one in duels]
        return torch.stack([one.loss(margin).to(x) for one, margin in zip(questions, margins, strict=True)])

    def _duels(self, image: Bytes, own: int | None) -> _Duels:
        """The items of largest margin, against the item under attack or against the threshold."""
        distances = self._gallery.distances(self._gallery.bits_of(image))
        if own is None:
            margins = (self._gallery.threshold - distances).astype(np.float64) + 0.5
            nearest = _largest(margins)
            rows = self._gallery.rows(nearest)
            most = self._gallery.hash.bits - self._gallery.threshold
            return _Duels(margins[nearest], rows, ~rows, np.full(len(rows), most))
        ties = np.where(np.arange(len(distances)) < own, 0.5, -0.5)
        margins = (distances[own] - distances).astype(np.float64) + ties
        margins[own] = -np.inf
        nearest = _largest(margins)
        rows, mine = self._gallery.rows(nearest), self._gallery.rows(np.array([own]))
        apart = (rows != mine).sum(axis=1)
        return _Duels(margins[nearest], rows, mine, ((apart - ties[nearest]) // 2).astype(np.int64) + 1)

    def _in_pixels(self, x: Tensor, images: Bytes, duels: Sequence[_Duels]) -> Iterator[Tensor]:
        relaxed = relaxation(self._gallery.hash.name, (x.shape[-2], x.shape[-1]))
        seen = torch.from_numpy(images).permute(0, 3, 1, 2).to(x) / 255.0
        depths = relaxed.depths(x + (seen - x).detach())
        return (one.in_pixels(depth, relaxed) for one, depth in zip(duels, depths, strict=True))


@dataclass(frozen=True, eq=False)
class _Duels:
    """One image, pulled between m items and an opponent each: the item under attack, or "no copy".

    Attributes:
        margins: (m,) in bits, > 0 where the item wins.
        rows: (m, n) bits of the items.
        opponents: (m, n) or (1, n) bits of the opponents; only those that differ matter.
        enough: (m,) how many of these must be the item's for it to win.
    """

    margins: npt.NDArray[np.float64]
    rows: Bits
    opponents: Bits
    enough: Ints

    def in_pixels(self, depths: Tensor, relaxed: Relaxation) -> Tensor:
        """(m,) margins in pixels, from the depths of the bits (n,)."""
        won = self.margins > 0
        matter = self.rows != self.opponents
        wanted = np.where(won[:, None], self.opponents, self.rows)  # by whoever is behind
        count = np.where(won, matter.sum(axis=1) - self.enough + 1, self.enough)
        safety = _SAFETY * depths.detach().abs().median().clamp(min=1e-9)
        # Never quite zero: a bit that has turned is pushed on, the less the deeper it lies.
        up, down = (safety * softplus((safety - side * depths) / safety) for side in (1.0, -1.0))  # each n
        chosen = _cheapest(depths.detach().cpu().numpy(), matter, wanted, count, halves=relaxed.centre is None)
        ups, downs = (torch.from_numpy(chosen & side).to(depths) for side in (wanted, ~wanted))
        cost = (ups @ up.square() + downs @ down.square()).clamp(min=1e-24).sqrt()
        possible = torch.from_numpy(count <= matter.sum(axis=1)).to(depths.device)
        sign = torch.from_numpy(np.where(won, 1.0, -1.0)).to(depths)
        return sign * torch.where(possible, cost, torch.inf)


def _cheapest(depths: npt.NDArray[np.float64], matter: Bits, wanted: Bits, count: Ints, *, halves: bool) -> Bits:
    """(m, n) the bits that are nearest to what is wanted, or deepest in it: ``count`` of those that matter.

    Args:
        depths: (n,) signed, positive where the bit is 1.
        matter: (m, n) bits to choose from.
        wanted: (m, n) what they shall be.
        count: (m,) how many to choose.
        halves: choose from the bits wanted 1 and those wanted 0 in proportion, rounded up.
    """
    sides = [matter & wanted, matter & ~wanted] if halves else [matter]
    total = np.maximum(matter.sum(axis=1), 1)
    costs = np.where(wanted, -depths, depths)
    chosen = np.zeros_like(matter)
    for side in sides:
        order = np.argsort(np.where(side, costs, np.inf), axis=1)
        share = -(-count * side.sum(axis=1) // total)
        first = np.arange(side.shape[1]) < share[:, None]
        np.put_along_axis(chosen, order, np.take_along_axis(chosen, order, axis=1) | first, axis=1)
    return chosen & matter


def _largest(margins: npt.NDArray[np.float64]) -> Ints:
    """Places of the largest margins, the largest first, lower places first among equals."""
    order = np.argsort(-margins, kind="stable")[:_RIVALS]
    return order[margins[order] > -np.inf]


@dataclass(frozen=True)
class _Question:
    """What an attack is after, in terms of margins.

    Attributes:
        own: the item that the others are measured against; None where it is the threshold.
        place: the loss is the largest margin, or the tenth largest, …
        sign: … times this.
    """

    own: int | None
    place: int = 1
    sign: float = 1.0

    def loss(self, margins: Tensor) -> Tensor:
        """The loss from margins (m,); out of reach where there are too few items."""
        if len(margins) < self.place:
            return self.sign * margins.new_tensor(-torch.inf)
        return self.sign * margins.topk(self.place).values[-1]


def _collision(aim: Aim) -> _Question:
    if aim.chosen is None:
        raise AssertionError("a collision needs a chosen item")
    return _Question(aim.chosen, sign=-1.0)


GOALS: dict[str, Callable[[Aim], _Question]] = {
    "evasion": lambda aim: _Question(aim.item),
    "rank10": lambda aim: _Question(aim.item, place=10),
    "verdict": lambda aim: _Question(None, sign=-1.0 if aim.copy else 1.0),
    "collision": _collision,
}
"""Goals that a hash can be attacked for: those of an index, without ``embedding``: bits have no distance to move."""
