"""Gaussian blur, with a proved bound on how far every pixel moves between two widths (Lipschitz).

The kernel is a product of two equal rows of weights w_σ(k) = exp(−k²/2σ²)/Σ, |k| ≤ 16, over an image that is continued
by its edge pixels. As σ grows each weight rises while the variance E_σ = Σ k²·w_σ(k) is below k², and then falls,
because dw_σ(k)/dσ = w_σ(k)·(k² − E_σ)/σ³ and E_σ grows with σ. So all weights of a range of widths are known between
two numbers. The weights of two widths both sum to 1, so what moves a pixel is Σ (w_σ − w_τ)(k)·(v − c) for any c: with
c amid the values near the pixel, half of their range counts (docs/theory.md, Edits).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from .family import OUTWARD, Cell, Continuous, Enclosure, Levels, Pixels, to_8_bits

Weights = npt.NDArray[np.float64]
REACH, WIDEST = 16, 4.0
"""Pixels on either side, and the largest width: of that a ten thousandth lies beyond."""
_AT = np.arange(-REACH, REACH + 1)
_ROUNDED = 1e-12
"""Of sums of weights: far above what float64 loses."""


def weights_of(sigma: float) -> Weights:
    """(33,) of one row of the kernel; all at the middle for a width of nothing."""
    if sigma < 1e-3:  # the next weight is below exp(−500,000)
        return (_AT == 0).astype(np.float64)
    found = np.exp(-0.5 * (_AT / sigma) ** 2)
    return found / found.sum()


def blurred(levels: Levels, sigma: float) -> Levels:
    """One image, in float64."""
    return _along(_along(levels, weights_of(sigma), 0), weights_of(sigma), 1)


def _along(levels: Levels, weights: Weights, axis: int) -> Levels:
    wide = [(0, 0)] * levels.ndim
    wide[axis] = (REACH, REACH)
    padded, found = np.pad(levels, wide, mode="edge"), np.zeros_like(levels)
    for at in np.flatnonzero(weights):
        cut = [slice(None)] * levels.ndim
        cut[axis] = slice(int(at), int(at) + levels.shape[axis])
        found += weights[at] * padded[tuple(cut)]
    return found


def away(cell: tuple[float, float], middle: float) -> Weights:
    """(33,) for each place how far its weight may be from that of ``middle`` anywhere in a range of widths."""
    low, high = cell
    ends, own = (weights_of(low), weights_of(high)), weights_of(middle)
    spread = [float((_AT**2 * one).sum()) for one in ends]
    least, most = np.minimum(*ends), np.maximum(*ends)
    squares = _AT**2
    between = (squares > spread[0] * (1.0 - 1e-9)) & (squares < spread[1] * (1.0 + 1e-9))
    # There the weight has its peak within the range. It is no more than that of each of the places nearer to the
    # middle, of which there are 2|k| + 1 with it; and no more than an end and the steepest slope give.
    highest = 1.0 / (2.0 * np.abs(_AT) + 1.0)
    if low > 1e-3:
        highest = np.minimum(highest, most + (high - low) * highest * (spread[1] - spread[0]) / low**3)
    most = np.where(between, np.maximum(most, highest), most)
    return np.maximum(most - own, own - least) + _ROUNDED


def blur(pixels: Pixels, *, span: tuple[float, float]) -> Continuous:
    """Of a width (standard deviation) in pixels; the size stays, edges are continued."""
    levels = pixels.astype(np.float64)

    @cache
    def half_range(size: int) -> Levels:
        """Half of the range of the values within so many pixels, up, down and across."""
        return 0.5 * (_extreme(levels, size, np.maximum) - _extreme(levels, size, np.minimum))

    def enclose(cell: Cell) -> Enclosure:
        ((low, high),) = cell
        middle = 0.5 * (low + high)
        centre = blurred(levels, middle)
        size = min(REACH, max(1, int(np.ceil(3.0 * high))))
        near, moved = np.abs(_AT) <= size, away((low, high), middle)
        # Rows first, then columns: what one row of weights moves, spread by the other's, which sum to 1.
        inside, beyond = moved[near].sum(), moved[~near].sum()
        spread = (weights_of(middle)[~near] + moved[~near]).sum()
        tail = 2.0 * (beyond + inside * spread)
        half = 2.0 * inside * half_range(size) + 255.0 * tail + (0.5 + OUTWARD)
        least, most = np.maximum(centre - half, 0.0), np.minimum(centre + half, 255.0)
        return Enclosure(0.5 * (least + most), 0.5 * (most - least))

    identity = (min(max(0.0, span[0]), span[1]),)
    program = f"blur 1: Gaussian weights to {REACH} pixels in float64, edges continued, rounded to 8 bits"
    return Continuous(
        "blur",
        program,
        (span,),
        identity,
        enclose,
        lambda point: to_8_bits(blurred(levels, point[0])),
        ("width",),
        depth=9,
    )


def _extreme(levels: Levels, size: int, of: np.ufunc) -> Levels:
    """The largest or the least of each (2·size + 1)² pixels."""
    found = levels
    for axis in (0, 1):
        wide = [(0, 0)] * levels.ndim
        wide[axis] = (size, size)
        padded = np.pad(found, wide, mode="edge")
        length = levels.shape[axis]
        found = padded.take(range(length), axis=axis)
        for at in range(1, 2 * size + 1):
            found = of(found, padded.take(range(at, at + length), axis=axis))
    return found
