"""Distortions whose strength is one number: the stronger of two of one kind is farther, by construction.

| kind | strength | weaker | stronger |
|---|---|---|---|
| `jpeg` | 100 − quality, 4:2:0 chroma | 40…65 | 88…96 |
| `blur` | σ of a Gaussian, in % of the side, at least 0.4 px | 0.6…1 | 2.2…4 |
| `noise` | σ of Gaussian noise, 8-bit levels; one pattern for both | 4…8 | 18…36 |
| `brightness` | change of the factor on all values; up or down for both | 0.06…0.12 | 0.3…0.5 |
| `contrast` | change of the factor on distances from the mean grey; up or down for both | 0.08…0.15 | 0.35…0.6 |
| `cast` | change of the factors on the colour channels, in one direction | 0.05…0.1 | 0.25…0.4 |
| `downscale` | factor of a reduction that is undone by bicubic interpolation | 1.3…1.6 | 3…5 |
| `posterise` | width of a quantisation step, 8-bit levels | 10…18 | 45…80 |
| `shift` | translation, in % of the side; one direction | 1…2 | 6…10 |
| `rotation` | degrees about the centre; one direction | 1…2 | 6…12 |
| `warp` | largest displacement of a smooth field, in % of the side; one field | 0.8…1.5 | 4…7 |

The ranges do not meet: the stronger is at least 1.35 times as strong, mostly 2 to 8 times. All random parts but the
strength (direction, pattern, field) are the same for both. The last three move content; what comes in from outside is
reflected.

A triplet compares two of one *pairing*. Each kind is a pairing with itself. Four more pair a small movement with a
strong change of values (``shift-blur``: a shift by a pixel against a blur that everybody sees): there the order is
that of visibility, which no strength proves, and metrics that count differences pixel by pixel get many of them wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from ..core.errors import UsageError
from ..images.edits import Pixels
from ..images.jpeg import through_jpeg

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Distortion:
    """One kind of distortion.

    Attributes:
        name: its key in :data:`DISTORTIONS`.
        weak: range of the weaker strength.
        strong: range of the stronger one, above it.
        apply: ((H, W, 3) uint8, strength, rng) → the same shape; with equal generators, more strength is more of the
            same. The input is left alone.
    """

    name: str
    weak: Range
    strong: Range
    apply: Callable[[Pixels, float, np.random.Generator], Pixels]

    def __post_init__(self) -> None:
        if not 0 < self.weak[0] <= self.weak[1] < self.strong[0] <= self.strong[1]:
            raise ValueError(f"{self.name}: strengths must be ordered, got {self.weak} and {self.strong}")


def jpeg(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Through JPEG at quality 100 − strength and back."""
    del rng
    return through_jpeg(pixels, quality=round(100 - strength))


