"""The resize as a linear operator, with its exact norm and the rounding error of computing it.

R(q) = A_h · q · A_wᵀ for every channel. Row i of A holds the antialiased triangle (bilinear) filter centred at
(i + ½)·s − ½ with s = source/target and half-width max(s, 1), normalised to sum 1: the geometry of Pillow and of
``torch.nn.functional.interpolate(mode="bilinear", antialias=True, align_corners=False)``. Pillow itself rounds to
8 bits in between, which is not Lipschitz with constant ρ; here the stored float64 matrices *define* R.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.numerics import gamma, round_down, round_up
from ..core.types import UpperBound

Size = tuple[int, int]
"""(height, width)."""
_BLOCK = 8
"""Output rows computed together: each block multiplies only the source rows that it touches."""
_QUICK = 16
"""The same where nothing is proved: half as many products, which are quicker than the few numbers they add."""
_SMALL = 2
"""Images up to so many times the target are resized there by one product."""
_WHOLE = 2**21
"""Values of an 8-bit image that is turned into floating numbers as a whole: 16 MB as float64."""
_AT_ONCE = 2**24
"""Values of a larger one turned into floating numbers at a time, at most: 128 MB as float64."""
_UNDERFLOW = 2.0**-500
"""More than every product lost below the float64 range adds up to."""


@dataclass(frozen=True, eq=False)
class Axis:
    """One factor of the resize, for one axis.

    Attributes:
        matrix: (target, source) float64, non-negative, rows sum to 1 up to rounding; read-only.
        terms: most non-zero weights in a row.
        mass: upper bound on the sum of a row.
    """

    matrix: npt.NDArray[np.float64]
    terms: int
    mass: float

    @cached_property
    def norm(self) -> UpperBound:
        """Proved when first asked for: gallery images, which are constants, never need it."""
        return spectral_norm(self.matrix)


@dataclass(frozen=True, eq=False)
class Resize:
    """R: (3, H, W) → (3, h, w), linear (THEORY §0).

    Attributes:
        source: (H, W) of the query as decoded.
        target: (h, w) of the network's input.
        vertical: A_h with its bounds.
        horizontal: A_w with its bounds.
    """

    source: Size
    target: Size
    vertical: Axis
    horizontal: Axis

    @property
    def rows(self) -> npt.NDArray[np.float64]:
        """A_h, (h, H) float64."""
        return self.vertical.matrix

    @property
    def columns(self) -> npt.NDArray[np.float64]:
        """A_w, (w, W) float64."""
        return self.horizontal.matrix

    @cached_property
    def norm(self) -> UpperBound:
        """ρ = σ_max(A_h)·σ_max(A_w): R is a Kronecker product, so this is its exact norm, rounded up."""
        return self.vertical.norm.times(self.horizontal.norm)

    @cached_property
    def rounding(self) -> UpperBound:
        """Bound on ‖fl(R q) − R q‖₂ for float64 arithmetic and q in [0, 1].

        Weights and pixels are non-negative and zero weights add nothing, so each product's relative error is at most
        γ_terms in any order of summation, with or without FMA (Higham, ASNA, §3.1); two products compose to
        (1+γ_v)(1+γ_h) − 1. Every exact output is at most the product of the row sums, and there are 3·h·w outputs.
        """
        first, second = gamma(self.vertical.terms), gamma(self.horizontal.terms)
        relative = round_up(round_up(first + second) + round_up(first * second))
        largest = round_up(self.vertical.mass * self.horizontal.mass)
        count = round_up(math.sqrt(3 * self.target[0] * self.target[1]))
        bound = round_up(round_up(round_up(relative * largest) * count) + _UNDERFLOW)
        return UpperBound(bound, "γ_n of two non-negative products (Higham §3.1)")

    def apply(self, x: Tensor) -> Tensor:
        """Resize a batch, differentiably, in the dtype and on the device of x.

        Args:
            x: (..., 3, H, W) float32 or float64.

        Returns:
            (..., 3, h, w). Images do not influence one another: each channel is multiplied by itself.

        Raises:
            UsageError: for another size or dtype.
        """
        if x.shape[-2:] != self.source or x.dtype not in {torch.float32, torch.float64}:
            raise UsageError(f"resize of {self.source} got {x.dtype} of shape {tuple(x.shape)}")
        planes = x.reshape(-1, *self.source)  # n H W
        tall = _times([m.to(x) for m in self._bands(0, x.dtype)], planes, self._starts(0))  # n h W
        wide = _times([m.to(x) for m in self._bands(1, x.dtype)], tall.mT, self._starts(1))  # n w h
        return wide.mT.reshape(*x.shape[:-2], *self.target)

    def apply_levels(self, levels: npt.NDArray[np.uint8], dtype: torch.dtype) -> Tensor:
        """Resize an 8-bit image, taken as levels/255: :meth:`apply` without the whole image in floating numbers.

        A large image is taken some rows at a time: those that one block of output rows touches. Products and their
        order are those of :meth:`apply`, and ``rounding`` holds for any order.

        Args:
            levels: (H, W, 3) uint8.
            dtype: float32 or float64, of the arithmetic.

        Returns:
            (3, h, w).

        Raises:
            UsageError: for another size or dtype.
        """
        if levels.size <= _WHOLE or levels.shape[:2] != self.source:
            return self.apply(_scaled(levels, dtype))
        bands, starts = self._bands(0, dtype), self._starts(0)
        tall = [_rows_times(m, levels[at : at + m.shape[1]]) for m, at in zip(bands, starts, strict=True)]
        wide = _times(list(self._bands(1, dtype)), torch.cat(tall, dim=1).mT, self._starts(1))  # 3 w h
        return wide.mT

    def quick_levels(self, levels: npt.NDArray[np.uint8]) -> Tensor:
        """The same resize in float32 with fewer and larger products, for rows that are stored.

        An image stays as it lies in memory until its rows are few. The sums are those of :meth:`apply_levels` in
        another order, and nothing is proved of their rounding: a stored row is a constant.

        Args:
            levels: (H, W, 3) uint8.

        Returns:
            (3, h, w) float32.

        Raises:
            UsageError: for another size.
        """
        if levels.shape != (*self.source, 3):
            raise UsageError(f"resize of {self.source} got levels of shape {levels.shape}")
        height, width = self.source
        lines = levels.reshape(height, 3 * width)
        upper, wide = self._quick
        if levels.size <= _WHOLE:
            whole = torch.from_numpy(lines.astype(np.float32))
            parts = [band @ whole[at : at + band.shape[1]] for at, band in upper]
        else:
            parts = [band @ torch.from_numpy(lines[at : at + band.shape[1]].astype(np.float32)) for at, band in upper]
        planes = _joined(parts, 0).view(-1, width, 3).permute(2, 0, 1).reshape(-1, width)  # 3·h W
        return _joined([planes[:, at : at + band.shape[0]] @ band for at, band in wide], 1).view(3, *self.target)

    @cached_property
    def _quick(self) -> tuple[list[tuple[int, Tensor]], list[tuple[int, Tensor]]]:
        """(first source index, block) of both axes: the first takes levels, the second is turned."""
        with torch.inference_mode(False):
            upper = [(at, torch.from_numpy(block / 255.0).float()) for at, block in _quick_cut(self.rows)]
            wide = [(at, torch.from_numpy(block.T).float().contiguous()) for at, block in _quick_cut(self.columns)]
        return upper, wide

    def _bands(self, axis: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The matrix of one axis cut into blocks of rows, each without the columns that are zero in all of them."""
        return (self._bands32 if dtype == torch.float32 else self._bands64)[axis]

    def _starts(self, axis: int) -> tuple[int, ...]:
        return tuple(start for start, _ in self._cuts[axis])

    @cached_property
    def _cuts(self) -> tuple[list[tuple[int, npt.NDArray[np.float64]]], list[tuple[int, npt.NDArray[np.float64]]]]:
        return _cut(self.rows), _cut(self.columns)

    @cached_property
    def _bands64(self) -> tuple[tuple[Tensor, ...], ...]:
        # Kept for later calls: a tensor born in somebody's inference mode could never be differentiated through.
        with torch.inference_mode(False):
            return tuple(tuple(torch.from_numpy(block) for _, block in cuts) for cuts in self._cuts)

    @cached_property
    def _bands32(self) -> tuple[tuple[Tensor, ...], ...]:
        with torch.inference_mode(False):
            return tuple(tuple(band.float() for band in bands) for bands in self._bands64)


