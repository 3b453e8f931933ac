"""Projected gradient ascent in an ℓ2 or ℓ∞ ball (Madry et al., arXiv 1706.06083)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from .projections import Ball, column, project, steepest
from .restarts import Start, with_restarts
from .result import AttackResult, Best
from .target import Target, loss_and_gradient


def pgd(
    target: Target,
    x: Tensor,
    *,
    norm: Ball,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    alpha: Tensor | None = None,
    restarts: int = 1,
    stop_on_success: bool = True,
) -> AttackResult:
    """Repeat x ← P(x + α·direction of steepest ascent), from random starts.

    Args:
        target: the system under attack.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        norm: ``l2`` or ``linf``.
        eps: (b,) radius of each sample's ball.
        steps: gradient steps per start.
        seeds: b integers ≥ 0.
        alpha: (b,) step lengths; 2.5·eps/steps where not given (the paper's choice). In an ℓ2 ball that leaves about
            1.5 % of the gain of a linear loss on the table, from a start across the gradient; longer steps do not.
        restarts: random starts.
        stop_on_success: stop working on a sample once its loss is > 0.

    Returns:
        The iterate of largest loss per sample, within its ball and the pixel box.
    """
    rate = 2.5 * eps / steps if alpha is None else alpha
    search = partial(ascend, target, norm=norm, alpha=rate.to(x), steps=steps, stop_on_success=stop_on_success)
    return with_restarts(search, x, norm=norm, eps=eps, restarts=restarts, seeds=seeds, stop_on_success=stop_on_success)


def ascend(
    target: Target, start: Start, *, norm: Ball, alpha: Tensor, steps: int, stop_on_success: bool
) -> AttackResult:
    """One run from a given point; ``alpha`` is for all samples of the batch, by their numbers."""
    adv, rows = start.point, torch.arange(len(start.x), device=start.x.device)
    best = Best(adv)
    for step in range(steps + 1):
        loss, gradient = loss_and_gradient(target, adv, start.samples)
        best.see(rows, adv, loss, gradient)
        won = loss > 0
        if stop_on_success and bool(won.any()):
            start, rows, adv, gradient = start.keep(~won), rows[~won], adv[~won], gradient[~won]
        if step == steps or len(rows) == 0:
            break
        ahead = torch.addcmul(adv, column(alpha[start.samples]), steepest(gradient, norm=norm))
        adv = project(start.x, ahead, norm=norm, eps=start.eps)
    return best.result()
