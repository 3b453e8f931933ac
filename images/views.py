"""View sets: which versions of an item an index stores, so that a copy with other geometry still finds it (THEORY T3).

| set | views |
|---|---|
| `none` | `original` |
| `flip` | `original`, `flip` |
| `standard` | `original`, `flip`, `centre-90`, `centre-80`, `centre-70`, `flip-centre-80`, `top-left-80`, `top-right-80`, `bottom-left-80`, `bottom-right-80`, `pad-10-black`, `pad-10-white`, `pad-20-black`, `pad-20-white`, `turn-5-left`, `turn-5-right`, `turn-10-left`, `turn-10-right` |

`centre-p` and the corner crops keep p % of each side; `pad-p` adds p % of each side outside, on all four edges;
`turn-d` rotates by d degrees about the centre, keeps the size and fills the corners with mid grey. Sides never fall
below 1 px. Views are constants of the gallery: no theorem asks how they were made.
"""  # noqa: E501 - one row per set

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB."""
_GREY = (128, 128, 128)


@dataclass(frozen=True, slots=True)
class View:
    """One version of an item.

    Attributes:
        name: unique in its set.
        apply: (H, W, 3) uint8 → (H', W', 3) uint8; deterministic; may return a view of its input's memory.
    """

    name: str
    apply: Callable[[Pixels], Pixels]


def original(pixels: Pixels) -> Pixels:
    """The item itself."""
    return pixels


def flip(pixels: Pixels) -> Pixels:
    """Left to right."""
    return pixels[:, ::-1].copy()


def window(pixels: Pixels, *, keep: float, down: float, across: float) -> Pixels:
    """The part of the image that keeps a share of each side.

    Args:
        pixels: (H, W, 3).
        keep: share of each side, in (0, 1].
        down: where the slack goes, vertically: 0 keeps the top edge, 1 the bottom edge.
        across: the same from left to right.
    """
    height, width = pixels.shape[:2]
    kept_height, kept_width = max(1, round(keep * height)), max(1, round(keep * width))
    top, left = round(down * (height - kept_height)), round(across * (width - kept_width))
    return pixels[top : top + kept_height, left : left + kept_width]


def flipped_window(pixels: Pixels, *, keep: float) -> Pixels:
    """The centre, left to right."""
    return flip(window(pixels, keep=keep, down=0.5, across=0.5))


def pad(pixels: Pixels, *, share: float, level: int) -> Pixels:
    """A frame of one grey level outside the image, a share of each side wide and at least 1 px."""
    height, width = pixels.shape[:2]
    down, across = max(1, round(share * height)), max(1, round(share * width))
    framed = np.full((height + 2 * down, width + 2 * across, 3), level, dtype=np.uint8)
    framed[down:-down, across:-across] = pixels
    return framed


def turn(pixels: Pixels, *, degrees: float) -> Pixels:
    """Rotate about the centre, counter-clockwise for positive angles."""
    turned = Image.fromarray(pixels).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=_GREY)
    return np.asarray(turned)


_NONE = (View("original", original),)
_FLIP = (*_NONE, View("flip", flip))
_STANDARD = (
    *_FLIP,
    View("centre-90", partial(window, keep=0.9, down=0.5, across=0.5)),
    View("centre-80", partial(window, keep=0.8, down=0.5, across=0.5)),
    View("centre-70", partial(window, keep=0.7, down=0.5, across=0.5)),
    View("flip-centre-80", partial(flipped_window, keep=0.8)),
    View("top-left-80", partial(window, keep=0.8, down=0.0, across=0.0)),
    View("top-right-80", partial(window, keep=0.8, down=0.0, across=1.0)),
    View("bottom-left-80", partial(window, keep=0.8, down=1.0, across=0.0)),
    View("bottom-right-80", partial(window, keep=0.8, down=1.0, across=1.0)),
    View("pad-10-black", partial(pad, share=0.1, level=0)),
    View("pad-10-white", partial(pad, share=0.1, level=255)),
    View("pad-20-black", partial(pad, share=0.2, level=0)),
    View("pad-20-white", partial(pad, share=0.2, level=255)),
    View("turn-5-left", partial(turn, degrees=5)),
    View("turn-5-right", partial(turn, degrees=-5)),
    View("turn-10-left", partial(turn, degrees=10)),
    View("turn-10-right", partial(turn, degrees=-10)),
)

VIEW_SETS: dict[str, tuple[View, ...]] = {"none": _NONE, "flip": _FLIP, "standard": _STANDARD}
"""The views that ``--views`` names; the first of each set is the item itself."""

VIEW_ROWS: dict[str, str] = dict.fromkeys(VIEW_SETS, "float32")
"""How rows are stored where ``--rows`` does not say."""
