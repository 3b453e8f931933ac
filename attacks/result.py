"""What an attack hands back, and the bookkeeping that all attacks share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .projections import Norm, size


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
    """The best iterate seen per sample of a batch, and the counts; filled while an attack runs.

    The best is the one of largest loss. Given the clean images and a norm, it is the smallest winning one instead,
    and as long as there is none, the one of largest loss.
    """

    def __init__(self, start: Tensor, *, clean: Tensor | None = None, norm: Norm = "l2") -> None:
        none = torch.zeros(len(start), dtype=torch.int64, device=start.device)
        self._clean = clean
        self._norm: Norm = norm
        self._x, self._own = start, False  # whether the images are ours to write to
        self._loss = torch.full((len(start),), -torch.inf, dtype=start.dtype, device=start.device)
        self._size = torch.full((len(start),), torch.inf, dtype=torch.float64, device=start.device)
        self._first = torch.full_like(self._loss, torch.nan)
        self._forwards, self._gradients, self._zeros = none, none.clone(), none.clone()
        self._restart = none.clone()
        self._begun = torch.zeros_like(none, dtype=torch.bool)
        self._held = torch.zeros_like(self._begun)

    def see(
        self, rows: Tensor, x: Tensor, loss: Tensor, gradient: Tensor | None = None, *, allowed: Tensor | None = None
    ) -> Tensor:
        """Record one evaluation of images x of the given rows; returns (b,) bool, where they are the best so far.

        Args:
            rows: places in the batch, each at most once.
            x: their images.
            loss: their losses.
            gradient: their gradients, where these were asked for too.
            allowed: (b,) bool, images that may be handed back; all of them where not given. Others are only counted.
        """
        asked, zeros = (0, 0) if gradient is None else (1, zero_gradient(gradient))
        return self.note(rows, x, loss, forwards=1, gradients=asked, zeros=zeros, first=loss, allowed=allowed)

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
        allowed: Tensor | None = None,
    ) -> Tensor:
        """Record several evaluations at once: the best image of them, their counts, the loss of the first."""
        loss = torch.nan_to_num(loss, nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        sizes = self._sizes(rows, x)
        better = self._better(rows, loss, sizes)
        if allowed is not None:
            better &= allowed
        self._held[rows[better]] = True
        self._take(rows, better, x)
        self._loss[rows[better]] = loss[better]
        self._size[rows[better]] = sizes[better]
        self._restart[rows[better]] = (torch.zeros_like(rows) + restart)[better]
        new = ~self._begun[rows]
        self._first[rows[new]] = first[new]
        self._begun[rows] = True
        self._forwards[rows] += forwards
        self._gradients[rows] += gradients
        self._zeros[rows] += zeros
        return better

    def merge(
        self, rows: Tensor, run: AttackResult, *, restart: int | None = None, allowed: Tensor | None = None
    ) -> Tensor:
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
            allowed=allowed,
        )

    def won(self) -> Tensor:
        """(b,) bool: a loss > 0 was seen, of an image that may be handed back."""
        return self._loss > 0

    def loss(self) -> Tensor:
        """(b,) loss of the best image; −∞ where there is none yet."""
        return self._loss

    def x(self) -> Tensor:
        """(b, 3, H, W) the best images so far."""
        return self._x

    def size(self) -> Tensor:
        """(b,) float64: size of the best image's change; ∞ where there is none, or where size does not matter."""
        return self._size

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

    def _take(self, rows: Tensor, better: Tensor, x: Tensor) -> None:
        """Keep these images, without a copy where all are new: nobody writes to an image that was looked at."""
        if len(rows) == len(self._x) and bool(better.all()):
            self._x, self._own = x, False
        elif bool(better.any()):
            self._x = self._x if self._own else self._x.clone()
            self._own = True
            self._x[rows[better]] = x[better]

    def _sizes(self, rows: Tensor, x: Tensor) -> Tensor:
        return self._size[rows] if self._clean is None else size(x - self._clean[rows], norm=self._norm)

    def _better(self, rows: Tensor, loss: Tensor, sizes: Tensor) -> Tensor:
        # The first image that may be handed back is the best so far, even where its loss is −∞ or not a number.
        before = self._loss[rows]
        higher = (loss > before) | ~self._held[rows]
        if self._clean is None:
            return higher
        both = (loss > 0) & (before > 0)
        return torch.where(both, sizes < self._size[rows], higher & ~(before > 0))


def zero_gradient(gradient: Tensor) -> Tensor:
    """(b,) int64: 1 where a sample's gradient is exactly zero."""
    return (gradient.flatten(1).abs().amax(dim=1) == 0).long()  # much faster than any()
