"""An adversarial image as a file: the float image as .npy, the 8-bit image as PNG; and how far each one really is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..core.numerics import dot_gamma, norm, round_up
from ..core.units import psnr_of, rmse_of
from ..images.decode import load
from ..images.policy import DecodePolicy
from .projections import Ball, Norm

Medium = Literal["float", "png"]
Pixels = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

_HALVINGS = 10
_LARGEST_SCALE = 8.0


@dataclass(frozen=True, slots=True)
class Distance:
    """How far an image is from the clean one, rounded up: a norm below a radius is below it in exact arithmetic.

    Attributes:
        l2: Euclidean norm over all values in [0, 1].
        linf: largest change of a value, in [0, 1].
        rmse: 255·ℓ2/√n, in 8-bit levels.
        psnr: −20·log10(ℓ2/√n) in dB, rounded down; None where the images are equal.
        changed_001, changed_01, changed_03: share of pixels, in [0, 1], any of whose values changed by more than 0.001,
            0.01 or 0.03 where values run from −1 to 1 (half as much where they run from 0 to 1).
        pixels: number of pixels that changed at all.
        at_edge: share of the other image's values that are 0 or 1, where the pixel box ends; 0 where nobody looked.
    """

    l2: float
    linf: float
    rmse: float
    psnr: float | None
    changed_001: float
    changed_01: float
    changed_03: float
    pixels: int
    at_edge: float = 0.0

    def within(self, kind: Norm, eps: float) -> bool:
        """Whether the change is inside the ball of this kind; without a ball it always is."""
        return kind == "none" or self.size(kind) <= eps

    def size(self, kind: Norm) -> float:
        """The norm of this kind; ℓ2 where there is no ball."""
        return {"l2": self.l2, "linf": self.linf, "l0": float(self.pixels), "none": self.l2}[kind]


def measure(clean: Pixels, other: Pixels) -> Distance:
    """Distance between two images (H, W, 3) in [0, 1]."""
    change = other - clean
    delta = change.reshape(-1)
    # One rounding per difference, then the sum of squares: each has a proved bound.
    l2 = round_up(float(norm(delta)) * (1.0 + 2.0 * dot_gamma(delta.size)))
    exact = not delta.any()
    largest = np.abs(change).max(axis=-1)  # h w
    return Distance(
        l2=0.0 if exact else l2,
        linf=0.0 if exact else round_up(float(np.abs(delta).max())),
        rmse=0.0 if exact else rmse_of(l2, delta.size, up=True),
        psnr=None if exact else psnr_of(l2, delta.size, up=False),
        changed_001=_changed(largest, 0.001),
        changed_01=_changed(largest, 0.01),
        changed_03=_changed(largest, 0.03),
        pixels=int(np.count_nonzero(largest)),
        at_edge=float(np.count_nonzero((other <= 0.0) | (other >= 1.0))) / other.size,
    )


def _changed(largest: Pixels, by: float) -> float:
    """Share of pixels whose largest change is more than ``by`` on the scale from −1 to 1."""
    return float(np.count_nonzero(2.0 * largest > by)) / largest.size


def as_pixels(image: Bytes) -> Pixels:
    """uint8 (H, W, 3) → float64 in [0, 1]."""
    return image.astype(np.float64) / 255.0


def to_bytes(clean: Bytes, adversarial: Pixels, *, kind: Norm, eps: float) -> Bytes:
    """The adversarial image in 8 bits, within its budget and using what it can of it.

    Rounding adds noise of its own, which may leave the ball, and drops changes below half a level. The change is
    therefore scaled, down or up, by bisection, to the largest rounded change inside. At budgets below half a level
    that may be no change at all. Where the size of a change is not what is bounded, it is rounded and no more.
    """
    if kind in ("l0", "none"):
        return np.rint(np.clip(adversarial, 0.0, 1.0) * 255.0).astype(np.uint8)
    origin = clean.astype(np.float64).reshape(-1)
    change = adversarial.reshape(-1) * 255.0 - origin
    low, high, found = 0.0, _LARGEST_SCALE, origin
    scale = 1.0
    for _ in range(_HALVINGS):
        rounded = scale * change
        rounded += origin
        np.rint(np.clip(rounded, 0.0, 255.0, out=rounded), out=rounded)
        if _inside(rounded - origin, kind, eps):
            found, low = rounded, scale
        else:
            high = scale
        scale = (low + high) / 2.0
    return found.astype(np.uint8).reshape(clean.shape)


def _inside(levels: npt.NDArray[np.float64], kind: Ball, eps: float) -> bool:
    """Whether an 8-bit change is within a budget: exact in whole levels, and a hair strict for :func:`measure`.

    Sums of squares of whole levels are whole and far below 2⁵³: float64 holds them exactly in any order.
    """
    size = math.sqrt(float(levels @ levels)) if kind == "l2" else float(np.abs(levels).max())
    return size * (1.0 + 1e-12) <= 255.0 * eps


def save_float(path: Path, pixels: Pixels) -> Pixels:
    """Write float64 (H, W, 3) and read it back."""
    np.save(path, pixels, allow_pickle=False)
    return np.load(path, allow_pickle=False)


def save_png(path: Path, image: Bytes, *, policy: DecodePolicy) -> Pixels:
    """Write an 8-bit PNG and read it back through the decoder that queries go through."""
    Image.fromarray(image, mode="RGB").save(path, format="PNG", compress_level=1)
    return as_pixels(load(path, policy=policy).pixels)
