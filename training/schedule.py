"""Learning rate and weight averaging, as functions of the step."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn


def learning_rate(step: int, *, peak: float, warmup: int, steps: int) -> float:
    """Linear warm-up to the peak, then half a cosine down to zero (Loshchilov & Hutter, arXiv 1608.03983).

    Step s of the warm-up has peak·(s + 1)/warmup; after it, peak·½(1 + cos π·(s − warmup)/(steps − warmup)).

    Args:
        step: updates done before this one, 0 ≤ step < steps.
        peak: the highest rate.
        warmup: steps of warm-up.
        steps: all steps.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def ema_decay(step: int, *, decay: float) -> float:
    """min(decay, (1 + s)/(10 + s)): an average of few steps forgets its random start quickly."""
    return min(decay, (1 + step) / (10 + step))


class AveragedNetwork:
    """Exponential moving average of the parameters: θ̄ ← d·θ̄ + (1 − d)·θ; buffers are copied.

    Args:
        network: the network that is trained; the average starts at its weights.
        decay: d, reached after the first steps (see :func:`ema_decay`).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take the weights after ``step`` earlier updates into the average."""
        share = 1.0 - ema_decay(step, decay=self.decay)
        for mean, value in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(value, share)
        for mean, value in zip(self.network.buffers(), network.buffers(), strict=True):
            mean.copy_(value)
