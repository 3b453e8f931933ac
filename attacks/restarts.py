"""Random restarts around an ascent: the gradient at the clean image may vanish, and losses have local maxima."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..core.errors import UsageError
from .projections import Ball, random_start
from .result import AttackResult, Best

Ascent = Callable[[Tensor, Tensor, Tensor, Tensor], AttackResult]
"""One run: (clean images, start images, eps, sample numbers) → result."""


def with_restarts(
    ascend: Ascent,
    x: Tensor,
    *,
    norm: Ball,
    eps: Tensor,
    restarts: int,
    seeds: Sequence[int],
    stop_on_success: bool,
) -> AttackResult:
    """Run an ascent from several random starts and keep each sample's best image.

    Args:
        ascend: one run from a given start.
        x: (b, 3, H, W) clean images in [0, 1].
        norm: the ball.
        eps: (b,) radii.
        restarts: number of starts, ≥ 1.
        seeds: b integers ≥ 0, one per sample.
        stop_on_success: leave out samples that an earlier start has won.

    Raises:
        UsageError: where numbers per sample do not match the batch, or there is no start.
    """
    if restarts < 1 or eps.shape != (len(x),) or len(seeds) != len(x):
        raise UsageError(
            f"{len(x)} images need as many eps ({tuple(eps.shape)}) and seeds ({len(seeds)}), restarts ≥ 1"
        )
    best = Best(x)
    rows = torch.arange(len(x), device=x.device)
    for restart in range(restarts):
        start = random_start(
            x[rows], norm=norm, eps=eps[rows], seeds=[seeds[i] for i in rows.tolist()], restart=restart
        )
        run = ascend(x[rows], start, eps[rows], rows)
        best.merge(rows, run, restart=restart)
        if stop_on_success:
            rows = torch.nonzero(~best.won()).flatten()
        if len(rows) == 0:
            break
    return best.result()
