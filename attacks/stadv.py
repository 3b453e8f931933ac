"""stAdv: pixels are moved, not repainted (Xiao et al. 2018, arXiv 1801.02612; for metrics: Ghildyal and Liu 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .lbfgs import minimise
from .projections import column
from .restarts import Start, with_restarts
from .result import AttackResult, Best, zero_gradient
from .target import Target, loss_and_gradient

_PAPER_PIXELS = 64 * 64
_FIRST_MOVE = 0.001
"""Pixels that the first step moves what it moves most."""
_JITTER = 0.01
"""Pixels: standard deviation of a random flow to start with."""
_ROOT = 1e-8
_TINY = 1e-30


def stadv(
    target: Target,
    x: Tensor,
    *,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    alpha: float = 50.0,
    beta: float = 0.05,
    released: bool = False,
    relative: bool = True,
    restarts: int = 1,
    stop_on_success: bool = True,
) -> AttackResult:
    """Minimise α·L_adv + β·L_flow over a flow field by L-BFGS (TMLR 2023, arXiv 2305.08840, eq. 3 to 6).

    Pixel p of the attacked image is the clean image at p + u(p), bilinear. L_adv is minus the loss. L_flow is a sum
    over pixels, and β was chosen at 64×64: for other sizes the sum is scaled to so many pixels, or a large image could
    not be bent at all.

    Args:
        target: the system under attack.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        eps: (b,) not used: nothing bounds this attack but L_flow.
        steps: gradient steps per start, those of the line search among them.
        seeds: b integers ≥ 0.
        alpha: weight of the loss.
        beta: weight of the flow's variation.
        released: L_flow as in the authors' released code: squared, over the four diagonal neighbours, with zero flow
            beyond the edge. Else as in eq. 5: the root, over the neighbours above, below, left and right.
        relative: L_adv is in units of the clean loss, so that α means the same for losses of any scale; as for eq. 6 it
            is about 1 at first. Else it is taken as it is.
        restarts: the first start is no flow, others are small random ones.
        stop_on_success: stop working on a sample once its loss is > 0.

    Returns:
        The image of largest loss per sample.
    """
    bend = Bend(steps, alpha, beta, released, relative, stop_on_success)
    return with_restarts(
        partial(bend.run, target),
        x,
        norm="none",
        eps=eps,
        restarts=restarts,
        seeds=seeds,
        stop_on_success=stop_on_success,
    )


@dataclass(frozen=True)
class Bend:
    """One start of stAdv; the fields are :func:`stadv`'s."""

    steps: int
    alpha: float = 50.0
    beta: float = 0.05
    released: bool = False
    relative: bool = True
    stop_on_success: bool = True

    def run(self, target: Target, start: Start) -> AttackResult:
        """Search from no flow (the first start) or from a small random one."""
        x = start.x
        every = torch.arange(len(x), device=x.device)
        best = Best(x)
        loss, gradient = loss_and_gradient(target, x, start.samples)
        # The clean image is no answer, unless it wins as it is.
        best.see(every, x, loss, gradient, allowed=loss > 0)
        rows = every[~best.won()] if self.stop_on_success else every
        if len(rows) == 0 or self.steps == 0:
            return best.result()
        # Where the gradient is zero at the clean image it is zero at no flow, and the search would never leave.
        jittered = zero_gradient(gradient) | int(start.number > 0)
        flow = _jitter(start) * column(jittered.to(x))
        unit = loss.abs().clamp(min=_TINY) if self.relative else torch.ones_like(loss)
        evaluate = _Objective(self, target, start, best, rows, unit[rows])
        first = torch.full((len(rows),), _FIRST_MOVE, dtype=x.dtype, device=x.device)
        minimise(evaluate, flow[rows].flatten(1), steps=self.steps, first=first)
        return best.result()


