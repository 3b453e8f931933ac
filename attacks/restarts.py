"""Starts of a search: the gradient at the clean image may vanish, and losses have local maxima."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.errors import UsageError
from .projections import Ball, Norm, generator, noise, random_start
from .result import AttackResult, Best, zero_gradient


@dataclass(frozen=True)
class Start:
    """What one search begins with; b samples.

    Attributes:
        x: (b, 3, H, W) clean images.
        point: (b, 3, H, W) where to begin.
        eps: (b,) radii.
        samples: (b,) the samples' numbers, as the target wants them.
        seeds: b integers.
        number: which start this is, from 0.
    """

    x: Tensor
    point: Tensor
    eps: Tensor
    samples: Tensor
    seeds: tuple[int, ...]
    number: int

    def keep(self, which: Tensor) -> Start:
        """Some of the samples: (b,) bool."""
        seeds = tuple(seed for seed, kept in zip(self.seeds, which.tolist(), strict=True) if kept)
        return Start(self.x[which], self.point[which], self.eps[which], self.samples[which], seeds, self.number)

    def generators(self) -> list[torch.Generator]:
        """One source of randomness a sample, on the CPU, so that it gives the same numbers for every device."""
        return [generator(seed, self.number, 1) for seed in self.seeds]

    def direction(self, gradient: Tensor, rows: Tensor, *, norm: Ball, step: int) -> Tensor:
        """The gradients of some rows; where one is exactly zero, a random direction of unit norm instead.

        At the clean image the gradient of ‖f(x) − f(clean)‖ is zero, and a search that begins there would never leave.
        """
        blind = zero_gradient(gradient).bool()
        if not bool(blind.any()):
            return gradient
        gradient = gradient.clone()
        for place in torch.nonzero(blind).flatten().tolist():
            seed = self.seeds[int(rows[place])]
            gradient[place] = noise(gradient[place], norm, generator(seed, self.number, 2, step))
        return gradient


Search = Callable[[Start], AttackResult]


def with_restarts(
    search: Search,
    x: Tensor,
    *,
    norm: Norm,
    eps: Tensor,
    restarts: int,
    seeds: Sequence[int],
    stop_on_success: bool,
    clean_first: bool = False,
    minimal: bool = False,
) -> AttackResult:
    """Run a search from several starts and keep each sample's best image.

    Args:
        search: one run.
        x: (b, 3, H, W) clean images in [0, 1].
        norm: the ball; in ``l2`` and ``linf``, starts are random points of it, else the clean images.
        eps: (b,) radii.
        restarts: number of starts, ≥ 1.
        seeds: b integers ≥ 0, one per sample.
        stop_on_success: leave out samples that an earlier start has won.
        clean_first: the first start is the clean image.
        minimal: the best image is the smallest winning one.

    Raises:
        UsageError: where numbers per sample do not match the batch, or there is no start.
    """
    if restarts < 1 or eps.shape != (len(x),) or len(seeds) != len(x):
        raise UsageError(
            f"{len(x)} images need as many eps ({tuple(eps.shape)}) and seeds ({len(seeds)}), restarts ≥ 1"
        )
    best = Best(x, clean=x if minimal else None, norm=norm)
    rows = torch.arange(len(x), device=x.device)
    for number in range(restarts):
        chosen = tuple(seeds[i] for i in rows.tolist())
        point = x[rows]
        if norm in ("l2", "linf") and not (clean_first and number == 0):
            point = random_start(point, norm=norm, eps=eps[rows], seeds=chosen, restart=number)
        run = search(Start(x[rows], point, eps[rows], rows, chosen, number))
        best.merge(rows, run, restart=number)
        if stop_on_success:
            rows = torch.nonzero(~best.won()).flatten()
        if len(rows) == 0:
            break
    return best.result()