@lru_cache(maxsize=128)
def resize_operator(source: Size, target: Size) -> Resize:
    """The resize between two sizes (height, width), with its bounds; the last 128 are kept.

    Raises:
        UsageError: if a side is not at least 1.
    """
    if min(*source, *target) < 1:
        raise UsageError(f"a resize needs sides of at least 1, got {source} → {target}")
    return Resize(source, target, resize_axis(source[0], target[0]), resize_axis(source[1], target[1]))


@lru_cache(maxsize=128)
def resize_axis(source: int, target: int) -> Axis:
    """A for one axis, (target, source), with its norm and the numbers that bound its rounding."""
    matrix = _triangle_weights(source, target)
    matrix.setflags(write=False)
    terms = int(np.count_nonzero(matrix, axis=1).max())
    mass = max(round_up(math.fsum(row[row > 0])) for row in matrix)
    return Axis(matrix, terms, mass)


def _triangle_weights(source: int, target: int) -> npt.NDArray[np.float64]:
    """Rows of the triangle filter, normalised; what falls outside the image is left out."""
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale
    distances = np.abs(np.arange(source) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distances)
    return weights / weights.sum(axis=1, keepdims=True)


def spectral_norm(matrix: npt.NDArray[np.float64]) -> UpperBound:
    """The largest singular value of a non-negative matrix, from above and to the last digits.

    Theorem (Collatz–Wielandt): for a non-negative square matrix G and any v > 0, the spectral radius of G is at most
    max_i (G·v)_i / v_i. With G = A·Aᵀ its square root bounds σ_max(A); v is the leading eigenvector of G that float64
    ``eigh`` gives, made positive, so the bound is tight *and* needs no trust in the decomposition. All terms are
    non-negative, so A·(Aᵀ·v) is at least (1 − γ) times its exact value.

    Args:
        matrix: (m, n) float64, non-negative, not all zero.

    Raises:
        ValueError: for a negative or a zero matrix, where the theorem says nothing.
    """
    if not (matrix >= 0).all() or not matrix.any():
        raise ValueError("the norm bound holds for non-negative, non-zero matrices")
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    leading = np.abs(np.linalg.eigh(short @ short.T)[1][:, -1])
    # Where the vector has all but died out, its relative error is large; the floor keeps the ratios honest and small.
    v = np.maximum(leading / leading.max(), 1e-9)
    ratio = round_up(float(((short @ (short.T @ v)) / v).max()))
    error = gamma(sum(short.shape) + 2)
    squared = round_up(ratio / round_down(1.0 - error))
    return UpperBound(round_up(math.sqrt(squared)), "Collatz–Wielandt at the leading eigenvector")


