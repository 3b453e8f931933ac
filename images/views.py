"""Views of an item: what an index stores of it, so that a copy with other geometry still finds it (THEORY T3).

A view is named by its steps, joined by ``+`` and done from left to right:

| step | meaning |
|---|---|
| `original` | the item itself |
| `flip` | left to right |
| `crop-HxW-at-DxA` | keeps H % of the height, W % of the width; D % of the slack lies above the window, A % left |
| `border-DxA-LEVEL` | adds D % of the height above and below, A % of the width at either side, in one level |
| `turn-left-N-LEVEL`, `turn-right-N-LEVEL` | rotates by N degrees about the centre, keeps the size, fills the corners |
| `window-T-F-M-LEVEL` | as a screenshot shows it: T % of the height above, F % below, M % of the width at either side |

| `bar-across-T-at-P-LEVEL`, `bar-down-T-at-P-LEVEL` | hides T % of the height or width, P % of the rest before it |
| `grey` | luma (ITU-R 601) in all three channels |
| `gamma-N` | each value to the power N/100 |

Levels are `black`, `dark`, `grey`, `light` and `white`. Sides never fall below 1 px, and what is added is at least 1 px
wide where it is not 0 %. Views are constants of the gallery: no theorem asks how they were made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..core.errors import UsageError
from .light_views import LIGHT
from .view_lists import LIGHT_1, STANDARD

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB."""
Step = Callable[[Pixels], Pixels]

LEVELS = {"black": 0, "dark": 33, "grey": 128, "light": 243, "white": 255}
_LEVEL = "(" + "|".join(LEVELS) + ")"


@dataclass(frozen=True, slots=True)
class View:
    """One version of an item.

    Attributes:
        name: its steps; unique in its set.
        apply: (H, W, 3) uint8 → (H', W', 3) uint8; deterministic; may return a view of its input's memory.
    """

    name: str
    apply: Step


def parse_view(name: str) -> View:
    """The view that a name describes.

    Raises:
        UsageError: for a step that is none of those above.
    """
    steps = [_step(text) for text in name.split("+")]
    return View(name, steps[0] if len(steps) == 1 else partial(_in_turn, steps=tuple(steps)))


def _in_turn(pixels: Pixels, *, steps: tuple[Step, ...]) -> Pixels:
    for step in steps:
        pixels = step(pixels)
    return pixels


def _step(text: str) -> Step:
    for pattern, build in _STEPS.items():
        found = re.fullmatch(pattern, text)
        if found:
            return build(*found.groups())
    raise UsageError(f"{text!r} is no step of a view; see images/views.py for those there are")


def original(pixels: Pixels) -> Pixels:
    """The item itself."""
    return pixels


def flip(pixels: Pixels) -> Pixels:
    """Left to right."""
    return pixels[:, ::-1].copy()


def crop(pixels: Pixels, *, keep: tuple[float, float], place: tuple[float, float]) -> Pixels:
    """A window of the image.

    Args:
        pixels: (H, W, 3).
        keep: shares of height and width, in (0, 1].
        place: where the slack goes, down and across: 0 keeps the top or left edge, 1 the bottom or right edge.
    """
    rows, columns = window((pixels.shape[0], pixels.shape[1]), keep=keep, place=place)
    return pixels[rows, columns]


def window(size: tuple[int, int], *, keep: tuple[float, float], place: tuple[float, float]) -> tuple[slice, slice]:
    """Which rows and columns :func:`crop` keeps of an image of this size (height, width): of the size alone."""
    kept = [max(1, round(share * side)) for share, side in zip(keep, size, strict=True)]
    top, left = (round(at * (side - length)) for at, side, length in zip(place, size, kept, strict=True))
    return slice(top, top + kept[0]), slice(left, left + kept[1])


def surround(pixels: Pixels, *, above: float, below: float, beside: float, level: int) -> Pixels:
    """One grey level outside the image: shares of the height above and below, of the width at either side."""
    height, width = pixels.shape[:2]
    top, bottom, side = _size(above, height), _size(below, height), _size(beside, width)
    framed = np.full((top + height + bottom, width + 2 * side, 3), level, dtype=np.uint8)
    framed[top : top + height, side : side + width] = pixels
    return framed


