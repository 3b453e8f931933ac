"""Momentum iterative FGSM in an ℓ2 or ℓ∞ ball (Dong et al. 2018, arXiv 1710.06081, Algorithm 1 and section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from .projections import Ball, column, project, steepest
from .restarts import Start, with_restarts
from .result import AttackResult, Best
from .target import Target, loss_and_gradient


def mi_fgsm(
    target: Target,
    x: Tensor,
    *,
    norm: Ball,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    alpha: Tensor | None = None,
    mu: float = 1.0,
    restarts: int = 1,
    stop_on_success: bool = True,
) -> AttackResult:
    """Repeat g ← μ·g + ∇/‖∇‖₁, x ← P(x + α·steepest(g)), from the clean image.

    Momentum carries the search through flat and noisy stretches, which makes its images transfer better than PGD's.

    Args:
        target: the system under attack.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        norm: ``l2`` or ``linf``.
        eps: (b,) radius of each sample's ball.
        steps: gradient steps per start (the paper's T).
        seeds: b integers ≥ 0.
        alpha: (b,) step lengths; ε/T where not given, as in the paper.
        mu: decay of the momentum; 0 is the basic iterative method.
        restarts: the first start is the clean image, others are random.
        stop_on_success: stop working on a sample once its loss is > 0.

    Returns:
        The iterate of largest loss per sample, within its ball and the pixel box.
    """
    rate = eps / steps if alpha is None else alpha
    return with_restarts(
        partial(_ascend, target, norm=norm, alpha=rate.to(x), mu=mu, steps=steps, stop_on_success=stop_on_success),
        x,
        norm=norm,
        eps=eps,
        restarts=restarts,
        seeds=seeds,
        stop_on_success=stop_on_success,
        clean_first=True,
    )


def _ascend(
    target: Target, start: Start, *, norm: Ball, alpha: Tensor, mu: float, steps: int, stop_on_success: bool
) -> AttackResult:
    adv, rows = start.point, torch.arange(len(start.x), device=start.x.device)
    best, momentum = Best(adv), torch.zeros_like(adv)
    for step in range(steps + 1):
        loss, gradient = loss_and_gradient(target, adv, start.samples[rows])
        # The clean image is no answer, unless it wins as it is.
        best.see(rows, adv, loss, gradient, allowed=(loss > 0) if step == 0 and start.number == 0 else None)
        on = ~(loss > 0) if stop_on_success else torch.ones_like(loss, dtype=torch.bool)
        rows = rows[on]
        if step == steps or len(rows) == 0:
            break
        gradient = start.direction(gradient[on], rows, norm=norm, step=step)
        momentum = mu * momentum[on] + _unit_l1(gradient)
        rate = alpha[start.samples[rows]]
        ahead = torch.addcmul(adv[on], column(rate), steepest(momentum, norm=norm))
        adv = project(start.x[rows], ahead, norm=norm, eps=start.eps[rows])
    return best.result()


def _unit_l1(gradient: Tensor) -> Tensor:
    total = gradient.abs().flatten(1).sum(dim=1)
    return gradient / column(torch.where(total > 0, total, 1.0))
