"""A perceptual hash with a certificate, small enough to be read at once: differences of block means, Hamming distance.

Bit i is [⟨a_i, x⟩ > 0], a_i the mean of a block less that of its left neighbour, over all channels. It cannot change
while ‖δ‖ < m_i = |⟨a_i, x⟩|/‖a_i‖, its margin. Within ε every bit thus lies in an interval [l_i, u_i] of {0, 1}, from
which a certified hash (CertPHash does so for its network) bounds its distance to a code e.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from retr.attacks.media import Bytes, Pixels, as_pixels
from retr.attacks.target import Sees
from retr.core.units import Radius
from retr.evaluation.systems.index_system import Kind
from retr.evaluation.systems.retrieval_target import Aim, Goal
from retr.retrieval.answer import Answer, Match

BLOCK = 4
LENGTH = math.sqrt(2.0 / (3 * BLOCK**2))
"""‖a_i‖: two blocks, each of 3·BLOCK² values with weight 1/(3·BLOCK²)."""
SLACK = 1e-9
"""More than float64 can move a margin."""

Bits = npt.NDArray[np.int64]
Worst = Callable[[Bits, Bits, Bits], int]
"""(l, u, e) → bound on the distance between e and any code in [l, u]."""


def sum_of_max(low: Bits, high: Bits, code: Bits) -> int:
    """Each bit does its worst: Σ_i max(|l_i − e_i|, |u_i − e_i|)."""
    return int(np.maximum(np.abs(low - code), np.abs(high - code)).sum())


def signed_margins(x: Tensor) -> Tensor:
    """(b, 3, H, W) → (b, bits): ⟨a_i, x⟩/‖a_i‖, positive where the bit is 1."""
    means = functional.avg_pool2d(x.mean(1, keepdim=True), BLOCK)[:, 0]
    return (means[:, :, 1:] - means[:, :, :-1]).flatten(1) / LENGTH


class CertifiedHash:
    """A gallery of codes, with the radius of the verdict "copy".

    Args:
        pictures: the gallery, (H, W, 3) uint8, sides multiples of BLOCK.
        threshold: τ, most bits in which a copy differs.
        worst: how the distance is bounded within a radius.
    """

    name = "certified-hash"
    kind: Kind = "hash"
    certified = True

    def __init__(self, pictures: Sequence[Bytes], *, threshold: int, worst: Worst = sum_of_max) -> None:
        self._threshold, self._worst = threshold, worst
        self._codes = np.stack([self._hash(as_pixels(picture))[0] for picture in pictures])

    def items(self) -> Sequence[str]:
        return [f"{number:03d}" for number in range(len(self._codes))]

    def describe(self) -> dict[str, str]:
        return {"model": self.name, "model_digest": "0" * 64, "snapshot": "none", "policy_digest": "none"}

    def answer_many(self, images: Sequence[Pixels], *, k: int, certify: bool = False) -> list[Answer]:
        return [self._answer(image, k, certify) for image in images]

    def target(self, aims: Sequence[Aim], goal: Goal, *, sees: Sees) -> _OutOfTheRegion:
        assert goal == "verdict"
        assert all(aim.copy for aim in aims)
        return _OutOfTheRegion(torch.from_numpy(self._codes), self._threshold)

    @staticmethod
    def _hash(pixels: Pixels) -> tuple[Bits, npt.NDArray[np.float64]]:
        """Bits and margins."""
        signed = signed_margins(torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None])[0].numpy()
        return (signed > 0).astype(np.int64), np.abs(signed)

    def _answer(self, pixels: Pixels, k: int, certify: bool) -> Answer:
        bits, margins = self._hash(pixels)
        distances = np.abs(self._codes - bits).sum(axis=1)
        order = np.argsort(distances, kind="stable")[:k]
        copies = np.flatnonzero(distances <= self._threshold)
        reach = [self._reach(bits, margins, self._codes[item]) for item in copies] if certify else []
        return Answer(
            width=pixels.shape[1],
            height=pixels.shape[0],
            model=self.name,
            snapshot="none",
            verdict="copy" if copies.size else "not-a-copy",
            point_verdict="copy" if copies.size else "not-a-copy",
            k=k,
            matches=tuple(self._match(place, int(item), distances[item]) for place, item in enumerate(order, start=1)),
            copy=Radius(max(reach), pixels.size) if reach else None,
        )

    def _reach(self, bits: Bits, margins: npt.NDArray[np.float64], code: Bits) -> float:
        """The largest ε within which the bound on the distance to a code stays at most τ."""
        for margin in np.sort(margins):
            free = margins <= margin
            if self._worst(np.where(free, 0, bits), np.where(free, 1, bits), code) > self._threshold:
                return max(0.0, float(margin) - SLACK)
        return math.sqrt(3 * bits.size)

    def _match(self, place: int, item: int, distance: int) -> Match:
        name = self.items()[item]
        return Match(place, item, name, name, "original", -float(distance), float(distance), self.name)


class _OutOfTheRegion:
    """Loss > 0 where a query differs from every code in more than τ bits: less how far the last τ + 1 have to go."""

    def __init__(self, codes: Tensor, threshold: int) -> None:
        self._signs, self._count = (2 * codes - 1).double(), threshold + 1

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        agreement = signed_margins(x)[:, None, :] * self._signs.to(x)  # b items bits
        last = agreement.topk(self._count, largest=False).values
        missing = last.clamp(min=0.0).square().sum(-1).clamp(min=1e-12).sqrt()
        return torch.where((last < 0).all(-1), -last.amax(-1), -missing).amin(-1)
