"""A share with its 95 % interval, and the quantiles of a sample: how an audit states what it counted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Share:
    """``count`` of ``of``.

    Attributes:
        value: the share, in [0, 1]; 0 where there is nothing to count.
        low, high: 95 % Wilson score interval. It takes each counted thing for independent of the others.
        count, of: what was counted.
    """

    value: float
    low: float
    high: float
    count: int
    of: int


def wilson(share: float, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share of n (E. B. Wilson, JASA 22, 1927)."""
    if n == 0:
        return 0.0, 1.0
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(max(0.0, share * (1 - share) / n + z * z / (4 * n * n)))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def share_of(flags: Iterable[Any]) -> Share:
    """The share of true ones."""
    found = np.fromiter((bool(flag) for flag in flags), dtype=np.bool_)
    count, of = int(found.sum()), found.size
    value = count / of if of else 0.0
    low, high = wilson(value, of)
    # At 0 and 1 the ends meet the share itself, but for rounding.
    return Share(value, min(low, value), max(high, value), count, of)


@dataclass(frozen=True)
class Quantiles:
    """Where the 5th, 25th, 50th, 75th and 95th hundredth of a sample lie, and its ends.

    Attributes:
        count: size of the sample.
    """

    count: int
    least: float
    p05: float
    p25: float
    p50: float
    p75: float
    p95: float
    most: float


def quantiles_of(sample: npt.ArrayLike) -> Quantiles | None:
    """Quantiles by linear interpolation; None for an empty sample."""
    numbers = np.asarray(sample, dtype=np.float64)
    if not numbers.size:
        return None
    return Quantiles(numbers.size, *(float(q) for q in np.quantile(numbers, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])))
