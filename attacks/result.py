"""What an attack hands back, and the bookkeeping that all attacks share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AttackResult:
    """The best image found per sample, and what it cost.

    Attributes:
        x_adv: (b, 3, H, W) the iterate of largest loss. Never the clean image just because nothing succeeded.
        loss: (b,) its loss.
        success: (b,) bool, loss > 0.
        forwards: (b,) int64, evaluations of the loss.
        gradients: (b,) int64, evaluations of its gradient.
    """

    x_adv: Tensor
    loss: Tensor
    success: Tensor
    forwards: Tensor
    gradients: Tensor


class Best:
    """The best iterate seen per sample of a batch, and the counts; filled while an attack runs."""

    def __init__(self, start: Tensor) -> None:
        self._x = start.clone()
        self._loss = torch.full((len(start),), -torch.inf, dtype=start.dtype, device=start.device)
        self._forwards = torch.zeros(len(start), dtype=torch.int64, device=start.device)
        self._gradients = torch.zeros_like(self._forwards)

    def see(self, rows: Tensor, x: Tensor, loss: Tensor, *, forwards: Tensor | int, gradients: Tensor | int) -> Tensor:
        """Record images x of the given rows with their losses; returns (b,) bool, where they are the best so far."""
        better = loss > self._loss[rows]
        self._x[rows[better]] = x[better]
        self._loss[rows[better]] = loss[better]
        self._forwards[rows] += forwards
        self._gradients[rows] += gradients
        return better

    def won(self) -> Tensor:
        """(b,) bool: a loss > 0 was seen."""
        return self._loss > 0

    def result(self) -> AttackResult:
        """The record so far."""
        return AttackResult(self._x, self._loss, self.won(), self._forwards, self._gradients)
