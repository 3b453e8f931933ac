"""All crops of an image as a proof sees them: too many to keep, and separable, so that distances are inner products.

The crop of rows a and columns b, resized, is A_a·q·B_bᵀ. With U_b = q·B_bᵀ kept for every b, its squared norm is
⟨U_b U_bᵀ, A_aᵀ A_a⟩ and its inner product with a representative c is ⟨U_b, A_aᵀ c⟩: no crop is ever made. All terms are
non-negative, so each is known to a relative γ of the number of terms. Only crops that a small proxy finds near are
compared at all; the others are left to other representatives.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...certificates.edit_ranges import Moves
from ...certificates.rounding import up
from ...core.numerics import gamma
from ...images.families.geometry import Crops, Ints
from ...images.resize import resize_axis
from ..channel import ORIGINAL, Float64
from ..evidence import Ids
from .members import Budget, Sizes
from .optics import Optic, Optics

_PROXY = 8
"""Side of the small images by which near crops are found: nothing proved rests on them."""
_BLOCK = 8
_SURE = 0.9
"""Share of the usual reach that is counted on when crops are chosen."""
_TRIED = 32
"""Crops that are looked at to find one with many others near it."""


@dataclass(frozen=True)
class Separable:
    """All crops through one optic.

    Attributes:
        family: the crops.
        target: height and width after the resize.
    """

    family: Crops
    target: tuple[int, int]

    @cached_property
    def tall(self) -> Float64:
        """(a, h, H): A_a, zero outside of the window."""
        return _matrices(self.family.rows, self.family.pixels.shape[0], self.target[0])

    @cached_property
    def half_done(self) -> Float64:
        """(b, H, 3·w): U_b."""
        return _across(self.family.pixels, self.family.columns, self.target[1])

    @cached_property
    def squares(self) -> Float64:
        """(a·b,) ‖A_a·U_b‖², along the diagonals where A_aᵀ A_a is not zero."""
        grams = np.matmul(self.tall.transpose(0, 2, 1), self.tall)  # a H H
        width = _bandwidth(grams)
        total = np.zeros((len(grams), len(self.half_done)))
        for off in range(width + 1):
            line = np.diagonal(grams, off, axis1=1, axis2=2)  # a H−off
            upper = self.half_done[:, : self.half_done.shape[1] - off]
            products = np.einsum("bhk,bhk->bh", upper, self.half_done[:, off:])
            total += (1.0 if off == 0 else 2.0) * (line @ products.T)
        return total.ravel()

    def products(self, image: Float64, rows: Ids, columns: Ids) -> Float64:
        """(r, c) inner products with one resized image (3·h·w,) of the crops of these rows and columns."""
        planes = image.reshape(3, *self.target).transpose(1, 0, 2).reshape(self.target[0], -1)  # h 3w
        down = np.matmul(self.tall[rows].transpose(0, 2, 1), planes)  # r H 3w
        return down.reshape(len(rows), -1) @ self.half_done[columns].reshape(len(columns), -1).T

    @property
    def terms(self) -> int:
        """At least the roundings on the way to any of these numbers."""
        return 4 * (self.half_done[0].size + sum(self.target) + sum(self.family.pixels.shape))


@dataclass(frozen=True)
class CropMembers:
    """Every crop of a query.

    Attributes:
        lenses: per optic.
    """

    family: Crops
    optics: Optics
    sizes: Sizes
    lenses: tuple[Separable, ...]

    @staticmethod
    def of(family: Crops, optics: Optics, budget: Budget) -> CropMembers:
        """For optics that look at the whole image."""
        assert all(fits(optic) for optic in optics.every), "only whole images are separable into rows and columns"
        lenses = tuple(Separable(family, optic.target) for optic in optics.every)
        return CropMembers(family, optics, Sizes.of(optics, family.sizes, budget), lenses)

    @property
    def rounding(self) -> list[float]:
        """See :class:`members.Members`."""
        return self.sizes.rounding

    @property
    def digest(self) -> str:
        """Of the query: crops are its own values."""
        return hashlib.sha256(self.family.pixels.tobytes()).hexdigest()

    def images(self, places: Ids) -> list[Float64]:
        """See :class:`members.Members`."""
        made = [self.optics.see(self.family.make(int(place))[None].astype(np.float64)) for place in places]
        return [np.concatenate(own) for own in zip(*made, strict=True)]

    def moves(self, place: int, among: Ids, room: float = np.inf) -> Moves:
        """How far crops are from one of them; infinitely far where they were not compared.

        Args:
            place: of the representative.
            among: the crops asked about.
            room: distance beyond which nobody needs to know.
        """
        near = self._proxy_distances(place)[among] <= room * self.ratios[1]
        near |= among == place
        images = self.images(np.array([place]))
        distances = [
            self._distances(lens, image[0], among, near) for lens, image in zip(self.lenses, images, strict=True)
        ]
        return self.sizes.moves(distances, among, self.optics.of_probe)

    def pick(self, places: Ids, near: Float64, count: int, room: float) -> Ids:
        """Crops with many others near them."""
        if len(places) <= count or not np.isfinite(room):
            return places[np.argsort(near[places], kind="stable")[:1]]
        chosen: list[int] = []
        left, rng = places, np.random.default_rng(len(places))
        while len(chosen) < count and len(left):
            tried = left if len(left) <= _TRIED else rng.choice(left, _TRIED, replace=False)
            far = _far(self.proxies[tried], self.proxies[left])
            close = far <= _SURE * self.ratios[0] * room
            counts = close.sum(axis=1)
            best = int(counts.argmax())
            chosen.append(int(tried[best]))
            left = left[~close[best]]
        return np.array(chosen)

    def _distances(self, lens: Separable, image: Float64, among: Ids, near: np.ndarray) -> Float64:
        found, wanted = np.full(len(among), np.inf), among[near]
        columns = len(self.family.columns)
        rows, at_row = np.unique(wanted // columns, return_inverse=True)
        cols, at_column = np.unique(wanted % columns, return_inverse=True)
        products = lens.products(image, rows, cols)[at_row, at_column]
        own = float(image @ image)
        squares = lens.squares[wanted]
        # Three sums of non-negative terms, each known to a relative γ; the error is not less for their difference.
        error = 2.0 * gamma(lens.terms) * (squares + 2.0 * products + own) + 1e-300
        found[near] = up(np.sqrt(np.maximum(squares - 2.0 * products + own, 0.0) + error)) * (1.0 + 1e-14)
        return found

    @cached_property
    def ratios(self) -> tuple[float, float]:
        """How large proxy distances are for true ones, as a rule and at most: from the whole image to all crops."""
        every = np.arange(len(self.family))
        true = self._distances(self.lenses[0], self.images(every[:1])[0][0], every, every >= 0)
        shares = self._proxy_distances(0)[1:] / true[1:]
        return (float(np.median(shares)), float(np.quantile(shares, 0.98))) if len(shares) else (1.0, 1.0)

    @cached_property
    def proxies(self) -> Float64:
        """(n, 3·8·8) float32 small crops."""
        lens = Separable(self.family, (_PROXY, _PROXY))
        tall = lens.tall.astype(np.float32)
        across = lens.half_done.astype(np.float32)
        small = np.einsum("ahk,bkc->abhc", tall, across, optimize=True)
        return small.reshape(len(self.family), -1)

    def _proxy_distances(self, place: int) -> Float64:
        return _far(self.proxies[[place]], self.proxies)[0]


def fits(optic: Optic) -> bool:
    """Whether an optic looks at the whole image."""
    return optic.view is ORIGINAL


def _far(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(m, n) distances, about."""
    squares = np.einsum("ij,ij->i", some, some)[:, None] + np.einsum("ij,ij->i", others, others)
    return np.sqrt(np.maximum(squares - 2.0 * (some @ others.T), 0.0))


