"""A loaded image → its upright pixels, strip by strip, so that a large one costs few bytes a pixel.

Pillow keeps four bytes a pixel and makes a new image for every conversion. Here some rows at a time are converted and
written where they belong: beside the loaded image there are the three bytes a pixel of the result, and one strip.
Every conversion is of single pixels, so the strips change none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt
from PIL import Image

from .colour import laid_on, parted, to_srgb
from .orientation import exif_orientation, turned
from .policy import Colour, DecodePolicy

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB."""
Guard = Callable[[], AbstractContextManager[None]]
"""What calls into Pillow stand inside."""
STRIP = 2**21
"""Pixels converted at a time."""
FLAT_LEVELS = 8
"""A picture none of whose channels spans more levels than this shows nothing."""


def is_flat(pixels: Pixels) -> bool:
    """Whether a picture shows nothing: no channel spans more than :data:`FLAT_LEVELS` levels."""
    rows, columns = (max(1, side // 64) for side in pixels.shape[:2])
    return _spread(pixels[::rows, ::columns]) <= FLAT_LEVELS and _spread(pixels) <= FLAT_LEVELS


def _spread(pixels: Pixels) -> int:
    """Levels between the lowest and the highest value, in the channel where that is most."""
    low, high = pixels.min(axis=(0, 1)), pixels.max(axis=(0, 1))
    return int((high.astype(np.int16) - low).max())


def shown_pixels(image: Image.Image, policy: DecodePolicy, guard: Guard) -> Pixels:
    """The pixels of a loaded image as it lies in its file, over the background that lets something be seen.

    Args:
        image: loaded.
        policy: of its colours and backgrounds.
        guard: around calls into Pillow that may fail on a file's account.
    """
    pixels, clear = _on(image, policy, policy.background, guard)
    if not (clear and policy.looks_further and is_flat(pixels)):
        return pixels
    other, _ = _on(image, policy, policy.other_background, guard)
    return other if _spread(other) > _spread(pixels) else pixels


def _on(image: Image.Image, policy: DecodePolicy, background: Colour, guard: Guard) -> tuple[Pixels, bool]:
    """The image over one colour, and whether any of it is transparent."""
    strips, clear = list(_strips(image)), False
    out = np.empty((image.height, image.width, 3), dtype=np.uint8) if len(strips) > 1 else None
    for top, bottom in strips:
        rgb, alpha = _part(image, top, bottom, policy, guard)
        clear = clear or alpha is not None
        done = np.asarray(rgb if alpha is None else laid_on(rgb, alpha, background))
        if out is None:
            return done, clear
        out[top:bottom] = done
    assert out is not None, "an image has rows"
    return out, clear


def _part(
    image: Image.Image, top: int, bottom: int, policy: DecodePolicy, guard: Guard
) -> tuple[Image.Image, Image.Image | None]:
    whole = bottom - top == image.height
    with guard():
        part = image if whole else image.crop((0, top, image.width, bottom))
        base, alpha = parted(part)
    return to_srgb(part, base, alpha, source=image, policy=policy)


def _strips(image: Image.Image) -> Iterator[tuple[int, int]]:
    """(first row, row after the last) of each strip."""
    rows = max(1, STRIP // image.width)
    yield from ((top, min(top + rows, image.height)) for top in range(0, image.height, rows))


def upright(pixels: Pixels, exif: object) -> Pixels:
    """The pixels turned as an EXIF block says; the same array where nothing has to be done."""
    return turned(pixels, exif_orientation(exif)) if isinstance(exif, bytes) else pixels
