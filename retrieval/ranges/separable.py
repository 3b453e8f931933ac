"""All crops of an image through one optic: rows and columns are resized apart, so distances are inner products.

The crop of rows a and columns b, resized, is A_a·q·B_bᵀ. With U_b = q·B_bᵀ kept for every b, its squared norm is
⟨U_b U_bᵀ, A_aᵀ A_a⟩ and its inner product with a representative c is ⟨U_b, A_aᵀ c⟩: no crop is ever made. All terms are
non-negative, so each is known to a relative γ of the number of terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...certificates.rounding import up
from ...core.numerics import gamma
from ...images.families.geometry import Crops, Ints
from ...images.resize import resize_axis
from ..channel import Float64
from ..evidence import Ids

_ROWS = 64
"""Rows of the image whose products are summed at a time: few enough for a processor's cache."""


@dataclass(frozen=True)
class Separable:
    """All crops through one optic.

    Attributes:
        family: the crops.
        target: height and width after the resize.
        sums: side k of the blocks that are summed and divided by k afterwards; 1 for none.
    """

    family: Crops
    target: tuple[int, int]
    sums: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of what comes out."""
        return self.target[0] // self.sums, self.target[1] // self.sums

    @cached_property
    def tall(self) -> dict[int, Float64]:
        """Length of a window of rows → (h, length) A_a within the window; the sums are divided by k here."""
        sizes = np.unique(self.family.rows[:, 1])
        return {int(size): _factor(int(size), self.target[0], self.sums) / self.sums for size in sizes}

    @cached_property
    def half_done(self) -> Float64:
        """(b, H, 3·w): U_b."""
        height, width = self.family.pixels.shape[:2]
        planes = (self.family.pixels / 255.0).transpose(0, 2, 1).reshape(-1, width)  # H3 W
        out = np.empty((len(self.family.columns), height, 3 * self.shape[1]))
        factors = {int(size): _factor(int(size), self.target[1], self.sums) for size in self._widths}
        for place, (first, size) in enumerate(self.family.columns):
            np.matmul(planes[:, first : first + size], factors[int(size)].T, out=out[place].reshape(len(planes), -1))
        return out

    @property
    def _widths(self) -> Ints:
        return np.unique(self.family.columns[:, 1])

    @cached_property
    def squares(self) -> Float64:
        """(a·b,) ‖A_a·U_b‖², along the diagonals where A_aᵀ A_a is not zero."""
        height, rows = self.family.pixels.shape[0], self.family.rows
        grams = {size: factor.T @ factor for size, factor in self.tall.items()}
        width = max(map(_bandwidth, grams.values())) + 1
        lines = np.zeros((len(rows), width, height))
        for place, (first, size) in enumerate(rows):
            for off in range(min(width, int(size))):
                diagonal = np.diagonal(grams[int(size)], off)
                lines[place, off, first : first + len(diagonal)] = diagonal if off == 0 else 2.0 * diagonal
        total = np.empty((len(rows), len(self.half_done)))
        bands = np.zeros((width, height))
        for place, half in enumerate(self.half_done):
            products = half @ half.T
            for off in range(min(width, height)):
                bands[off, : height - off] = np.diagonal(products, off)
            total[:, place] = lines.reshape(len(rows), -1) @ bands.ravel()
        return total.ravel()

    def distances(self, image: Float64, places: Ids) -> Float64:
        """(n,) at least the distance of each of these crops from one resized image (3·h·w,)."""
        columns = len(self.family.columns)
        rows, at_row = np.unique(places // columns, return_inverse=True)
        cols, at_column = np.unique(places % columns, return_inverse=True)
        products = self._products(image, rows, cols)[at_row, at_column]
        own, squares = float(image @ image), self.squares[places]
        # Three sums of non-negative terms, each known to a relative γ; the error is not less for their difference.
        error = 2.0 * gamma(self.terms) * (squares + 2.0 * products + own) + 1e-300
        found: Float64 = up(np.sqrt(np.maximum(squares - 2.0 * products + own, 0.0) + error)) * (1.0 + 1e-14)
        return found

    def _products(self, image: Float64, rows: Ids, columns: Ids) -> Float64:
        """(r, c) inner products with one resized image (3·h·w,) of the crops of these rows and columns."""
        planes = image.reshape(3, *self.shape).transpose(1, 0, 2).reshape(self.shape[0], -1)  # h 3w
        spans = self.family.rows[rows]
        spread = {int(size): self.tall[int(size)].T @ planes for size in np.unique(spans[:, 1])}
        total = np.zeros((len(rows), len(columns)))
        for top in range(0, self.half_done.shape[1], _ROWS):
            halves = self.half_done[columns, top : top + _ROWS]
            down = np.zeros((len(rows), *halves.shape[1:]))
            for place, (first, size) in enumerate(spans.tolist()):
                low, high = max(top, first), min(top + len(down[0]), first + size)
                down[place, max(0, low - top) : max(0, high - top)] = spread[size][low - first : max(low, high) - first]
            total += down.reshape(len(rows), -1) @ halves.reshape(len(columns), -1).T
        return total

    @property
    def terms(self) -> int:
        """At least the roundings on the way to any of these numbers."""
        return 4 * (self.half_done[0].size + self.sums**2 + sum(self.target) + sum(self.family.pixels.shape))


def _factor(size: int, target: int, sums: int) -> npt.NDArray[np.float64]:
    """(target/k, size) the resize of one side, then sums of k neighbours."""
    matrix = resize_axis(size, target).matrix
    return matrix if sums == 1 else matrix.reshape(target // sums, sums, size).sum(axis=1)


def _bandwidth(gram: Float64) -> int:
    """How far from the diagonal a matrix has entries."""
    rows, columns = np.nonzero(gram)
    return int(np.abs(rows - columns).max())
