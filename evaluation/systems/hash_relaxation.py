"""Perceptual hashes before their signs: differentiable, so that a gradient attack has something to follow.

Each hash here is linear up to its last step. With Y = 0.299·R + 0.587·G + 0.114·B, (H, W), bit (i, j) is the sign of

    Z_ij − c,    Z = A · Y · Bᵀ,

| hash | A (and B alike, for the width) | c |
|---|---|---|
| `phash` | first 8 rows of a 32-point DCT-II · Lanczos resize to 32 | the median of Z |
| `dhash` | A: Lanczos resize to 8; B: differences of neighbours · Lanczos resize to 9 | half a level, see below |
| `pdq` | rows 1 to 16 of a 64-point DCT-II · every (H/64)-th row of two box filters | the median of Z |

PDQ after Meta's description ("The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm", 2019): the box
filters are ⌈H/128⌉ wide, even ones reach one further to the right, and at the borders they average what there is. The
hash writes its bits backwards, from the highest frequencies.

What the libraries do and this leaves out is rounding: of the luma and of both passes of Pillow's resize, to 8 bits.
dhash asks whether one rounded pixel is greater than the next, so that half a level is the best guess of where its bits
change. On photographs the signs agree with the libraries' in more than 99 % of bits, of pdq's in all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...core.errors import UsageError
from ...images.resize import Size

Matrix = npt.NDArray[np.float64]

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601), for Pillow's ``convert("L")`` and PDQ alike."""
_HALF_A_LEVEL = 0.5 / 255.0


@dataclass(frozen=True, eq=False)
class Relaxation:
    """A hash before its signs, for images of one size.

    Attributes:
        rows: A, (r, H) float64.
        columns: B, (c, W) float64.
        centre: c where it is a constant, pixels in [0, 1]; None for the median.
        backwards: whether the hash's bits are Z's from the last to the first.
    """

    rows: Matrix
    columns: Matrix
    centre: float | None
    backwards: bool = False

    def depths(self, x: Tensor) -> Tensor:
        """How deep each bit lies on its side, in pixels (ℓ2): (Z − c) over the norm of Z's gradient.

        For a constant c that is the exact distance to the nearest image, of any values, where the bit changes. The
        median is held fixed: its gradient would press on the two coefficients in the middle with the weight of all.

        Args:
            x: (b, 3, H, W) in [0, 1].

        Returns:
            (b, bits) float64, computed in x's dtype and differentiable in x; positive where the bit is 1.
        """
        luma = torch.einsum("bchw,c->bhw", x, torch.tensor(LUMA, dtype=x.dtype, device=x.device))
        rows, columns = (torch.from_numpy(m).to(x) for m in (self.rows, self.columns))
        z = (rows @ luma @ columns.T).flatten(1).double()  # b n
        centred = z - (_median(z.detach()) if self.centre is None else self.centre)
        ordered = centred.flip(1) if self.backwards else centred
        return ordered / torch.from_numpy(self._norms).to(x.device)

    @cached_property
    def _norms(self) -> Matrix:
        """(bits,) norms of the coefficients' gradients, in the order of the hash."""
        sides = [np.linalg.norm(matrix, axis=1) for matrix in (self.rows, self.columns)]
        norms = math.hypot(*LUMA) * np.outer(*sides).ravel()
        return np.ascontiguousarray(norms[::-1]) if self.backwards else norms


def relaxation(name: str, size: Size) -> Relaxation:
    """The relaxation of a hash for images of one size (height, width); the last 64 are kept.

    Raises:
        UsageError: there is none of this hash.
    """
    if name not in RELAXATIONS:
        raise UsageError(f"no relaxation of the hash {name!r} is known; there are {', '.join(RELAXATIONS)}")
    return _cached(name, size)


@lru_cache(maxsize=64)
def _cached(name: str, size: Size) -> Relaxation:
    return RELAXATIONS[name](*size)


def _phash(height: int, width: int) -> Relaxation:
    low = _cosines(32, range(8))
    return Relaxation(low @ _lanczos(height, 32), low @ _lanczos(width, 32), centre=None)


def _dhash(height: int, width: int) -> Relaxation:
    across = np.diff(_lanczos(width, 9), axis=0)
    return Relaxation(_lanczos(height, 8), across, centre=_HALF_A_LEVEL)


def _pdq(height: int, width: int) -> Relaxation:
    low = _cosines(64, range(1, 17))
    return Relaxation(low @ _tents(height), low @ _tents(width), centre=None, backwards=True)


RELAXATIONS: dict[str, Callable[[int, int], Relaxation]] = {"phash": _phash, "dhash": _dhash, "pdq": _pdq}
"""(height, width) → relaxation, by the names of ``baselines.HASHES``."""


def _cosines(points: int, frequencies: range) -> Matrix:
    """Rows of the orthonormal DCT-II (but for row 0, which is √2 as long): (frequencies, points)."""
    angles = np.pi / points * np.outer(frequencies, np.arange(points) + 0.5)
    return math.sqrt(2.0 / points) * np.cos(angles)


def _lanczos(source: int, target: int) -> Matrix:
    """Rows of an antialiased resize with the Lanczos window of three lobes, each of sum 1: (target, source)."""
    scale = source / target
    offsets = np.arange(source) + 0.5 - scale * (np.arange(target)[:, None] + 0.5)
    at = offsets / max(scale, 1.0)
    weights = np.where(np.abs(at) < 3.0, np.sinc(at) * np.sinc(at / 3.0), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _tents(source: int) -> Matrix:
    """Two box filters, then the 64 pixels nearest to the middles of 64 equal parts: (64, source)."""
    width = -(-source // 128)
    after = (width + 2) // 2 - 1
    offsets = np.arange(source) - np.arange(source)[:, None]
    box = ((offsets >= after + 1 - width) & (offsets <= after)).astype(np.float64)
    box /= box.sum(axis=1, keepdims=True)
    middles = ((np.arange(64) + 0.5) * source / 64.0).astype(np.int64)
    return box[middles] @ box


def _median(z: Tensor) -> Tensor:
    """(b, 1): the mean of the two middle values of an even number."""
    half = z.shape[1] // 2
    return z.sort(dim=1).values[:, half - 1 : half + 1].mean(dim=1, keepdim=True)