def _jitter(start: Start) -> Tensor:
    shape = (2, *start.x.shape[-2:])
    drawn = [_JITTER * torch.randn(shape, generator=source, dtype=torch.float64) for source in start.generators()]
    return torch.stack(drawn).to(start.x)


@dataclass(frozen=True)
class _Objective:
    """α·L_adv + β·L_flow of some rows and its gradient, for flows as flat vectors; whatever is seen is recorded."""

    bend: Bend
    target: Target
    start: Start
    best: Best
    rows: Tensor
    unit: Tensor

    def __call__(self, places: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See :data:`.lbfgs.Evaluate`."""
        chosen = self.rows[places]
        x, samples = self.start.x[chosen], self.start.samples[chosen]
        flow = points.view(-1, 2, *x.shape[-2:]).detach().requires_grad_(True)
        with torch.enable_grad():
            image, bending = warp(x, flow), (_diagonal if self.bend.released else _axial)(flow)
        seen = image.detach().clamp(0.0, 1.0)
        loss, gradient = loss_and_gradient(self.target, seen, samples)
        self.best.see(chosen, seen, loss, gradient)
        pull = -self.bend.alpha / self.unit[places]
        beta = self.bend.beta * _PAPER_PIXELS / (x.shape[-2] * x.shape[-1])
        pulls = [column(pull) * gradient, torch.full_like(bending, beta)]
        (total,) = torch.autograd.grad([image, bending], flow, pulls)
        value = pull * loss.nan_to_num(nan=-torch.inf) + beta * bending.detach()
        done = loss > 0 if self.bend.stop_on_success else torch.zeros_like(loss, dtype=torch.bool)
        return value, total.flatten(1), done


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """Images whose pixel (i, j) is x at (i + flow₀, j + flow₁): bilinear, clamped at the edges, exact where flow is 0.

    Args:
        x: (b, 3, H, W).
        flow: (b, 2, H, W) in pixels, down and along.
    """
    high, wide = x.shape[-2:]
    down, y0, y1 = _between(torch.arange(high, device=x.device).to(x)[:, None] + flow[:, 0], high)
    along, x0, x1 = _between(torch.arange(wide, device=x.device).to(x) + flow[:, 1], wide)
    plane = x.flatten(2)

    def at(row: Tensor, line: Tensor) -> Tensor:
        place = (row * wide + line).flatten(1)[:, None, :].expand(-1, x.shape[1], -1)
        return plane.gather(2, place).view_as(x)

    top = at(y0, x0) * (1.0 - along) + at(y0, x1) * along
    bottom = at(y1, x0) * (1.0 - along) + at(y1, x1) * along
    return top * (1.0 - down) + bottom * down


def _between(place: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The share (b, 1, H, W) of the second of two neighbours in the value between them, and which two."""
    place = place.clamp(0.0, count - 1.0)
    low = place.detach().floor().clamp(max=max(0, count - 2))
    share = (place - low)[:, None]
    return share, low.long(), (low.long() + 1).clamp(max=count - 1)


def _axial(flow: Tensor) -> Tensor:
    """(b,) eq. 5: ‖u(p) − u(q)‖ over pixels p and their neighbours q, so that every pair counts twice."""
    down = (flow[:, :, 1:] - flow[:, :, :-1]).square().sum(dim=1)
    along = (flow[..., 1:] - flow[..., :-1]).square().sum(dim=1)
    # The root has no derivative at 0.
    return 2.0 * ((down + _ROOT).sqrt().sum(dim=(1, 2)) + (along + _ROOT).sqrt().sum(dim=(1, 2)))


def _diagonal(flow: Tensor) -> Tensor:
    """(b,) as in the released code."""
    padded = torch.nn.functional.pad(flow, (1, 1, 1, 1))
    corners = [padded[:, :, i : i + flow.shape[2], j : j + flow.shape[3]] for i in (0, 2) for j in (0, 2)]
    return torch.stack([(flow - corner).square().sum(dim=(1, 2, 3)) for corner in corners]).sum(dim=0)
