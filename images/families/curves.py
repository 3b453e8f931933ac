"""Gamma and exposure: one curve for every value, which moves one way at every entry as the parameter grows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .family import OUTWARD, Cell, Continuous, Enclosure, Pixels, Point, to_8_bits

Curve = Callable[[float], npt.NDArray[np.float64]]
"""A parameter → (256,) levels before clipping and rounding."""
_VALUES = np.arange(256) / 255.0


def gamma(pixels: Pixels, *, span: tuple[float, float]) -> Continuous:
    """255·(p/255)^g: falls as g grows, at every entry; 0 and 255 stay."""
    program = "gamma 1: 255·(p/255)^g, table of 256 float64 entries, rounded to 8 bits"
    return _curve("gamma", program, pixels, lambda g: 255.0 * _VALUES**g, span, identity=1.0, names="exponent")


def exposure(pixels: Pixels, *, span: tuple[float, float]) -> Continuous:
    """2^s times the linear light of sRGB: grows with s, at every entry."""
    program = "exposure 1: sRGB to linear light, times 2^s, clipped, back, table of 256 float64 entries, rounded"
    return _curve("exposure", program, pixels, _exposed, span, identity=0.0, names="stops")


def _exposed(stops: float) -> npt.NDArray[np.float64]:
    light = np.where(_VALUES <= 0.04045, _VALUES / 12.92, ((_VALUES + 0.055) / 1.055) ** 2.4)
    light = np.minimum(light * 2.0**stops, 1.0)
    back = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1.0 / 2.4) - 0.055)
    return 255.0 * back


def _curve(
    name: str, program: str, pixels: Pixels, curve: Curve, span: tuple[float, float], *, identity: float, names: str
) -> Continuous:
    def enclose(cell: Cell) -> Enclosure:
        low, high = table_bounds(curve, cell[0])
        least, most = low[pixels], high[pixels]
        return Enclosure((least + most) * 0.5, (most - least) * 0.5)

    def member(point: Point) -> Pixels:
        return to_8_bits(curve(point[0]))[pixels]

    inside = min(max(identity, span[0]), span[1])
    return Continuous(name, program, (span,), (inside,), enclose, member, (names,))


def table_bounds(curve: Curve, ends: tuple[float, float]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(256,) twice: the least and the largest level of each entry between two parameters, after rounding."""
    first, last = curve(ends[0]), curve(ends[1])
    low = to_8_bits(np.minimum(first, last) - OUTWARD).astype(np.float64)
    return low, to_8_bits(np.maximum(first, last) + OUTWARD).astype(np.float64)
