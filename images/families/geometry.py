"""Crops, downscaling, flips and quarter turns: finitely many members, each a lossless file of its own size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image

from ...core.errors import UsageError
from ..policy import DecodePolicy
from .encoded import jpeg_program, through
from .family import Finite, Pixels

Ints = npt.NDArray[np.int64]
MOST_CROPS = 400_000
FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}


@dataclass(frozen=True, kw_only=True)
class Crops(Finite):
    """Every whole window that keeps at least a share of both sides.

    Attributes:
        pixels: the query.
        rows, columns: (a, 2), (b, 2) first place and length of each window along one side; member i is the window of
            rows i // b and columns i % b.
    """

    pixels: Pixels
    rows: Ints
    columns: Ints


def crops(pixels: Pixels, *, share: float) -> Crops:
    """All of them, the whole image among them.

    Raises:
        UsageError: there are more than can be gone through.
    """
    height, width = pixels.shape[:2]
    rows, columns = windows(height, share), windows(width, share)
    if len(rows) * len(columns) > MOST_CROPS:
        raise UsageError(
            f"crop: an image of {width}×{height} pixels has {len(rows) * len(columns)} crops that keep "
            f"{100 * share:g} % of both sides, and at most {MOST_CROPS} can be gone through: ask for a larger share"
        )
    first, second = (np.repeat(np.arange(len(rows)), len(columns)), np.tile(np.arange(len(columns)), len(rows)))
    sizes = np.stack([rows[first, 1], columns[second, 1]], axis=1)
    kept = np.minimum(100.0 * sizes[:, 0] / height, 100.0 * sizes[:, 1] / width)

    def window(at: int) -> tuple[int, int, int, int]:
        (top, tall), (left, wide) = rows[first[at]], columns[second[at]]
        return int(top), int(left), int(tall), int(wide)

    def make(at: int) -> Pixels:
        top, left, tall, wide = window(at)
        return pixels[top : top + tall, left : left + wide]

    def label(at: int) -> str:
        top, left, tall, wide = window(at)
        return f"{wide}×{tall} at {left},{top}"

    return Crops(
        name="crop",
        program="crop 1: every whole window, stored without loss",
        values=kept,
        identity=100.0,
        sizes=sizes,
        make=make,
        label=label,
        names=("kept %",),
        pixels=pixels,
        rows=rows,
        columns=columns,
    )


def windows(side: int, share: float) -> Ints:
    """(n, 2) first place and length of every whole window of a side that keeps a share of it, the longest first."""
    least = max(1, math.ceil(share * side - 1e-9))
    return np.array(
        [(at, size) for size in range(side, least - 1, -1) for at in range(side - size + 1)], dtype=np.int64
    )


def downscale(pixels: Pixels, *, share: float, kernel: str, back: bool = False) -> Finite:
    """To every whole size whose longer side is at least a share of the query's; the other side follows, rounded.

    Args:
        pixels: the query.
        share: of the longer side.
        kernel: a key of :data:`FILTERS`.
        back: enlarged again to the query's size, with the same filter.
    """
    shape = pixels.shape[:2]
    longer = max(shape)
    sides = np.arange(longer, max(1, math.ceil(share * longer - 1e-9)) - 1, -1)
    small = np.array([[max(1, round(side * own / longer)) for own in shape] for side in sides], dtype=np.int64)
    image, method = Image.fromarray(np.ascontiguousarray(pixels)), FILTERS[kernel]

    def make(at: int) -> Pixels:
        tall, wide = (int(side) for side in small[at])
        made = image.resize((wide, tall), method)
        return np.asarray(made.resize((shape[1], shape[0]), method) if back else made)

    name = ("rescale" if back else "downscale") + ("" if kernel == "lanczos" else f"-{kernel}")
    return Finite(
        name=name,
        program=f"{kernel} by Pillow {PIL.__version__}{', and back to the query’s size' if back else ''}, lossless",
        values=100.0 * sides / longer,
        identity=100.0,
        sizes=np.tile(np.asarray(shape), (len(sides), 1)) if back else small,
        make=make,
        label=lambda at: f"{small[at][1]}×{small[at][0]}",
        names=("size %",),
    )


def downscale_jpeg(pixels: Pixels, policy: DecodePolicy, *, share: float) -> Finite:
    """Lanczos to each whole tenth of the size, then JPEG at each quality 30…95."""
    shape = pixels.shape[:2]
    tenths = [tenth for tenth in range(10, 0, -1) if tenth / 10.0 >= share - 1e-9]
    small = np.array([[max(1, round(tenth * own / 10.0)) for own in shape] for tenth in tenths], dtype=np.int64)
    qualities = range(95, 29, -1)
    pairs = [(scale, quality) for scale in range(len(tenths)) for quality in qualities]
    image = Image.fromarray(np.ascontiguousarray(pixels))

    def make(at: int) -> Pixels:
        scale, quality = pairs[at]
        tall, wide = (int(side) for side in small[scale])
        made = np.asarray(image.resize((wide, tall), Image.Resampling.LANCZOS))
        return through(made, policy, format="JPEG", quality=quality, subsampling="4:2:0")

    def label(at: int) -> str:
        scale, quality = pairs[at]
        return f"{small[scale][1]}×{small[scale][0]}, quality {quality}"

    return Finite(
        name="downscale-jpeg",
        program=f"lanczos by Pillow {PIL.__version__} to whole tenths, then {jpeg_program('4:2:0')}, quality 30…95",
        values=np.array([float(10 * tenths[scale]) for scale, _ in pairs]),
        identity=100.0,
        sizes=small[[scale for scale, _ in pairs]],
        make=make,
        label=label,
        names=("size %",),
    )


def flip(pixels: Pixels) -> Finite:
    """Left to right."""
    return _turned("flip", pixels, {"left to right": lambda image: image[:, ::-1]})


def quarter_turns(pixels: Pixels) -> Finite:
    """90°, 180° and 270° counter-clockwise."""
    return _turned(
        "quarter-turns", pixels, {f"{90 * turns}°": (lambda image, n=turns: np.rot90(image, n)) for turns in (1, 2, 3)}
    )


def _turned(name: str, pixels: Pixels, ways: dict[str, Callable[[Pixels], Pixels]]) -> Finite:
    labels, steps = list(ways), list(ways.values())
    return Finite(
        name=name,
        program=f"{name} 1, stored without loss",
        values=np.arange(1.0, len(labels) + 1.0),
        identity=0.0,
        sizes=np.array([step(pixels).shape[:2] for step in steps], dtype=np.int64),
        make=lambda at: np.ascontiguousarray(steps[at](pixels)),
        label=lambda at: labels[at],
        names=("way",),
        ordered=False,
    )