def _matrices(windows: Ints, side: int, target: int) -> Float64:
    out = np.zeros((len(windows), target, side))
    for at, (first, size) in enumerate(windows):
        out[at, :, first : first + size] = axis_of(int(size), target)
    return out


def axis_of(size: int, target: int) -> Float64:
    """The resize of one side."""
    return resize_axis(size, target).matrix


def _across(pixels: np.ndarray, windows: Ints, target: int) -> Float64:
    """(b, H, 3·w) every window of columns, resized; each block of columns multiplies only what it touches."""
    height, width = pixels.shape[:2]
    matrices = _matrices(windows, width, target)  # b w W
    planes = (pixels / 255.0).transpose(0, 2, 1).reshape(-1, width)  # H3 W
    out = np.empty((len(windows), height, 3, target))
    for start in range(0, target, _BLOCK):
        block = matrices[:, start : start + _BLOCK]  # b k W
        used = np.flatnonzero(block.any(axis=(0, 1)))
        low, high = int(used[0]), int(used[-1]) + 1
        flat = block[:, :, low:high].reshape(-1, high - low)
        made = planes[:, low:high] @ flat.T  # H3 bk
        out[:, :, :, start : start + _BLOCK] = made.reshape(height, 3, len(windows), -1).transpose(2, 0, 1, 3)
    return out.reshape(len(windows), height, -1)


def _bandwidth(grams: Float64) -> int:
    """How far from the diagonal any of these matrices has entries."""
    rows, columns = np.nonzero(grams.any(axis=0))
    return int(np.abs(rows - columns).max())
