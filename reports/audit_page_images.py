"""Pictures of the audit's page: read, compared, made small, and written into the page itself."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..core.errors import ImageRejected
from ..images.decode import decode, load
from ..images.policy import DecodePolicy
from ..indexer.entries import load_named

Pixels = npt.NDArray[np.float64]

_SIDE = 480
"""Longest side of a picture, in pixels: sharp at the width of a card."""
_THUMBNAIL = 160
_QUALITY = 86
_GAIN = 10.0


def read_picture(path: Path) -> Pixels | None:
    """A saved image as (H, W, 3) values in [0, 1]: ``.npy`` as it is, anything else decoded. None if it cannot be."""
    try:
        if path.suffix == ".npy":
            found = np.load(path, allow_pickle=False)
            return found if found.ndim == 3 and found.shape[2] == 3 else None
        return load(path, policy=DecodePolicy()).pixels.astype(np.float64) / 255.0
    except (OSError, ValueError, ImageRejected):
        return None


def named_picture(text: str) -> Pixels | None:
    """As :func:`read_picture`, of an image that a catalog names."""
    try:
        return load_named(text, DecodePolicy()).pixels.astype(np.float64) / 255.0
    except ImageRejected:
        return None


def picture(pixels: Pixels) -> str:
    """An image as a data address, no larger than a card shows it."""
    return _address(Image.fromarray(_bytes(pixels), mode="RGB"), _SIDE)


def difference(clean: Pixels, adversarial: Pixels) -> str | None:
    """Ten times the change around mid-grey, as a data address; None for images of different shapes.

    It is made small by leaving pixels out: means over areas would fade fine noise, and so belittle it.
    """
    if clean.shape != adversarial.shape:
        return None
    change = _bytes(0.5 + _GAIN * (adversarial - clean))
    return _address(Image.fromarray(change, mode="RGB"), _SIDE, Image.Resampling.NEAREST)


def thumbnail_picture(data: bytes | None) -> str | None:
    """A gallery item's own small picture as a data address: decoded and written anew, so nothing else comes along."""
    if data is None:
        return None
    try:
        found = decode(data, policy=DecodePolicy()).pixels
    except ImageRejected:
        return None
    return _address(Image.fromarray(found, mode="RGB"), _THUMBNAIL)


def _bytes(pixels: Pixels) -> npt.NDArray[np.uint8]:
    return np.rint(np.clip(pixels, 0.0, 1.0) * 255.0).astype(np.uint8)


def _address(image: Image.Image, side: int, how: Image.Resampling = Image.Resampling.LANCZOS) -> str:
    scale = side / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, how)
    sink = io.BytesIO()
    image.save(sink, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(sink.getvalue()).decode("ascii")
