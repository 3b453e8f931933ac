"""An image through JPEG and back, for edits and distortions."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin


def through_jpeg(pixels: npt.NDArray[np.uint8], *, quality: int) -> npt.NDArray[np.uint8]:
    """What a file of this quality, with 4:2:0 chroma, decodes to.

    Args:
        pixels: (H, W, 3).
        quality: 1…100, as Pillow counts.
    """
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    buffer.seek(0)
    # Not Image.open: it warns of images beyond a limit of Pillow's own, and refuses those of twice its size.
    return np.array(JpegImagePlugin.JpegImageFile(buffer))
