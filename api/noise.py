"""What noise at a certified radius looks like on an image: in a random direction, and in the steepest one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from ..attacks.media import as_pixels, measure, to_bytes
from ..core.errors import UsageError
from ..core.units import Radius
from .answer import Answer
from .index import Index
from .serving import Levels

Direction = Literal["random", "steepest"]


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """An image with noise on it, as 8-bit levels.

    Attributes:
        direction: of the noise; levels: (H, W, 3) uint8.
        moved: how far it is from the query as shown, measured and rounded up.
    """

    direction: Direction
    levels: Levels
    moved: Radius


def noise_at(index: Index, image: Levels, answer: Answer, *, seed: int = 0) -> list[Noisy]:
    """The query with as much noise as its verdict withstands, and no more: what is shown lies inside the radius.

    The steepest direction is that of the gradient at the query: to first order no other takes the verdict away sooner.
    It is no attack: those take many steps.

    Args:
        index: that gave the answer, at the same snapshot.
        image: (H, W, 3) uint8 of the query.
        answer: with a certified verdict and a match.
        seed: of the random direction.

    Raises:
        UsageError: the verdict has no radius, or there is no match to move towards or away from.
    """
    radius = answer.copy or answer.not_a_copy
    if radius is None or not answer.matches or answer.matches[0].group < 0:
        raise UsageError("noise at the radius is shown where the verdict has one, and there is a match")
    if any(bank.silences for bank in answer.banks):
        raise UsageError("noise at the radius is not shown for a verdict that a negative bank has silenced")
    rng = np.random.default_rng(seed)
    ways: dict[Direction, npt.NDArray[np.float64]] = {
        "random": rng.standard_normal(image.shape),
        "steepest": _steepest(index, image, answer),
    }
    return [_noisy(name, image, way, radius) for name, way in ways.items()]


def _noisy(name: Direction, image: Levels, way: npt.NDArray[np.float64], radius: Radius) -> Noisy:
    """The longest step that still is inside the radius once it is clipped, and rounded to whole levels."""
    clean = as_pixels(image)
    step = way * (radius.l2 / max(float(np.linalg.norm(way)), 1e-300))
    levels = to_bytes(image, np.clip(clean + step, 0.0, 1.0), kind="l2", eps=radius.l2)
    return Noisy(name, levels, Radius(measure(clean, as_pixels(levels)).l2, image.size))


def _steepest(index: Index, image: Levels, answer: Answer) -> npt.NDArray[np.float64]:
    """(H, W, 3): away from the matched row where the verdict is a copy, towards it where it is none."""
    engine, match = index.engine, answer.matches[0]
    channel = next(one for one in engine.channels if one.name == match.channel)
    rows = channel.rows64(engine.gallery.table.rows_of(match.group))
    x = torch.from_numpy(image.astype(np.float64).transpose(2, 0, 1)[None] / 255.0).requires_grad_()
    z = channel.embed(x)
    if channel.score == "cosine":
        z = torch.nn.functional.normalize(z)
    far = torch.linalg.vector_norm(z - torch.from_numpy(rows), dim=1)
    (slope,) = torch.autograd.grad(far.min(), x)
    away = slope[0].numpy().transpose(1, 2, 0)
    return away if answer.copy is not None else -away
