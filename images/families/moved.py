"""Rotation and shifts by parts of a pixel: bilinear, with a proved bound on how far every pixel moves (Lipschitz).

The image is continued by a constant and read between pixels by bilinear interpolation: v(x) is continuous, and on each
unit square its two slopes are mixtures of the differences of neighbouring pixels at opposite sides of the square. On a
straight way from x to x + (s, t) with |s| ≤ S and |t| ≤ T, v changes by at most S·max|horizontal difference| +
T·max|vertical difference|, the largest over the squares that the way meets (docs/theory.md, Edits).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .family import OUTWARD, Cell, Continuous, Enclosure, Levels, Pixels, Point, to_8_bits

Grid = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Place = Callable[[Point], tuple[Grid, Grid]]
"""Parameters → where each output pixel is read, (H, W) rows and columns."""
_PAD = 3
_WHOLE = 1.0
"""A way longer than this could leave the squares that are looked at: then nothing is said but 0…255."""


class Sampled:
    """An image that can be read between its pixels.

    Args:
        pixels: (H, W, 3) uint8.
        fill: level outside.
    """

    def __init__(self, pixels: Pixels, fill: float = 0.0) -> None:
        self.shape = pixels.shape[:2]
        levels = np.pad(pixels.astype(np.float64), ((_PAD, _PAD), (_PAD, _PAD), (0, 0)), constant_values=fill)
        down, across = np.abs(np.diff(levels, axis=0)), np.abs(np.diff(levels, axis=1))
        # Slopes of the square whose upper left corner is (i, j), then the largest of the 3×3 squares about it.
        self.down, self.across = (
            np.pad(_around(np.maximum(one, other)), ((0, 1), (0, 1), (0, 0))).reshape(-1, 3)
            for one, other in ((down[:, :-1], down[:, 1:]), (across[:-1], across[1:]))
        )
        self.width, self.levels = levels.shape[1], levels.reshape(-1, 3)

    def read(self, rows: Grid, columns: Grid) -> Levels:
        """Bilinear values, (H, W, 3)."""
        corner, y, x = self._square(rows, columns)
        y, x = y[..., None], x[..., None]
        upper = self._between(corner, x)
        lower = self._between(corner + self.width, x)
        return upper * (1.0 - y) + lower * y

    def _between(self, corner: Places, x: Grid) -> Levels:
        """On the side that goes right from a corner."""
        return self.levels.take(corner, axis=0) * (1.0 - x) + self.levels.take(corner + 1, axis=0) * x

    def change(self, rows: Grid, columns: Grid, down: Grid, across: Grid) -> Levels:
        """A bound on |v(x') − v(x)| for x' at most (down, across) away, both at most 1; (H, W, 3)."""
        corner, _, _ = self._square(rows, columns)
        return self.down.take(corner, axis=0) * down[..., None] + self.across.take(corner, axis=0) * across[..., None]

    def _square(self, rows: Grid, columns: Grid) -> tuple[Places, Grid, Grid]:
        """Upper left corner, counted row by row, and place in its square; far outside all is the constant."""
        y = np.clip(rows + _PAD, 1.0, self.shape[0] + 2 * _PAD - 2.0 - 1e-9)
        x = np.clip(columns + _PAD, 1.0, self.shape[1] + 2 * _PAD - 2.0 - 1e-9)
        top, left = np.floor(y), np.floor(x)
        return (top * self.width + left).astype(np.int64), y - top, x - left


def _around(slopes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The largest over the 3×3 squares about each."""
    wide = np.pad(slopes, ((1, 1), (1, 1), (0, 0)))
    tall = np.maximum(np.maximum(wide[:-2], wide[1:-1]), wide[2:])
    return np.maximum(np.maximum(tall[:, :-2], tall[:, 1:-1]), tall[:, 2:])


def rotation(pixels: Pixels, *, span: tuple[float, float]) -> Continuous:
    """About the centre, in degrees, counter-clockwise; the size stays, the corners are black."""
    height, width = pixels.shape[:2]
    rows, columns = np.meshgrid(
        np.arange(height) - 0.5 * (height - 1), np.arange(width) - 0.5 * (width - 1), indexing="ij"
    )
    middle = (0.5 * (height - 1), 0.5 * (width - 1))

    def place(point: Point) -> tuple[Grid, Grid]:
        angle = math.radians(point[0])
        sine, cosine = math.sin(angle), math.cos(angle)
        return middle[0] + cosine * rows + sine * columns, middle[1] - sine * rows + cosine * columns

    def way(cell: Cell) -> tuple[Grid, Grid]:
        """Each pixel is read on an arc about the centre; along it the coordinates change at most by these."""
        ((low, high),) = cell
        half = math.radians(0.5 * (high - low))
        turned_rows, turned_columns = place((0.5 * (low + high),))
        radius = np.hypot(rows, columns)
        # |d row/dθ| is the turned column's distance from the centre, |d column/dθ| the row's: on the arc they grow
        # by at most half·radius, and are never more than the radius.
        down = half * np.minimum(np.abs(turned_columns - middle[1]) + half * radius, radius)
        across = half * np.minimum(np.abs(turned_rows - middle[0]) + half * radius, radius)
        return down * (1.0 + 1e-9) + 1e-9, across * (1.0 + 1e-9) + 1e-9

    program = "rotation 1: bilinear in float64 about the centre, black outside, rounded to 8 bits"
    return _moved("rotation", program, pixels, place, way, (span,), ("degrees",), depth=9)


def shift(pixels: Pixels, *, spans: Cell) -> Continuous:
    """By parts of a pixel, down and across; black outside."""
    rows, columns = np.meshgrid(np.arange(pixels.shape[0]) * 1.0, np.arange(pixels.shape[1]) * 1.0, indexing="ij")

    def place(point: Point) -> tuple[Grid, Grid]:
        return rows - point[0], columns - point[1]

    def way(cell: Cell) -> tuple[Grid, Grid]:
        down, across = (0.5 * (high - low) * (1.0 + 1e-12) for low, high in cell)
        return np.full(rows.shape, down), np.full(rows.shape, across)

    program = "shift 1: bilinear in float64, black outside, rounded to 8 bits"
    return _moved("shift", program, pixels, place, way, spans, ("down", "across"), depth=10)


def _moved(
    name: str,
    program: str,
    pixels: Pixels,
    place: Place,
    way: Callable[[Cell], tuple[Grid, Grid]],
    spans: Cell,
    names: tuple[str, ...],
    *,
    depth: int,
) -> Continuous:
    image = Sampled(pixels)

    def enclose(cell: Cell) -> Enclosure:
        rows, columns = place(tuple(0.5 * (low + high) for low, high in cell))
        down, across = way(cell)
        centre = image.read(rows, columns)
        if max(float(down.max()), float(across.max())) > _WHOLE:
            return Enclosure(np.full_like(centre, 127.5), np.full_like(centre, 127.5))
        # Rounding to 8 bits moves a value by at most half a level.
        half = image.change(rows, columns, down, across) + (0.5 + OUTWARD)
        low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 255.0)
        return Enclosure(0.5 * (low + high), 0.5 * (high - low))

    identity = tuple(min(max(0.0, low), high) for low, high in spans)
    return Continuous(
        name, program, spans, identity, enclose, lambda point: to_8_bits(image.read(*place(point))), names, depth
    )
