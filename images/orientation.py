"""The EXIF orientation: found with a few reads, whatever else the EXIF block holds."""

from __future__ import annotations

import struct

from PIL.Image import Image, Transpose

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


def upright(image: Image, exif: object) -> Image:
    """The image turned as its EXIF block says; the same object where nothing has to be done."""
    turn = UPRIGHT.get(exif_orientation(exif)) if isinstance(exif, bytes) else None
    return image if turn is None else image.transpose(turn)
