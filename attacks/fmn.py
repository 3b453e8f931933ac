"""Fast minimum-norm attack, ℓ2 (Pintor et al. 2021, arXiv 2102.12827, Algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .projections import column, project, size, steepest
from .restarts import Start, with_restarts
from .result import AttackResult, Best
from .target import Target, loss_and_gradient

_LAST_GAMMA = 0.001


def fmn(
    target: Target,
    x: Tensor,
    *,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    alpha: float = 1.0,
    gamma: float = 0.05,
    restarts: int = 1,
    stop_on_success: bool = True,
) -> AttackResult:
    """Walk along the boundary: steps of ascent inside a ball that shrinks after a win and grows after a loss.

    Until a sample is first won, its ball is a little larger than a linear loss would need, ‖δ‖ + |loss|/‖∇loss‖; just
    as large, as in the paper, ends a hair before the boundary. Step lengths fall from α to α/100 along a cosine, and
    are in units of the ball's radius: the paper's are in pixels, which would tie them to one image size. Nothing
    depends on the scale of the loss.

    Args:
        target: the system under attack.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        eps: (b,) largest change that is of interest.
        steps: gradient steps per start (the paper's K).
        seeds: b integers ≥ 0.
        alpha: first step length, in radii.
        gamma: first relative change of the radius; it falls to 0.001 along the same cosine.
        restarts: the first start is the clean image, others are random points of the ball.
        stop_on_success: leave out samples that an earlier start has won; a start always runs to its end.

    Returns:
        The smallest winning image per sample; where there is none within eps, the one of largest loss.
    """
    return with_restarts(
        partial(_search, target, steps=steps, alpha=alpha, gamma=gamma),
        x,
        norm="l2",
        eps=eps,
        restarts=restarts,
        seeds=seeds,
        stop_on_success=stop_on_success,
        clean_first=True,
        minimal=True,
    )


@dataclass
class _Radius:
    """The ball of each sample, (b,) float64."""

    value: Tensor
    most: Tensor
    ever_won: Tensor

    def update(self, loss: Tensor, slope: Tensor, length: Tensor, best: Tensor, gamma: float) -> Tensor:
        """The radius for the next step, after a point at this distance with this loss and slope was seen."""
        won = loss > 0
        self.ever_won = self.ever_won | won
        # A point beyond a flat stretch says nothing about where the boundary is: then the whole ball is searched.
        guess = torch.where(slope > 0, length + loss.abs().double() / slope, self.most)
        outside = torch.where(self.ever_won, self.value, guess) * (1.0 + gamma)
        inside = torch.minimum(self.value * (1.0 - gamma), best)
        self.value = torch.minimum(torch.where(won, inside, outside), self.most)
        return self.value


def _search(target: Target, start: Start, *, steps: int, alpha: float, gamma: float) -> AttackResult:
    x, rows = start.x, torch.arange(len(start.x), device=start.x.device)
    best = Best(start.point, clean=x)
    most = start.eps.double()
    radius = _Radius(most, most, torch.zeros_like(rows, dtype=torch.bool))
    adv = start.point
    for step in range(steps + 1):
        loss, gradient = loss_and_gradient(target, adv, start.samples)
        clean = step == 0 and start.number == 0
        best.see(rows, adv, loss, gradient, allowed=(loss > 0) if clean else None)
        if step == steps:
            break
        fade = (1.0 + math.cos(math.pi * step / steps)) / 2.0
        length, slope = size(adv - x, norm="l2"), size(gradient, norm="l2")
        value = radius.update(loss, slope, length, best.size(), _LAST_GAMMA + (gamma - _LAST_GAMMA) * fade)
        stride = value * alpha * (0.01 + 0.99 * fade)
        direction = steepest(start.direction(gradient, rows, norm="l2", step=step), norm="l2")
        ahead = torch.addcmul(adv, column(stride).to(x), direction)
        adv = project(x, ahead, norm="l2", eps=value)
    return best.result()
