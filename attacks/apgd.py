"""Auto-PGD in an ℓ2 or ℓ∞ ball (Croce and Hein 2020, arXiv 2003.01690, Algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import partial

import torch
from torch import Tensor

from .projections import Ball, column, project, steepest
from .restarts import Start, with_restarts
from .result import AttackResult, Best, zero_gradient
from .target import Target, loss_and_gradient


def apgd(
    target: Target,
    x: Tensor,
    *,
    norm: Ball,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    restarts: int = 1,
    rho: float = 0.75,
    momentum: float = 0.75,
    stop_on_success: bool = True,
) -> AttackResult:
    """PGD with momentum whose step length, at first 2·eps, is halved where progress stalls.

    At the checkpoints a sample's step is halved, and the search goes back to its best point, if fewer than rho of the
    steps since the last checkpoint raised the loss, or if the step was kept there and the best loss did not rise
    since. Going back drops the momentum: the best point is not where the last step led.

    Args:
        target: the system under attack.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        norm: ``l2`` or ``linf``.
        eps: (b,) radius of each sample's ball.
        steps: gradient steps per start (the paper's N_iter).
        seeds: b integers ≥ 0.
        restarts: random starts.
        rho: share of steps that must raise the loss.
        momentum: weight α of the new step; 1 − α goes to the last one.
        stop_on_success: stop working on a sample once its loss is > 0.

    Returns:
        The iterate of largest loss per sample, within its ball and the pixel box.
    """
    search = partial(
        _ascend, target, norm=norm, steps=steps, rho=rho, momentum=momentum, stop_on_success=stop_on_success
    )
    return with_restarts(search, x, norm=norm, eps=eps, restarts=restarts, seeds=seeds, stop_on_success=stop_on_success)


def checkpoints(steps: int) -> list[int]:
    """The step numbers w_j = ⌈p_j·steps⌉, p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j − p_{j−1} − 0.03, 0.06).

    The p_j are kept in hundredths: 0.57·100 in floating point is a little more than 57.
    """
    hundredths = [0, 22]
    while hundredths[-1] <= 100:
        hundredths.append(hundredths[-1] + max(hundredths[-1] - hundredths[-2] - 3, 6))
    return sorted({math.ceil(Fraction(p * steps, 100)) for p in hundredths[:-1]})


@dataclass(frozen=True)
class _State:
    """The samples still worked on; every field has one entry per such sample."""

    rows: Tensor  # place in the batch that this run was given
    clean: Tensor
    eps: Tensor
    samples: Tensor
    x: Tensor  # current iterate
    previous: Tensor
    gradient: Tensor
    loss: Tensor
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor
    step: Tensor
    rises: Tensor  # since the last checkpoint
    checked_loss: Tensor  # best loss at the last checkpoint
    halved: Tensor  # there
    first_loss: Tensor
    zeros: Tensor  # gradients that were exactly zero

    def with_(self, **changes: Tensor) -> _State:
        return _State(**({field.name: getattr(self, field.name) for field in fields(self)} | changes))

    def keep(self, which: Tensor) -> _State:
        return _State(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


def _ascend(
    target: Target, start: Start, *, norm: Ball, steps: int, rho: float, momentum: float, stop_on_success: bool
) -> AttackResult:
    best, marks = Best(start.point), checkpoints(steps)
    state = _first(target, start)
    for step in range(1, steps + 1):
        if stop_on_success and bool((state.loss > 0).any()):
            _finish(best, state.keep(state.loss > 0), evaluations=step)
            state = state.keep(~(state.loss > 0))
        if len(state.rows) == 0:
            return best.result()
        state = _move(target, state, norm, momentum if step > 1 else 1.0)
        if step in marks:
            state = _check(state, rho * (step - marks[marks.index(step) - 1]))
    _finish(best, state, evaluations=steps + 1)
    return best.result()


def _finish(best: Best, state: _State, *, evaluations: int) -> None:
    best.note(
        state.rows,
        state.best,
        state.best_loss,
        forwards=evaluations,
        gradients=evaluations,
        zeros=state.zeros,
        first=state.first_loss,
    )


def _first(target: Target, start: Start) -> _State:
    x, point = start.x, start.point
    loss, gradient = loss_and_gradient(target, point, start.samples)
    none = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    return _State(
        rows=torch.arange(len(x), device=x.device),
        clean=x,
        eps=start.eps,
        samples=start.samples,
        x=point,
        previous=point,
        gradient=gradient,
        loss=loss,
        best=point,
        best_gradient=gradient,
        best_loss=loss,
        step=2.0 * start.eps.to(x),
        rises=none,
        checked_loss=loss,
        # Algorithm 1 compares with the step and the loss at w_0 = 0: nothing was halved there.
        halved=torch.zeros_like(none, dtype=torch.bool),
        first_loss=loss,
        zeros=zero_gradient(gradient),
    )


def _move(target: Target, state: _State, norm: Ball, momentum: float) -> _State:
    """One step with momentum, and the best point with its gradient brought up to date."""
    ahead = torch.addcmul(state.x, column(state.step), steepest(state.gradient, norm=norm))
    ahead = project(state.clean, ahead, norm=norm, eps=state.eps)
    if momentum < 1.0:
        # x + α(z − x) + (1 − α)(x − previous), gathered by term
        blend = (momentum * ahead).add_(state.x, alpha=2.0 - 2.0 * momentum)
        blend.add_(state.previous, alpha=momentum - 1.0)
        ahead = project(state.clean, blend, norm=norm, eps=state.eps)
    loss, gradient = loss_and_gradient(target, ahead, state.samples)
    better = loss > state.best_loss
    return state.with_(
        x=ahead,
        previous=state.x,
        gradient=gradient,
        loss=loss,
        best=_choose(better, ahead, state.best),
        best_gradient=_choose(better, gradient, state.best_gradient),
        best_loss=torch.where(better, loss, state.best_loss),
        rises=state.rises + (loss > state.loss),
        zeros=state.zeros + zero_gradient(gradient),
    )


def _check(state: _State, enough: float) -> _State:
    """Conditions 1 and 2 of the paper at a checkpoint."""
    stalled = ~state.halved & ~(state.best_loss > state.checked_loss)
    back = (state.rises < enough) | stalled
    return state.with_(
        x=_choose(back, state.best, state.x),
        previous=_choose(back, state.best, state.previous),
        gradient=_choose(back, state.best_gradient, state.gradient),
        loss=torch.where(back, state.best_loss, state.loss),
        step=torch.where(back, state.step / 2.0, state.step),
        rises=torch.zeros_like(state.rises),
        checked_loss=state.best_loss,
        halved=back,
    )


def _choose(which: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Images of a where ``which``, else of b; without a copy where all are of one kind. Images are never written to."""
    if bool(which.all()):
        return a
    return torch.where(column(which), a, b) if bool(which.any()) else b
