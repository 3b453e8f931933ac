"""What an attack hands back, and the bookkeeping that all attacks share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AttackResult:
    """The best image found per sample, and what it cost.

    Attributes:
        x_adv: (b, 3, H, W) the iterate of largest loss; for an attack that looks for the smallest winning change, the
            smallest one it won with, if any. Never the clean image just because nothing succeeded.
        loss: (b,) its loss.
        success: (b,) bool, loss > 0.
        forwards: (b,) int64, evaluations of the loss.
        gradients: (b,) int64, evaluations of its gradient.
        first_loss: (b,) loss of the first point that was evaluated.
        zero_gradients: (b,) float64, share of the gradients that were exactly zero; 0 where none was asked for.
        restart: (b,) int64, the start that gave the image.
    """

    x_adv: Tensor
    loss: Tensor
    success: Tensor
    forwards: Tensor
    gradients: Tensor
    first_loss: Tensor
    zero_gradients: Tensor
    restart: Tensor


class Best:
    """The best iterate seen per sample of a batch, and the counts; filled while an attack runs."""

    def __init__(self, start: Tensor) -> None:
        none = torch.zeros(len(start), dtype=torch.int64, device=start.device)
        self._x = start.clone()
        self._loss = torch.full((len(start),), -torch.inf, dtype=start.dtype, device=start.device)
        self._first = torch.full_like(self._loss, torch.nan)
        self._forwards, self._gradients, self._zeros = none, none.clone(), none.clone()
        self._restart = none.clone()
        self._begun = torch.zeros_like(none, dtype=torch.bool)

    def see(self, rows: Tensor, x: Tensor, loss: Tensor, gradient: Tensor | None = None) -> Tensor:
        """Record one evaluation of images x of the given rows; returns (b,) bool, where they are the best so far.

        Args:
            rows: places in the batch, each at most once.
            x: their images.
            loss: their losses.
            gradient: their gradients, where these were asked for too.
        """
        asked, zeros = (0, 0) if gradient is None else (1, zero_gradient(gradient))
        return self.note(rows, x, loss, forwards=1, gradients=asked, zeros=zeros, first=loss)

    def note(
        self,
        rows: Tensor,
        x: Tensor,
        loss: Tensor,
        *,
        forwards: Tensor | int,
        gradients: Tensor | int,
        zeros: Tensor | int,
        first: Tensor,
        restart: Tensor | int = 0,
    ) -> Tensor:
        """Record several evaluations at once: the best image of them, their counts, the loss of the first."""
        # The first image counts as the best even where its loss is not a number.
        better = (loss > self._loss[rows]) | ~self._begun[rows]
        self._x[rows[better]] = x[better]
        self._loss[rows[better]] = torch.nan_to_num(loss[better], nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        self._restart[rows[better]] = (self._restart[rows] * 0 + restart)[better]
        new = ~self._begun[rows]
        self._first[rows[new]] = first[new]
        self._begun[rows] = True
        self._forwards[rows] += forwards
        self._gradients[rows] += gradients
        self._zeros[rows] += zeros
        return better

    def merge(self, rows: Tensor, run: AttackResult, *, restart: int | None = None) -> Tensor:
        """Record a whole run on the given rows; ``restart`` is its number, its own word where not given."""
        return self.note(
            rows,
            run.x_adv,
            run.loss,
            forwards=run.forwards,
            gradients=run.gradients,
            zeros=(run.zero_gradients * run.gradients).round().long(),
            first=run.first_loss,
            restart=run.restart if restart is None else restart,
        )

    def won(self) -> Tensor:
        """(b,) bool: a loss > 0 was seen."""
        return self._loss > 0

    def result(self) -> AttackResult:
        """The record so far."""
        return AttackResult(
            x_adv=self._x,
            loss=self._loss,
            success=self.won(),
            forwards=self._forwards,
            gradients=self._gradients,
            first_loss=self._first,
            zero_gradients=self._zeros.double() / self._gradients.clamp(min=1),
            restart=self._restart,
        )


def zero_gradient(gradient: Tensor) -> Tensor:
    """(b,) int64: 1 where a sample's gradient is exactly zero."""
    return (~gradient.flatten(1).any(dim=1)).long()
