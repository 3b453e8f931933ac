"""The EXIF orientation: found with a few reads, whatever else the EXIF block holds."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.Image import Transpose

UPRIGHT: dict[int, Transpose] = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What brings an image of each EXIF orientation upright; 1 needs nothing."""
_BACKWARD = frozenset({3, 4, 6, 7})
"""Orientations whose first rows end up last, as rows or as columns."""
_AT_ONCE = 2**21
_TAG = 0x0112
_FORMATS = {3: "H", 4: "I"}


def exif_orientation(exif: bytes) -> int:
    """The orientation tag of an EXIF block, 1–8; 1 where the block is broken, says nothing, or says nonsense.

    Args:
        exif: the block, with or without its ``Exif`` prefix.
    """
    body = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(body[:2])
    if order is None:
        return 1
    try:
        value = _find(body, order)
    except struct.error:
        return 1
    return value if 1 <= value <= 8 else 1


def _find(body: bytes, order: str) -> int:
    """Scan the first directory; at most 65,535 entries, since the count has two bytes."""
    (start,) = struct.unpack_from(order + "I", body, 4)
    (count,) = struct.unpack_from(order + "H", body, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", body, at)
        if tag == _TAG:
            return struct.unpack_from(order + _FORMATS[kind], body, at + 8)[0] if kind in _FORMATS else 1
    return 1


def turned(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """(H, W, 3) pixels of an EXIF orientation brought upright; the same array for 1.

    Block by block, since Pillow turns quickly and needs four bytes a pixel twice.
    """
    turn = UPRIGHT.get(orientation)
    if turn is None:
        return pixels
    height, width = pixels.shape[:2]
    across = orientation >= 5
    out = np.empty((width, height, 3) if across else pixels.shape, dtype=np.uint8)
    rows = max(1, _AT_ONCE // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        block = np.asarray(Image.fromarray(pixels[top:bottom]).transpose(turn))
        # Where these rows come to lie: at the same place, or counted from the other end.
        start, stop = (height - bottom, height - top) if orientation in _BACKWARD else (top, bottom)
        (out.transpose(1, 0, 2) if across else out)[start:stop] = block.transpose(1, 0, 2) if across else block
    return out
