"""Rounding to float32 that keeps a constant at most 1."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from ...core.errors import ModelError


def shrunk(numbers: Tensor, bound: Callable[[Tensor], float]) -> Tensor:
    """Float64 numbers as float32, scaled down by as little as makes their proved constant at most 1.

    Rounding to float32 can push an orthogonal matrix above 1 by some 1e-7.

    Args:
        numbers: float64, of a map that is homogeneous in them.
        bound: the proved constant of float32 numbers.

    Raises:
        ModelError: where the numbers are not those of a 1-Lipschitz map.
    """
    exact, factor, value = numbers.detach().double().cpu(), 1.0, math.inf
    for attempt in range(4):
        rounded = (exact * factor).float().contiguous()  # as it will come back from a file
        value = bound(rounded)
        if value <= 1.0:
            return rounded
        factor *= (1.0 - 2.0 ** (2 * attempt - 25)) / value
    raise ModelError(f"a folded layer's proved constant stays at {value}, above 1")
