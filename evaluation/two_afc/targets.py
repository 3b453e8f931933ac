"""Triplets as targets of attack: the moved images in, the papers' losses out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...attacks.losses import EmbeddingTarget, Form, RatioTarget
from ...attacks.target import Target
from ...datasets.triplets import Triplet
from ...images.resize import resize_operator
from .metric import Comparer, System
from .settings import Moves, Setting

Bytes = npt.NDArray[np.uint8]
SURE = 1e-6
"""By how much, as a share of both distances together, the order must have changed before an attack takes it for won.

Attacks compute in float32, and the judge, where it can, in float64: what is less than this may be rounding.
"""


@dataclass(frozen=True)
class Attacked:
    """Triplets of one shape, as one metric sees them.

    Attributes:
        triplets: with their pixels.
        near_is_right: (b,) bool, the candidate that the metric finds nearer before the attack is the right one.
    """

    triplets: tuple[Triplet[Bytes], ...]
    near_is_right: npt.NDArray[np.bool_]

    def parts(self, place: int) -> tuple[Bytes, Bytes, Bytes]:
        """(reference, nearer candidate, farther candidate) of one triplet."""
        one = self.triplets[place]
        near, far = (one.right, one.left) if self.near_is_right[place] else (one.left, one.right)
        return one.reference, near, far

    def moved(self, place: int, moves: Moves) -> Bytes:
        """What is attacked: one of the images (H, W, 3), or all three one above another (3·H, W, 3)."""
        parts = self.parts(place)
        return np.concatenate(parts) if moves == "all" else parts[_PLACE[moves]]

    def part(self, number: int) -> Tensor:
        """(b, 3, H, W) float64: all references (0), nearer (1) or farther candidates (2)."""
        return planes([self.parts(place)[number] / 255.0 for place in range(len(self.triplets))])


_PLACE = {"reference": 0, "preferred": 1, "other": 2}
_FORMS: dict[str, Form] = {"flip": "flip", "rank": "rank", "margin": "rank", "reverse": "reverse"}


def target_of(system: System, setting: Setting, moves: Moves, attacked: Attacked) -> Target:
    """What an attack in this setting maximises; won where the metric's order has changed, for sure."""
    if setting.goal == "embedding":
        return _embedding(system, attacked)
    pair = _pair(system, moves, attacked)
    if setting.form == "margin" or system.metric.facts.lowest < 0:
        return _Margin(pair)  # a ratio says nothing where a distance may be negative
    return _Ratio(pair, setting.form == "reverse", _FORMS[setting.form])


def _pair(system: System, moves: Moves, attacked: Attacked) -> _Pair:
    comparer = system.comparer(attacked.part(0))
    with torch.no_grad():
        reference, near, far = (
            comparer.encode(attacked.part(number).to(system.device, torch.float32)) for number in range(3)
        )
        clean_near, clean_far = comparer.compare(reference, near), comparer.compare(reference, far)
    return _Pair(comparer, moves, reference, near, far, clean_near, clean_far)


@dataclass(frozen=True)
class _Pair:
    """Distances of the candidate that was nearer and of the one that was farther; what does not move is kept."""

    comparer: Comparer
    moves: Moves
    reference: Tensor
    near: Tensor
    far: Tensor
    clean_near: Tensor
    clean_far: Tensor

    def __call__(self, x: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """(b,) twice: (nearer, farther) before the attack."""
        encode, compare = self.comparer.encode, self.comparer.compare
        if self.moves == "preferred":
            return compare(self.reference[samples], encode(x)), self.clean_far[samples]
        if self.moves == "other":
            return self.clean_near[samples], compare(self.reference[samples], encode(x))
        if self.moves == "reference":
            moved = encode(x)
            return compare(moved, self.near[samples]), compare(moved, self.far[samples])
        reference, near, far = (encode(image) for image in x.chunk(3, dim=2))
        return compare(reference, near), compare(reference, far)


@dataclass(frozen=True)
class _Ratio:
    """Ghildyal and Liu's losses; for ``reverse`` the prey is the farther candidate."""

    pair: _Pair
    swapped: bool
    form: Form

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See :class:`.target.Target`."""
        near, far = self.pair(x, samples)
        prey, other = (far, near) if self.swapped else (near, far)
        return RatioTarget(lambda *_: prey, lambda *_: other, self.form).loss(x, samples) - SURE


@dataclass(frozen=True)
class _Margin:
    """d_near − d_far: of two classes, cross-entropy has the same gradient but for its length."""

    pair: _Pair

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See :class:`.target.Target`."""
        near, far = self.pair(x, samples)
        return near - far - SURE * (near.abs() + far.abs()).detach()


def _embedding(system: System, attacked: Attacked) -> Target:
    embedder = system.attacked
    assert embedder is not None, "only embedders have an embedding to move"
    x = attacked.part(0).to(system.device, torch.float32)

    def embed(images: Tensor) -> Tensor:
        resize = resize_operator((images.shape[-2], images.shape[-1]), embedder.input_size)
        return embedder.forward(resize.apply(images))

    return EmbeddingTarget(embed, x, torch.zeros(len(x), device=x.device))


def planes(images: Sequence[npt.NDArray[np.float64]]) -> Tensor:
    """(H, W, 3) float64 images → (b, 3, H, W)."""
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())
