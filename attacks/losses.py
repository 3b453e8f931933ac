"""The losses of the papers as targets, on any distance: ratios of two distances, and how far an embedding moves.

Each is shifted by a constant so that it is > 0 exactly where the attack has won; its gradient stays the paper's. The
losses of retrieval itself, margins in pixels, are no part of this room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]
"""(images (b, 3, H, W), their sample numbers (b,)) → distances (b,), ≥ 0 and differentiable in the images."""
Form = Literal["flip", "rank", "reverse"]

_TINY = 1e-30


class RatioTarget:
    """Ghildyal and Liu 2023 (TMLR, arXiv 2305.08840): s_prey and s_other, distances of two images to a reference.

    With r = s_other/(s_other + s_prey), an attack maximises

    - ``flip`` (eq. 1): (r − 1)². Won where the prey, at first the nearer one, is farther: s_prey > s_other.
    - ``rank`` (eq. 6, the rank loss of stAdv): −r. Won there too. Unlike eq. 1 its gradient does not fade where
      s_prey is small.
    - ``reverse`` (eq. 7): r². Won where the prey, at first the farther one, is nearer: s_prey < s_other.

    Only the image under attack changes, and the references are looked up by sample number: a triplet that is stacked
    into one input would spread its budget over all three.
    """

    def __init__(self, prey: Distance, other: Distance, form: Form = "flip") -> None:
        self._prey, self._other, self._form = prey, other, form

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See :class:`.target.Target`. The differences are written as products, so that rounding cannot turn a sign."""
        prey, other = self._prey(x, samples), self._other(x, samples)
        total = (prey + other).clamp(min=_TINY)
        lead = (prey - other) / total  # 1 − 2·r
        if self._form == "rank":
            return lead / 2.0  # ½ − r
        if self._form == "flip":
            return lead * ((3.0 * prey + other) / total) / 4.0  # (r − 1)² − ¼
        return -lead * ((3.0 * other + prey) / total) / 4.0  # r² − ¼


class EmbeddingTarget:
    """LipSim's direct attack (arXiv 2310.18274, section 5): ‖f(x + δ) − f(x)‖, as large as it gets.

    Its gradient at δ = 0 is zero, so it needs a random start. Won where the embedding moved by more than ``need``:
    L·eps, say, which no image in the ball can do if L is an upper bound of f's Lipschitz constant.
    """

    def __init__(self, embed: Callable[[Tensor], Tensor], x: Tensor, need: Tensor) -> None:
        """Embed the clean images.

        Args:
            embed: (b, 3, H, W) images in [0, 1] → (b, d).
            x: the clean images.
            need: (b,) shifts that count as won.
        """
        self._embed, self._need = embed, need
        with torch.no_grad():
            self._clean = embed(x)

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See :class:`.target.Target`."""
        moved = self._embed(x) - self._clean[samples]
        # vector_norm has gradient 0 at 0, where √(Σ²) would give NaN.
        return torch.linalg.vector_norm(moved, dim=1) - self._need[samples].to(moved)
