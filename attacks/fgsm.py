"""FGSM with the smallest successful ε (Goodfellow et al. 2015, arXiv 1412.6572; the search: Ghildyal and Liu 2023).

One gradient, one direction, and ε raised step by step until the attack wins (TMLR 2023, arXiv 2305.08840, Algorithm 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from .projections import Ball, column, project, steepest
from .restarts import Start, with_restarts
from .result import AttackResult, Best
from .target import Target, loss_alone, loss_and_gradient


def fgsm(
    target: Target,
    x: Tensor,
    *,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    norm: Ball = "linf",
    restarts: int = 1,
    stop_on_success: bool = True,
) -> AttackResult:
    """Try x + (k/steps)·ε·sign(∇loss(x)), k = 1 … steps, up to the first that wins.

    Args:
        target: the system under attack.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        eps: (b,) largest radius tried.
        steps: how many radii are tried.
        seeds: b integers ≥ 0.
        norm: ``linf``; with ``l2`` the direction is the gradient itself.
        restarts: the first start takes the gradient at the clean image, others at random points of the ball.
        stop_on_success: leave out samples that an earlier start has won.

    Returns:
        The winning image of smallest radius per sample; where there is none, the one of largest loss.
    """
    return with_restarts(
        partial(_search, target, norm=norm, steps=steps),
        x,
        norm=norm,
        eps=eps,
        restarts=restarts,
        seeds=seeds,
        stop_on_success=stop_on_success,
        clean_first=True,
        minimal=True,
    )


def _search(target: Target, start: Start, *, norm: Ball, steps: int) -> AttackResult:
    rows = torch.arange(len(start.x), device=start.x.device)
    best = Best(start.point, clean=start.x, norm=norm)
    loss, gradient = loss_and_gradient(target, start.point, start.samples)
    # The point where the gradient was taken is no answer, and at first it is the clean image.
    best.see(rows, start.point, loss, gradient, allowed=torch.zeros_like(rows, dtype=torch.bool))
    direction = steepest(start.direction(gradient, rows, norm=norm, step=0), norm=norm)
    for step in range(1, steps + 1):
        radius = start.eps[rows] * (step / steps)
        ahead = start.x[rows] + column(radius).to(start.x) * direction[rows]
        image = project(start.x[rows], ahead, norm=norm, eps=radius)
        loss = loss_alone(target, image, start.samples[rows])
        best.see(rows, image, loss)
        rows = rows[~(loss > 0)]
        if len(rows) == 0:
            break
    return best.result()