def blur(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Gaussian blur, σ at least 0.4 px: less changes nothing."""
    del rng
    sigma = max(0.4, strength / 100 * min(pixels.shape[:2]))
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def noise(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Independent Gaussian noise, clipped to 0…255."""
    return _to_bytes(pixels + strength * rng.standard_normal(pixels.shape))


def brightness(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """All values times one factor."""
    return _to_bytes(pixels * (1 + _either(rng) * strength))


def contrast(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Distances from the mean grey times one factor."""
    mean = pixels.mean()
    return _to_bytes(mean + (pixels - mean) * (1 + _either(rng) * strength))


def cast(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Channels times factors that go apart, as under a coloured light."""
    angle = rng.uniform(0, 2 * math.pi)
    directions = np.cos(angle + np.array([0, 2, 4]) * math.pi / 3)
    return _to_bytes(pixels * (1 + strength * directions / np.abs(directions).max()))


def downscale(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Reduced by a factor and enlarged again."""
    del rng
    height, width = pixels.shape[:2]
    small = max(1, round(width / strength)), max(1, round(height / strength))
    image = Image.fromarray(pixels).resize(small, Image.Resampling.BOX)
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC))


def posterise(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Every value to the middle of its step."""
    del rng
    return _to_bytes((np.floor(pixels / strength) + 0.5) * strength)


def shift(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Moved in one direction."""
    angle, far = rng.uniform(0, 2 * math.pi), strength / 100 * min(pixels.shape[:2])
    rows, columns = _grid(pixels)
    return _sampled(pixels, rows + far * math.sin(angle), columns + far * math.cos(angle))


def rotation(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Turned about the centre."""
    angle = _either(rng) * math.radians(strength)
    rows, columns = _grid(pixels)
    down, across = rows - (pixels.shape[0] - 1) / 2, columns - (pixels.shape[1] - 1) / 2
    cosine, sine = math.cos(angle), math.sin(angle)
    moved = cosine * down + sine * across - down, cosine * across - sine * down - across
    return _sampled(pixels, rows + moved[0], columns + moved[1])


def warp(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Displaced by a smooth random field."""
    height, width = pixels.shape[:2]
    coarse = rng.standard_normal((2, 4, 4)).astype(np.float32)
    fields = [Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC) for plane in coarse]
    field = np.stack([np.asarray(plane, dtype=np.float64) for plane in fields])
    field *= strength / 100 * min(height, width) / np.hypot(*field).max()
    rows, columns = _grid(pixels)
    return _sampled(pixels, rows + field[0], columns + field[1])


def _either(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _to_bytes(values: npt.NDArray[np.floating[Any]]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _grid(pixels: Pixels) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Row and column of every pixel, (H, W) each."""
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]].astype(np.float64)
    return rows, columns


def _sampled(pixels: Pixels, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> Pixels:
    """Bilinear values at (H, W) real positions, reflected at the edges."""
    y, x = _reflected(rows, pixels.shape[0]), _reflected(columns, pixels.shape[1])
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    bottom, right = np.minimum(top + 1, pixels.shape[0] - 1), np.minimum(left + 1, pixels.shape[1] - 1)
    down, across = (y - top)[..., None], (x - left)[..., None]
    upper = pixels[top, left] * (1 - across) + pixels[top, right] * across
    lower = pixels[bottom, left] * (1 - across) + pixels[bottom, right] * across
    return _to_bytes(upper * (1 - down) + lower * down)


def _reflected(positions: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """Positions folded into 0 … size − 1."""
    last = size - 1
    if last == 0:
        return np.zeros_like(positions)
    return last - np.abs(positions % (2 * last) - last)


DISTORTIONS: dict[str, Distortion] = {
    kind.name: kind
    for kind in (
        Distortion("jpeg", (40, 65), (88, 96), jpeg),
        Distortion("blur", (0.6, 1.0), (2.2, 4.0), blur),
        Distortion("noise", (4, 8), (18, 36), noise),
        Distortion("brightness", (0.06, 0.12), (0.3, 0.5), brightness),
        Distortion("contrast", (0.08, 0.15), (0.35, 0.6), contrast),
        Distortion("cast", (0.05, 0.1), (0.25, 0.4), cast),
        Distortion("downscale", (1.3, 1.6), (3, 5), downscale),
        Distortion("posterise", (10, 18), (45, 80), posterise),
        Distortion("shift", (1, 2), (6, 10), shift),
        Distortion("rotation", (1, 2), (6, 12), rotation),
        Distortion("warp", (0.8, 1.5), (4, 7), warp),
    )
}
"""Every kind by name, in the order that tables show them."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What a triplet compares: the nearer candidate is weakly ``near``, the other strongly ``far``."""

    name: str
    near: Distortion
    far: Distortion


def _mixed(near: str, far: str) -> Pairing:
    return Pairing(f"{near}-{far}", DISTORTIONS[near], DISTORTIONS[far])


PAIRINGS: dict[str, Pairing] = {
    pairing.name: pairing
    for pairing in (
        *(Pairing(name, kind, kind) for name, kind in DISTORTIONS.items()),
        _mixed("shift", "blur"),
        _mixed("shift", "posterise"),
        _mixed("shift", "jpeg"),
        _mixed("shift", "downscale"),
    )
}
"""Every pairing by name: those of one kind first."""


def find_pairings(names: tuple[str, ...]) -> tuple[Pairing, ...]:
    """Look pairings up; all those of one kind where none is named.

    Raises:
        UsageError: for an unknown or a repeated name, with those there are.
    """
    unknown = [name for name in names if name not in PAIRINGS]
    if unknown:
        raise UsageError(f"no distortion is called {', '.join(unknown)}; choose from {', '.join(PAIRINGS)}")
    if len(set(names)) < len(names):
        raise UsageError(f"a distortion is named twice in {', '.join(names)}")
    return tuple(PAIRINGS[name] for name in names or DISTORTIONS)
