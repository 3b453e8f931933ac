"""JPEG and WebP: every quality of the encoder that is installed, as our own decoder returns the file."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import PIL
from PIL import Image, features

from ..decode import decode
from ..policy import DecodePolicy
from .family import Finite, Pixels


def jpeg(pixels: Pixels, policy: DecodePolicy, *, qualities: tuple[int, int], subsampling: str) -> Finite:
    """Pillow's JPEG at each whole quality of a range.

    Args:
        pixels: the query.
        policy: of the index, which decodes the files.
        qualities: the lowest and the highest.
        subsampling: 4:2:0 or 4:4:4.
    """
    name = "jpeg" if subsampling == "4:2:0" else "jpeg-444"
    options = {"format": "JPEG", "subsampling": subsampling}
    return _encoded(name, jpeg_program(subsampling), pixels, policy, qualities, options)


def webp(pixels: Pixels, policy: DecodePolicy, *, qualities: tuple[int, int]) -> Finite:
    """Pillow's lossy WebP at each whole quality of a range."""
    program = f"WebP, lossy, method 4, Pillow {PIL.__version__}, libwebp {features.version('webp')}"
    return _encoded("webp", program, pixels, policy, qualities, {"format": "WEBP", "method": 4})


def jpeg_program(subsampling: str) -> str:
    """What writes JPEG files here."""
    turbo = features.version_feature("libjpeg_turbo")
    library = f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"
    return f"JPEG, {subsampling}, Pillow {PIL.__version__}, {library}"


def through(pixels: Pixels, policy: DecodePolicy, **options: Any) -> Pixels:
    """What a file written with these options of Pillow's decodes to."""
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, **options)
    return decode(buffer.getvalue(), policy=policy).pixels


def _encoded(
    name: str,
    program: str,
    pixels: Pixels,
    policy: DecodePolicy,
    qualities: tuple[int, int],
    options: dict[str, Any],
) -> Finite:
    steps = np.arange(qualities[1], qualities[0] - 1, -1)
    make: Callable[[int], Pixels] = lambda at: through(pixels, policy, quality=int(steps[at]), **options)  # noqa: E731
    return Finite(
        name=name,
        program=program,
        values=steps.astype(np.float64),
        identity=100.0,
        sizes=np.tile(np.asarray(pixels.shape[:2]), (len(steps), 1)),
        make=make,
        label=lambda at: f"quality {steps[at]}",
    )
