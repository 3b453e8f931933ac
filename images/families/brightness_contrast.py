"""Brightness, then contrast about a fixed level: two parameters, each of which moves every value one way."""

from __future__ import annotations

import numpy as np

from .family import OUTWARD, Cell, Continuous, Enclosure, Pixels, Point, to_8_bits

LEVEL = 128.0
_VALUES = np.arange(256, dtype=np.float64)


def brightness_contrast(pixels: Pixels, *, spans: Cell) -> Continuous:
    """Both steps are clipped and rounded to 8 bits.

    For every value of the one factor the result moves one way as the other grows (which way may change), so over a
    rectangle the extremes of each value are at its four corners. It is a table of 256 entries.

    Args:
        pixels: the query.
        spans: of the brightness factor and of the contrast factor.
    """

    def enclose(cell: Cell) -> Enclosure:
        low, high = _bounds(cell)
        least, most = low[pixels], high[pixels]
        return Enclosure((least + most) * 0.5, (most - least) * 0.5)

    def member(point: Point) -> Pixels:
        bright = to_8_bits(point[0] * _VALUES).astype(np.float64)
        return to_8_bits(LEVEL + point[1] * (bright - LEVEL))[pixels]

    identity = tuple(min(max(1.0, low), high) for low, high in spans)
    return Continuous(
        name="brightness-contrast",
        program="brightness-contrast 1: f·p, clipped, rounded to 8 bits; then 128 + g·(p − 128), clipped, rounded",
        span=spans,
        identity=identity,
        enclose=enclose,
        member=member,
        names=("brightness", "contrast"),
        depth=9,
    )


def _bounds(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """(256,) twice: the extremes over the corners, ends moved outward before each rounding."""
    (dark, bright), factors = cell
    ends = to_8_bits(dark * _VALUES - OUTWARD), to_8_bits(bright * _VALUES + OUTWARD)
    corners = np.stack([LEVEL + factor * (end.astype(np.float64) - LEVEL) for end in ends for factor in factors])
    low = to_8_bits(corners.min(axis=0) - OUTWARD).astype(np.float64)
    return low, to_8_bits(corners.max(axis=0) + OUTWARD).astype(np.float64)