def _cut(matrix: npt.NDArray[np.float64], block: int = _BLOCK) -> list[tuple[int, npt.NDArray[np.float64]]]:
    """(first source index, block) for every so many rows."""
    cuts = []
    for top in range(0, len(matrix), block):
        rows = matrix[top : top + block]
        used = np.flatnonzero(rows.any(axis=0))
        cuts.append((int(used[0]), rows[:, used[0] : used[-1] + 1].copy()))
    return cuts


def _quick_cut(matrix: npt.NDArray[np.float64]) -> list[tuple[int, npt.NDArray[np.float64]]]:
    """The same for products of which nothing is proved: a small image takes one, whose zeros cost less than calls."""
    target, source = matrix.shape
    return _cut(matrix, target if source <= _SMALL * target else _QUICK)


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _rows_times(band: Tensor, rows: npt.NDArray[np.uint8]) -> Tensor:
    """A block of output rows from the source rows that it touches, some columns at a time: → (3, t, W)."""
    columns = max(256, _AT_ONCE // (3 * len(rows)) // 256 * 256)
    parts = [
        torch.bmm(band.expand(3, *band.shape), _scaled(rows[:, left : left + columns], band.dtype))
        for left in range(0, rows.shape[1], columns)
    ]
    return _joined(parts, 2)


def _scaled(levels: npt.NDArray[np.uint8], dtype: torch.dtype) -> Tensor:  # h w 3 -> 3 h w
    """Levels as numbers in [0, 1]."""
    kind = np.float32 if dtype == torch.float32 else np.float64
    return torch.from_numpy(levels.transpose(2, 0, 1).astype(kind, order="C")).div_(255.0).to(dtype)


def _times(bands: list[Tensor], planes: Tensor, starts: tuple[int, ...]) -> Tensor:
    """Banded product for every plane: (t, s) × (n, s, o) → (n, t, o)."""
    n = planes.shape[0]
    parts = [
        torch.bmm(band.expand(n, *band.shape), planes[:, start : start + band.shape[1]])
        for band, start in zip(bands, starts, strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