def bar(pixels: Pixels, *, axis: int, share: float, place: float, level: int) -> Pixels:
    """An opaque bar from edge to edge: axis 0 hides rows, axis 1 columns."""
    out, side = pixels.copy(), pixels.shape[axis]
    thick = _size(share, side)
    start = round(place * (side - thick))
    (out if axis == 0 else out.transpose(1, 0, 2))[start : start + thick] = level
    return out


def grey(pixels: Pixels) -> Pixels:
    """Luma in all three channels."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("L").convert("RGB"))


def gamma(pixels: Pixels, *, exponent: float) -> Pixels:
    """Each value, as a share of 255, to a power."""
    table = np.rint(255.0 * (np.arange(256) / 255.0) ** exponent).astype(np.uint8)
    return table[pixels]


def turn(pixels: Pixels, *, degrees: float, level: int) -> Pixels:
    """Rotate about the centre, counter-clockwise for positive angles."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=(level,) * 3))


def _size(share: float, side: int) -> int:
    return max(1, round(share * side)) if share > 0 else 0


def _crop(height: str, width: str, down: str, across: str) -> Step:
    return partial(crop, keep=(int(height) / 100, int(width) / 100), place=(int(down) / 100, int(across) / 100))


def _border(down: str, across: str, level: str) -> Step:
    share = int(down) / 100
    return partial(surround, above=share, below=share, beside=int(across) / 100, level=LEVELS[level])


def _window(title: str, foot: str, margin: str, level: str) -> Step:
    shares = {"above": int(title) / 100, "below": int(foot) / 100, "beside": int(margin) / 100}
    return partial(surround, **shares, level=LEVELS[level])


def _bar(way: str, share: str, place: str, level: str) -> Step:
    return partial(
        bar, axis=0 if way == "across" else 1, share=int(share) / 100, place=int(place) / 100, level=LEVELS[level]
    )


def _gamma(exponent: str) -> Step:
    return partial(gamma, exponent=int(exponent) / 100)


def _turn(side: str, degrees: str, level: str) -> Step:
    return partial(turn, degrees=int(degrees) * (1 if side == "left" else -1), level=LEVELS[level])


_PERCENT = r"(\d{1,2}|100)"
_KEPT = r"([1-9]\d?|100)"
_STEPS: dict[str, Callable[..., Step]] = {
    "original": lambda: original,
    "flip": lambda: flip,
    f"crop-{_KEPT}x{_KEPT}-at-{_PERCENT}x{_PERCENT}": _crop,
    f"border-{_PERCENT}x{_PERCENT}-{_LEVEL}": _border,
    rf"turn-(left|right)-(\d{{1,2}})-{_LEVEL}": _turn,
    f"window-{_PERCENT}-{_PERCENT}-{_PERCENT}-{_LEVEL}": _window,
    f"bar-(across|down)-{_KEPT}-at-{_PERCENT}-{_LEVEL}": _bar,
    "grey": lambda: grey,
    r"gamma-([1-9]\d{1,2})": _gamma,
}


def _set(names: str) -> tuple[View, ...]:
    return tuple(parse_view(name) for name in names.split())


VIEW_SETS: dict[str, tuple[View, ...]] = {
    "none": _set("original"),
    "flip": _set("original flip"),
    "light": _set(LIGHT),
    "light/1": _set(LIGHT_1),
    "standard": _set(STANDARD),
}
"""The views that ``--views`` names; the first of each set is the item itself."""

VIEW_ROWS: dict[str, str] = {
    "none": "float32",
    "flip": "float32",
    "light": "int8",
    "light/1": "int8",
    "standard": "int8",
}
"""How rows are stored where ``--rows`` does not say: many views are worth more than the last bits of each."""

STORED_NAMES = {"light": "light/2", "light/1": "light"}
"""What a snapshot calls a set, where that is another name: what earlier versions stored as ``light`` stays that."""


def view_set(stored: str) -> tuple[View, ...]:
    """The views of a set by the name that a snapshot has for it.

    Raises:
        UsageError: no such set is known here.
    """
    for name, views in VIEW_SETS.items():
        if STORED_NAMES.get(name, name) == stored:
            return views
    raise UsageError(f"the set of views {stored!r} is not known here")
