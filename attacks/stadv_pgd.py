"""stAdv, then PGD from its image in an ℓ∞ ball around the original one (Ghildyal and Liu 2023, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from .pgd import ascend
from .projections import project
from .restarts import Start, with_restarts
from .result import AttackResult, Best
from .stadv import Bend
from .target import Target


def stadv_pgd(
    target: Target,
    x: Tensor,
    *,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    k: int | None = None,
    alpha: Tensor | None = None,
    restarts: int = 1,
    stop_on_success: bool = True,
) -> AttackResult:
    """Bend the image, bring it into the ball, and go on by PGD.

    Args:
        target: the system under attack.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        eps: (b,) radius of the ℓ∞ ball around the clean image, not around stAdv's.
        steps: gradient steps per start, of both together.
        seeds: b integers ≥ 0.
        k: how many of them are PGD's; half of them where not given.
        alpha: (b,) PGD's step lengths; 2.5·eps/k where not given (the paper: ε/30).
        restarts: flows to start with.
        stop_on_success: stop working on a sample once its loss is > 0.

    Returns:
        The image of largest loss per sample, within its ball and the pixel box.
    """
    k = steps // 2 if k is None else min(k, steps)
    rate = 2.5 * eps / max(1, k) if alpha is None else alpha
    return with_restarts(
        partial(_search, target, steps=steps, k=k, alpha=rate.to(x), stop_on_success=stop_on_success),
        x,
        norm="linf",
        eps=eps,
        restarts=restarts,
        seeds=seeds,
        stop_on_success=stop_on_success,
    )


def _search(target: Target, start: Start, *, steps: int, k: int, alpha: Tensor, stop_on_success: bool) -> AttackResult:
    rows = torch.arange(len(start.x), device=start.x.device)
    bent = Bend(steps=steps - k, stop_on_success=stop_on_success).run(target, start)
    best = Best(start.x)
    best.merge(rows, bent, allowed=torch.zeros_like(bent.success))
    point = project(start.x, bent.x_adv, norm="linf", eps=start.eps)
    run = ascend(
        target, replace(start, point=point), norm="linf", alpha=alpha, steps=k, stop_on_success=stop_on_success
    )
    best.merge(rows, run)
    return best.result()
