"""What an attack sees of a system: images in, loss out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

Sees = Literal["gradient", "score", "decision"]
"""How much of the loss an attack is shown: its gradient too, its value, or only whether it is won."""

VALUES_AT_ONCE = 3_000_000
"""Values of images that an attack which asks about many variants of one image puts into one batch, at most."""


class Target(Protocol):
    """A system under attack. Attacks maximise the loss, and have won on a sample exactly where its loss is > 0."""

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """Loss of a batch, differentiable in x.

        Args:
            x: (b, 3, H, W) images in [0, 1].
            samples: (b,) int64, which sample of the attacked batch each row is a version of. Attacks drop samples
                that are done, and may ask about several versions of one sample at once, so a target that holds
                something per sample (its true item, say) must look it up here.

        Returns:
            (b,) losses; row i may depend on x[i] alone.
        """
        ...


def loss_and_gradient(target: Target, x: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Losses (b,) and their gradients (b, 3, H, W), both detached.

    A gradient that is not a number counts as zero: one broken sample must not move, and must not stop the batch. So
    does that of a loss that does not depend on x at all.
    """
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        loss = target.loss(x, samples)
        if not loss.requires_grad:
            return loss, torch.zeros_like(x, requires_grad=False)
        (gradient,) = torch.autograd.grad(loss.sum(), x)
    return loss.detach(), torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)


def loss_alone(target: Target, x: Tensor, samples: Tensor) -> Tensor:
    """Losses (b,), without a graph."""
    with torch.no_grad():
        return target.loss(x.detach(), samples)


def limited(target: Target, sees: Sees) -> Target:
    """The target as an attack of this kind may see it, so that it cannot see more by mistake."""
    if sees == "gradient":
        return target
    return _ScoreOnly(target) if sees == "score" else _DecisionOnly(target)


@dataclass(frozen=True)
class _ScoreOnly:
    """The loss without its gradient."""

    target: Target

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        return loss_alone(self.target, x, samples)


@dataclass(frozen=True)
class _DecisionOnly:
    """+1 where the loss is > 0, −1 elsewhere."""

    target: Target

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        return torch.where(loss_alone(self.target, x, samples) > 0, 1.0, -1.0).to(x.dtype)
