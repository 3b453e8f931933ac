"""What an attack sees of a system: images in, loss out."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Target(Protocol):
    """A system under attack. Attacks maximise the loss, and have won on a sample exactly where its loss is > 0."""

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """Loss of a batch, differentiable in x.

        Args:
            x: (b, 3, H, W) images in [0, 1].
            samples: (b,) int64, which sample of the attacked batch each row is a version of. Attacks drop samples
                that are done, so a target that holds something per sample (its true item, say) must look it up here.

        Returns:
            (b,) losses; row i may depend on x[i] alone.
        """
        ...


def loss_and_gradient(target: Target, x: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Losses (b,) and their gradients (b, 3, H, W), both detached.

    A gradient that is not a number counts as zero: one broken sample must not move, and must not stop the batch.
    """
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        loss = target.loss(x, samples)
        (gradient,) = torch.autograd.grad(loss.sum(), x)
    return loss.detach(), torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
