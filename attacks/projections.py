"""Geometry of the balls cut by the pixel box: projection, random points, steepest ascent.

All functions take images (b, 3, H, W) in [0, 1] and one radius per sample (b,). A returned image keeps its budget in
exact arithmetic, not only up to rounding: radii are shrunk by all that the arithmetic may lose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Ball = Literal["l2", "linf"]
"""Balls that a search can walk in."""
Norm = Literal["l2", "linf", "l0", "none"]
"""What bounds an attack: a ball; ``l0``, a number of changed pixels (a pixel is its three values); or nothing."""

_NEWTON_STEPS = 12
_SMALL = 1e-12
_CLOSE = 1e-4
"""How much of the radius a projection onto a sphere that meets the box may leave unused."""


def project(x: Tensor, adv: Tensor, *, norm: Norm, eps: Tensor) -> Tensor:
    """Euclidean projection of adv onto {‖adv − x‖ ≤ eps} ∩ [0, 1]ⁿ.

    For ℓ∞ the two clips commute. For ℓ2, clipping after scaling is feasible but not the projection (it loses norm
    wherever the box is active), so the multiplier is solved for, see :func:`_project_l2`. For ℓ0 the eps pixels that
    change most are kept.

    Args:
        x: clean images, in [0, 1].
        adv: points to project, of x's shape, dtype and device.
        norm: the ball; ``none`` for the pixel box alone.
        eps: (b,) radii, ≥ 0; for ℓ0 numbers of pixels.

    Returns:
        Images with ‖result − x‖ ≤ eps, also as measured in float64, and every value in [0, 1].
    """
    return _PROJECT[norm](x, adv, eps)


def steepest(gradient: Tensor, *, norm: Ball) -> Tensor:
    """The direction of unit norm along which a linear function with this gradient rises most; 0 where it is 0."""
    return _STEEPEST[norm](gradient)


def random_start(x: Tensor, *, norm: Ball, eps: Tensor, seeds: Sequence[int], restart: int) -> Tensor:
    """A random point of the ball and the box: on the sphere for ℓ2, uniform in the cube for ℓ∞.

    The noise of a sample depends on its own seed and the restart alone: not on its batch, nor on the device.
    """
    drawn = torch.stack([noise(x[i], norm, generator(seed, restart)) for i, seed in enumerate(seeds)])
    return project(x, x + column(eps).to(x) * drawn, norm=norm, eps=eps)


def noise(like: Tensor, norm: Ball, source: torch.Generator) -> Tensor:
    """A random change of one image (3, H, W): of ℓ2 norm 1, or uniform in [−1, 1] per value."""
    return _NOISE[norm](like.shape, source).to(like)


def generator(*seed: int) -> torch.Generator:
    """A source of randomness on the CPU, made of integers ≥ 0."""
    state = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def size(change: Tensor, *, norm: Norm) -> Tensor:
    """(b,) float64 norms of changes (b, 3, H, W); ℓ2 for ``none``."""
    if norm == "linf":
        return change.abs().flatten(1).amax(dim=1).double()
    if norm == "l0":
        return change.any(dim=1).flatten(1).sum(dim=1).double()
    return _norms(change)


def column(values: Tensor) -> Tensor:
    """(b,) → (b, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def _limit(eps: Tensor, x: Tensor) -> Tensor:
    """(b,) float64: a computed norm up to here is at most eps in exact arithmetic.

    The difference from x is rounded once per value, and a float64 sum of n squares may be off by a factor.
    """
    return eps.double() * (1.0 - 4.0 * torch.finfo(x.dtype).eps - x[0].numel() * 2.0**-52)


def _aim(limit: Tensor, x: Tensor, norm: Ball) -> Tensor:
    """(b,) float64: the limit less what rounding may add, half a unit of x's dtype per value of x + δ at most."""
    values = math.sqrt(x[0].numel()) if norm == "l2" else 1.0
    return (limit - torch.finfo(x.dtype).eps * values).clamp(min=0.0)


def _project_linf(x: Tensor, adv: Tensor, eps: Tensor) -> Tensor:
    bound = column(_aim(_limit(eps, x), x, "linf")).to(x)
    return torch.maximum(adv, x - bound).minimum(x + bound).clamp_(0.0, 1.0)


def _project_l2(x: Tensor, adv: Tensor, eps: Tensor) -> Tensor:
    """clip(x + s·v), v = adv − x, with the largest feasible s ≤ 1: the projection, by its optimality conditions.

    Newton on the set of unclipped values. A larger s clips more, so each step falls short of the radius rather than
    past it: every iterate is feasible, up to what fast norms round, and s only grows. An exact norm has the last word.
    """
    limit = _limit(eps, x)
    aim = _aim(limit, x, "l2")
    v = adv - x
    scale = _ratio(aim, _fast_norms(v)).clamp(max=1.0)
    image, norms = _scaled(x, scale, v)
    for _ in range(_NEWTON_STEPS):
        if bool(((scale >= 1.0) | (norms >= aim * (1.0 - _CLOSE))).all()):
            break
        free = _fast_norms(v.masked_fill((image <= 0.0) | (image >= 1.0), 0.0)) ** 2
        held = (norms**2 - scale**2 * free).clamp(min=0.0)
        larger = _ratio((aim**2 - held).clamp(min=0.0), free).sqrt()
        scale = torch.maximum(scale, larger).clamp(max=1.0)
        image, norms = _scaled(x, scale, v)
    change = image - x
    norms = _norms(change)
    over = norms > limit  # only where rounding has misled the last step
    return _scaled(x, torch.where(over, _ratio(aim, norms), 1.0), change)[0] if bool(over.any()) else image


def _project_l0(x: Tensor, adv: Tensor, eps: Tensor) -> Tensor:
    """Pixels ranked by how far they move inside the box; the sort is stable, so that ties go to the same ones."""
    image = adv.clamp(0.0, 1.0)
    moved = (image - x).square().sum(1).flatten(1)  # b h*w
    rank = moved.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    kept = (rank < eps.view(-1, 1).to(x.device)) & (moved > 0)
    return torch.where(kept.view(len(x), 1, *x.shape[2:]), image, x)


def _project_box(x: Tensor, adv: Tensor, eps: Tensor) -> Tensor:
    del x, eps
    return adv.clamp(0.0, 1.0)


def _scaled(x: Tensor, scale: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """clip(x + s·v) and how far that is from x, nearly."""
    image = torch.addcmul(x, column(scale).to(x), v).clamp_(0.0, 1.0)
    return image, _fast_norms(image - x)


def _ratio(top: Tensor, bottom: Tensor) -> Tensor:
    """top/bottom, 1 where the bottom is 0 (nothing to scale)."""
    return torch.where(bottom > 0, top / bottom.clamp(min=torch.finfo(bottom.dtype).tiny), 1.0)


def _norms(v: Tensor) -> Tensor:
    """(b,) ℓ2 norms, summed in float64."""
    return torch.linalg.vector_norm(v.flatten(1), dim=1, dtype=torch.float64)


def _fast_norms(v: Tensor) -> Tensor:
    """The same in v's own precision, some eight times as fast: for what is checked later, or needs no bound."""
    norms = torch.linalg.vector_norm(v.flatten(1), dim=1).double()
    # Squares of small numbers vanish in float32.
    return _norms(v) if bool((norms < _SMALL).any()) else norms


def _steepest_l2(gradient: Tensor) -> Tensor:
    norms = _fast_norms(gradient)
    return gradient * column(torch.where(norms > 0, 1.0 / norms, 0.0).to(gradient))


def _noise_l2(shape: torch.Size, source: torch.Generator) -> Tensor:
    drawn = torch.randn(shape, generator=source, dtype=torch.float64)
    return drawn / drawn.norm()


def _noise_linf(shape: torch.Size, source: torch.Generator) -> Tensor:
    return 2.0 * torch.rand(shape, generator=source, dtype=torch.float64) - 1.0


_PROJECT: dict[Norm, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "l2": _project_l2,
    "linf": _project_linf,
    "l0": _project_l0,
    "none": _project_box,
}
_STEEPEST: dict[Ball, Callable[[Tensor], Tensor]] = {"l2": _steepest_l2, "linf": torch.sign}
_NOISE: dict[Ball, Callable[[torch.Size, torch.Generator], Tensor]] = {"l2": _noise_l2, "linf": _noise_linf}
