"""Geometry of the ℓ2 and ℓ∞ balls cut by the pixel box: projection, random points, steepest ascent.

All functions take images (b, 3, H, W) in [0, 1] and one radius per sample (b,). A returned image keeps its budget in
exact arithmetic, not only up to rounding: radii are shrunk by what the arithmetic may lose, and the last addition is
rounded towards the clean image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Norm = Literal["l2", "linf"]

_NEWTON_STEPS = 12
_CLOSE = 1e-6


def project(x: Tensor, adv: Tensor, *, norm: Norm, eps: Tensor) -> Tensor:
    """Euclidean projection of adv onto {‖adv − x‖ ≤ eps} ∩ [0, 1]ⁿ.

    For ℓ∞ the two clips commute. For ℓ2, clipping after scaling is feasible but not the projection (it loses norm
    wherever the box is active), so the multiplier is solved for: δ = clip(s·v, −x, 1 − x), see :func:`_fit_l2`.

    Args:
        x: clean images, in [0, 1].
        adv: points to project, of x's shape, dtype and device.
        norm: ``l2`` or ``linf``.
        eps: (b,) radii, ≥ 0.

    Returns:
        Images with ‖result − x‖ ≤ eps, also as measured in float64, and every value in [0, 1].
    """
    delta = _DELTA[norm](x, adv - x, _inner(eps.to(x), x))
    return _add_towards(x, delta)


def steepest(gradient: Tensor, *, norm: Norm) -> Tensor:
    """The direction of unit norm along which a linear function with this gradient rises most; 0 where it is 0."""
    return _STEEPEST[norm](gradient)


def random_start(x: Tensor, *, norm: Norm, eps: Tensor, seeds: Sequence[int], restart: int) -> Tensor:
    """A random point of the ball and the box: on the sphere for ℓ2, uniform in the cube for ℓ∞.

    The noise of a sample depends on its own seed and the restart alone: not on its batch, nor on the device.
    """
    noise = torch.stack([_noise(x[i], norm, seed, restart) for i, seed in enumerate(seeds)])
    return project(x, x + column(eps.to(x)) * noise, norm=norm, eps=eps)


def column(values: Tensor) -> Tensor:
    """(b,) → (b, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def _inner(eps: Tensor, x: Tensor) -> Tensor:
    """The radius less what rounding in x's dtype, and summing n squares in float64, may add."""
    loss = 8 * torch.finfo(x.dtype).eps + 2 * x[0].numel() * 2.0**-52
    return eps * (1.0 - loss)


def _delta_linf(x: Tensor, delta: Tensor, eps: Tensor) -> Tensor:
    del x
    bound = column(eps)
    return torch.minimum(torch.maximum(delta, -bound), bound)


def _delta_l2(x: Tensor, delta: Tensor, eps: Tensor) -> Tensor:
    low, high = -x, 1.0 - x
    return _fit_l2(delta, low, high, eps)


def _fit_l2(v: Tensor, low: Tensor, high: Tensor, eps: Tensor) -> Tensor:
    """clip(s·v, low, high) with the largest s ≤ 1 whose norm is ≤ eps: the projection, by its optimality conditions.

    Newton on the set of unclipped values. A larger s clips more, so each step falls short of eps rather than past
    it: every iterate is feasible and s only grows.
    """
    eps = eps.double()
    scale = _ratio(eps, _norms(v)).clamp(max=1.0)
    for _ in range(_NEWTON_STEPS):
        scaled = column(scale.to(v)) * v
        clipped = torch.minimum(torch.maximum(scaled, low), high)
        norms = _norms(clipped)
        if bool(((scale >= 1.0) | (norms >= eps * (1.0 - _CLOSE))).all()):
            return clipped
        free = _norms(torch.where(clipped == scaled, v, 0.0)) ** 2
        held = norms**2 - scale**2 * free
        target = _ratio((eps**2 - held).clamp(min=0.0), free).sqrt()
        scale = torch.maximum(scale, target).clamp(max=1.0)
    scaled = column(scale.to(v)) * v
    clipped = torch.minimum(torch.maximum(scaled, low), high)
    return clipped * column(_ratio(eps, _norms(clipped)).clamp(max=1.0).to(v))


def _ratio(top: Tensor, bottom: Tensor) -> Tensor:
    """top/bottom, 1 where the bottom is 0 (nothing to scale)."""
    return torch.where(bottom > 0, top / bottom.clamp(min=torch.finfo(bottom.dtype).tiny), 1.0)


def _norms(v: Tensor) -> Tensor:
    """(b,) ℓ2 norms, summed in float64."""
    return torch.linalg.vector_norm(v.flatten(1), dim=1, dtype=torch.float64)


def _add_towards(x: Tensor, delta: Tensor) -> Tensor:
    """The sum in the box, each value rounded towards x, so that no rounding lengthens delta."""
    total = (x + delta).clamp(0.0, 1.0)
    return torch.where((total - x).abs() > delta.abs(), torch.nextafter(total, x), total)


def _steepest_l2(gradient: Tensor) -> Tensor:
    # Scale by the largest value first: squares of a tiny gradient would underflow.
    largest = gradient.flatten(1).abs().amax(dim=1)
    unit = gradient / column(torch.where(largest > 0, largest, 1.0))
    return unit / column(_norms(unit).clamp(min=1.0).to(unit))


def _noise(like: Tensor, norm: Norm, seed: int, restart: int) -> Tensor:
    state = np.random.SeedSequence([seed, restart]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(state) >> 1)
    return _NOISE[norm](like.shape, generator).to(like)


def _noise_l2(shape: torch.Size, generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    return noise / noise.norm()


def _noise_linf(shape: torch.Size, generator: torch.Generator) -> Tensor:
    return 2.0 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1.0


_DELTA: dict[Norm, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"l2": _delta_l2, "linf": _delta_linf}
_STEEPEST: dict[Norm, Callable[[Tensor], Tensor]] = {"l2": _steepest_l2, "linf": torch.sign}
_NOISE: dict[Norm, Callable[[torch.Size, torch.Generator], Tensor]] = {"l2": _noise_l2, "linf": _noise_linf}
