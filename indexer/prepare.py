"""What a worker does for one file: decode it, make its views, resize each; never raise for a bad file."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import ImageRejected
from ..images.decode import DecodedImage, load
from ..images.policy import DecodePolicy
from ..images.resize import resize_operator
from ..images.views import Pixels, View
from .corpus import file_stamp, text_to_path


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to do with every file: the decode policy, the views, and the input sizes the channels need."""

    policy: DecodePolicy
    views: tuple[View, ...]
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """One good file, ready to embed. Its pixels are not kept, so that waiting files cost little memory.

    Attributes:
        inputs: input size → (views, 3, h, w) float32.
    """

    path: str
    bytes_sha256: str
    pixels_sha256: str
    byte_count: int
    mtime_ns: int
    width: int
    height: int
    format: str
    inputs: dict[tuple[int, int], Tensor]
    decode_s: float
    resize_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """One file that is no acceptable image."""

    path: str
    why: ImageRejected
    decode_s: float = 0.0


def prepare(path: str, recipe: Recipe) -> Prepared | Refused:
    """Decode, view and resize one file."""
    began = time.perf_counter()
    file = text_to_path(path)
    stamp = file_stamp(file)
    try:
        image = load(file, policy=recipe.policy)
        pixels_sha256 = image.pixels_sha256
    except ImageRejected as why:
        return Refused(path, why, time.perf_counter() - began)
    decoded = time.perf_counter()
    inputs = resize_views(image, recipe)
    resized = time.perf_counter()
    return Prepared(
        path=path,
        bytes_sha256=image.bytes_sha256,
        pixels_sha256=pixels_sha256,
        byte_count=image.byte_count,
        mtime_ns=stamp[1] if stamp else 0,
        width=image.width,
        height=image.height,
        format=image.format,
        inputs=inputs,
        decode_s=decoded - began,
        resize_s=resized - decoded,
    )


def resize_views(image: DecodedImage, recipe: Recipe) -> dict[tuple[int, int], Tensor]:
    """All views of an image at all input sizes, float32.

    Gallery rows are constants, so float32 serves here; the certified path of a query is float64 (THEORY §0). Where
    there are many views, those after the first are made from a smaller copy: a large photograph costs little more than
    a small one.
    """
    small = reduced(image.pixels, recipe)
    first, *others = recipe.views
    views = [_to_tensor(first.apply(image.pixels)), *(_to_tensor(view.apply(small)) for view in others)]
    return {
        size: torch.stack([resize_operator((v.shape[1], v.shape[2]), size).apply(v) for v in views])
        for size in recipe.sizes
    }


MANY_VIEWS = 4
_SPARE = 4


def reduced(pixels: Pixels, recipe: Recipe) -> Pixels:
    """The image by a whole factor smaller, by means over boxes, its short side still four times any input's.

    The image itself where that factor is 1, or up to MANY_VIEWS views are made of it.
    """
    side = _SPARE * max(max(size) for size in recipe.sizes)
    factor = min(pixels.shape[:2]) // side
    if factor < 2 or len(recipe.views) <= MANY_VIEWS:
        return pixels
    return np.asarray(Image.fromarray(pixels).reduce(factor))


def _to_tensor(pixels: np.ndarray) -> Tensor:  # h w 3 uint8 -> 3 h w float32 in [0, 1]
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32, order="C")).div_(255.0)
