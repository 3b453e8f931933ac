"""Which frame of an animation stands for it: the first that shows anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PIL import ImageFile

from ..core.errors import ImageRejected
from .pixels import Guard, Pixels, is_flat, shown_pixels
from .policy import DecodePolicy

ANIMATED = frozenset({"GIF", "WEBP", "PNG", "AVIF"})
"""Formats whose frames are one picture in time; pages of a TIFF and images of a HEIF are not."""


def first_shown(
    image: ImageFile.ImageFile,
    first: Pixels,
    policy: DecodePolicy,
    guard: Guard,
    check: Callable[[ImageFile.ImageFile], None],
) -> Pixels:
    """The first frame that is not flat; the first of all where none of those that are looked at is.

    At most ``max_frames`` frames and ``max_pixels`` pixels in all are decoded. A frame that cannot be decoded ends the
    search: the file was accepted for its first one.

    Args:
        image: its first frame loaded.
        first: that frame's pixels, which are flat.
        policy: of the limits and the colours.
        guard: around calls into Pillow that may fail on a file's account.
        check: raises ImageRejected for a frame whose size the policy does not allow.
    """
    later = (pixels for pixels in _later(image, policy, guard, check) if not is_flat(pixels))
    return next(later, first)


def _later(
    image: ImageFile.ImageFile, policy: DecodePolicy, guard: Guard, check: Callable[[ImageFile.ImageFile], None]
) -> Iterator[Pixels]:
    decoded = image.width * image.height
    for number in range(1, policy.max_frames):
        try:
            with guard():
                image.seek(number)
            check(image)
            decoded += image.width * image.height
            if decoded > policy.max_pixels:
                return
            with guard():
                image.load()
            yield shown_pixels(image, policy, guard)
        except ImageRejected as why:
            if why.reason == "out-of-memory":
                raise
            return
