"""Carlini and Wagner's ℓ2 attack (2017, arXiv 1608.04644, section VI-A)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .projections import column, project, size, steepest
from .restarts import Start, with_restarts
from .result import AttackResult, Best, zero_gradient
from .target import Target, loss_alone, loss_and_gradient

_FIRST_CONSTANT, _ONLY_CONSTANT = 3.0, 6.0
"""Where the loss is linear, 2 is the least constant that wins."""
_FADE = 0.7
"""Each search begins nearer to its goal than the last one, and takes so much shorter steps."""
_REACH = 2.0
"""How far one search can move the value that a linear loss asks most of, in units of what it asks."""
_BETAS = (0.9, 0.99)
"""Of Adam; its usual 0.999 remembers far longer than a search lasts."""
_HALVINGS = 8
_SHORTEST = 40
"""Steps of one search for c, at least."""
_NEAR = 0.1
"""Share of the ball's radius between a point whose gradient is zero and the one that is begun with instead."""
_TINY = 1e-30


def carlini_wagner(
    target: Target,
    x: Tensor,
    *,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    binary_search_steps: int = 9,
    kappa: float = 0.0,
    learning_rate: float | None = None,
    restarts: int = 1,
    stop_on_success: bool = True,
) -> AttackResult:
    """Minimise ‖δ‖² + c·max(κ − loss, 0) by Adam, and find the smallest c that wins by bisection.

    Each search for c begins where the last one ended, and at the end the change is scaled down as far as it wins.
    Lengths are in units of d, how far away a linear loss would have its boundary, and the loss in units of its value at
    the clean image: with the paper's fixed c and step, small losses (a difference of cosines, say) never outweigh
    ‖δ‖², and the attack does nothing. The pixel box, and the ball of radius eps, are kept by projection (the paper's
    "projected gradient descent"), not by x = tanh(w): 8-bit images are full of 0 and 1, and a tanh never leaves those.

    Args:
        target: the system under attack.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        eps: (b,) largest change that is of interest.
        steps: gradient steps per start, all searches for c together.
        seeds: b integers ≥ 0.
        binary_search_steps: values of c tried at most; fewer where steps are few, so that each gets 40 of them.
        kappa: confidence, in units of the clean loss.
        learning_rate: Adam's first step; a multiple of what a linear loss asks for where not given. It falls to 0.
        restarts: the first start is the clean image, others are random points of the ball.
        stop_on_success: leave out samples that an earlier start has won; a start always runs to its end.

    Returns:
        The smallest winning image per sample; where there is none within eps, the one of largest loss.
    """
    searches = max(1, min(binary_search_steps, steps // _SHORTEST))
    return with_restarts(
        partial(_search, target, steps=steps, searches=searches, kappa=kappa, learning_rate=learning_rate),
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
class _Constant:
    """Bisection for c, (b,) each."""

    value: Tensor
    low: Tensor
    high: Tensor

    def update(self, won: Tensor) -> None:
        """Lower c where it has won, raise it where not."""
        self.high = torch.where(won, torch.minimum(self.value, self.high), self.high)
        self.low = torch.where(won, self.low, torch.maximum(self.value, self.low))
        unbounded = self.high.isinf()
        self.value = torch.where(unbounded, 10.0 * self.value, (self.low + self.high) / 2.0)


def _search(
    target: Target, start: Start, *, steps: int, searches: int, kappa: float, learning_rate: float | None
) -> AttackResult:
    every = torch.arange(len(start.x), device=start.x.device)
    best = Best(start.point, clean=start.x)
    point, loss, gradient = _begin(target, start, every, best)
    rows = every[~(best.size() == 0)]  # an image that wins as it is needs no change
    if len(rows) == 0:
        return best.result()
    gradient = start.direction(gradient[rows], rows, norm="l2", step=0)
    problem = _scale(start, rows, loss[rows], gradient, kappa)
    most = steepest(gradient, norm="l2").abs().flatten(1).amax(dim=1)
    lengths = [steps // searches + (number < steps % searches) for number in range(searches)]
    constant = _Constant(
        torch.full_like(problem.unit, _FIRST_CONSTANT if searches > 1 else _ONLY_CONSTANT),
        torch.zeros_like(problem.unit),
        torch.full_like(problem.unit, torch.inf),
    )
    last = point[rows]
    for number, length in enumerate(lengths):
        rate = 2.0 * _REACH * _FADE**number * problem.unit * most / length
        if learning_rate is not None:
            rate = torch.full_like(rate, learning_rate)
        last, won = _descend(target, start, problem, best, last, constant.value, rate, length)
        constant.update(won)
    _shorten(target, start, rows, best)
    return best.result()


def _begin(target: Target, start: Start, every: Tensor, best: Best) -> tuple[Tensor, Tensor, Tensor]:
    """Where to begin, the loss and the gradient there: near the given point where its own gradient is zero."""
    point = start.point
    loss, gradient = loss_and_gradient(target, point, start.samples)
    clean = torch.full_like(loss, start.number == 0, dtype=torch.bool)
    best.see(every, point, loss, gradient, allowed=(loss > 0) | ~clean)
    blind = every[zero_gradient(gradient).bool() & ~(loss > 0)]
    if len(blind):
        near = start.direction(gradient, every, norm="l2", step=0)[blind]
        x, eps = start.x[blind], start.eps[blind]
        moved = project(x, torch.addcmul(point[blind], column(_NEAR * eps).to(x), near), norm="l2", eps=eps)
        point, loss, gradient = point.clone(), loss.clone(), gradient.clone()
        point[blind] = moved
        loss[blind], gradient[blind] = loss_and_gradient(target, moved, start.samples[blind])
        best.see(blind, moved, loss[blind], gradient[blind])
    return point, loss, gradient


@dataclass(frozen=True)
class _Problem:
    """Rows worked on; for each the unit of length d, what a linear loss gains over it, and the loss that is enough."""

    rows: Tensor
    unit: Tensor
    gain: Tensor
    enough: Tensor


def _scale(start: Start, rows: Tensor, loss: Tensor, gradient: Tensor, kappa: float) -> _Problem:
    slope, eps = size(gradient, norm="l2").clamp(min=_TINY), start.eps[rows].double()
    unit = torch.minimum(loss.abs().double() / slope, eps).clamp(min=1e-6 * eps).clamp(min=_TINY)
    return _Problem(rows, unit.to(loss), (slope * unit).to(loss), kappa * loss.abs())


def _descend(
    target: Target, start: Start, problem: _Problem, best: Best, adv: Tensor, c: Tensor, rate: Tensor, length: int
) -> tuple[Tensor, Tensor]:
    """One run of Adam from the given images; where it ended, and whether it ever won."""
    rows, x = problem.rows, start.x[problem.rows]
    first, second = torch.zeros_like(adv), torch.zeros_like(adv)
    ever = torch.zeros_like(rows, dtype=torch.bool)
    for step in range(1, length + 1):
        loss, gradient = loss_and_gradient(target, adv, start.samples[rows])
        best.see(rows, adv, loss, gradient)
        ever |= loss > 0
        # ∇ of ‖δ‖²/d² + c·max(κ − loss, 0)/gain, times d
        push = torch.where(loss < problem.enough, c * problem.unit / problem.gain, 0.0)
        descent = (2.0 * (adv - x)).div_(column(problem.unit)).sub_(column(push) * gradient)
        first.lerp_(descent, 1.0 - _BETAS[0])
        second.lerp_(descent.square_(), 1.0 - _BETAS[1])
        scale = (second / (1.0 - _BETAS[1] ** step)).sqrt_().add_(1e-12)
        now = rate * (1.0 - (step - 1) / length) / (1.0 - _BETAS[0] ** step)
        ahead = torch.addcdiv(adv, column(-now) * first, scale)
        adv = project(x, ahead, norm="l2", eps=start.eps[rows])
    return adv, ever


def _shorten(target: Target, start: Start, rows: Tensor, best: Best) -> None:
    """Scale the changes that won down to where they only just win, by bisection."""
    rows = rows[best.won()[rows]]
    if len(rows) == 0:
        return
    x, change = start.x[rows], best.x()[rows] - start.x[rows]
    low, high = torch.zeros(len(rows), dtype=x.dtype, device=x.device), torch.ones_like(rows, dtype=x.dtype)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        image = x + column(middle) * change
        loss = loss_alone(target, image, start.samples[rows])
        best.see(rows, image, loss)
        low, high = torch.where(loss > 0, low, middle), torch.where(loss > 0, middle, high)
