"""What an image may be to the public surface, and the pixels that it stands for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..core.errors import ImageRejected, UsageError
from ..images.colour import MODES
from ..images.decode import decode
from ..images.isolated import Decoder
from ..images.pixels import shown_pixels, upright
from ..images.policy import DecodePolicy
from ..images.quiet import quiet
from ..indexer.addresses import asked_text, path_to_text
from ..indexer.entries import load_named

Float64 = npt.NDArray[np.float64]
ImageLike = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[np.uint8] | npt.NDArray[np.floating]
"""A path; the bytes of a file; a PIL image; or an array (H, W, 3), uint8 or floating with values in [0, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image as the theorems speak of it.

    Attributes:
        name: its path, or what it is where it has none.
        given: (H, W, 3) uint8 levels, or float64 in [0, 1].
    """

    name: str
    given: npt.NDArray[np.uint8] | Float64

    @property
    def pixels(self) -> Float64:
        """(H, W, 3) float64 in [0, 1]: levels divided by 255."""
        return self.given.astype(np.float64) / 255.0 if self.given.dtype == np.uint8 else self.given.astype(np.float64)

    @property
    def size(self) -> int:
        """How many values it has."""
        return self.given.size


def is_many(image: object) -> bool:
    """Whether this is a list or tuple of images rather than one."""
    return isinstance(image, list | tuple)


def read_image(image: ImageLike, policy: DecodePolicy | None = None, decode: Decoder = decode) -> Picture:
    """The pixels of an image.

    Files and bytes are decoded by the policy. A PIL image is brought to upright 8-bit sRGB as a file would be. Arrays
    are taken as they are.

    Args:
        image: see :data:`ImageLike`.
        policy: how files are decoded; None for the usual policy.
        decode: what decodes files and bytes; ``images.isolated`` for those of strangers.

    Raises:
        ImageRejected: no acceptable image.
        UsageError: not an image at all, or an array of another shape, type or range.
    """
    policy = policy or DecodePolicy()
    if isinstance(image, str | os.PathLike):
        return Picture(text := asked_text(image), load_named(text, policy, decode).pixels)
    if isinstance(image, bytes | bytearray | memoryview):
        return Picture(f"{len(image)} bytes", decode(bytes(image), policy=policy).pixels)
    if isinstance(image, Image.Image):
        return Picture(_name(image), _plain(image, policy))
    if isinstance(image, np.ndarray):
        return Picture(f"array {'×'.join(map(str, image.shape))}", _checked(image))
    raise UsageError(
        f"an image is a path, bytes, a PIL image or an array (H, W, 3), got {type(image).__name__}; "
        "a torch batch goes to a model: retr.load_model(…)(batch)"
    )


def read_images(
    images: Sequence[ImageLike], policy: DecodePolicy | None = None, decode: Decoder = decode
) -> list[Picture]:
    """The pixels of several images; an error says which one it was."""
    return [_numbered(place, image, policy, decode) for place, image in enumerate(images)]


def to_bytes(picture: Picture) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8, rounded to the nearest level."""
    return np.rint(picture.pixels * 255.0).astype(np.uint8)


def exact_bytes(picture: Picture) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 of an image that has whole levels only: what files hold, and what edits are made of.

    Raises:
        UsageError: some value is no multiple of 1/255.
    """
    levels = to_bytes(picture)
    if not (levels / 255.0 == picture.pixels).all():
        raise UsageError(f"{picture.name}: edits are made of 8-bit images, and this one has values between the levels")
    return levels


def _numbered(place: int, image: ImageLike, policy: DecodePolicy | None, decode: Decoder) -> Picture:
    try:
        return read_image(image, policy, decode)
    except ImageRejected as why:
        why.add_note(f"image {place} of the list: {_called(image)}")
        raise


def _called(image: ImageLike) -> str:
    return asked_text(image) if isinstance(image, str | os.PathLike) else type(image).__name__


def _checked(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.floating]) -> npt.NDArray[np.uint8] | Float64:
    shown = f"got {pixels.dtype} {pixels.shape}"
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise UsageError(f"an array is one image (H, W, 3), {shown}; several images go into a list")
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.uint8)
    if not np.issubdtype(pixels.dtype, np.floating):
        raise UsageError(f"an array holds uint8 levels or floating values in [0, 1], {shown}")
    values = pixels.astype(np.float64)
    low, high = float(values.min()), float(values.max())  # NaN where there is one
    if not (low >= 0.0 and high <= 1.0):
        raise UsageError(f"floating pixels lie in [0, 1], got {low:g} to {high:g}; divide levels by 255")
    return values


def _name(image: Image.Image) -> str:
    file = getattr(image, "filename", "")
    return path_to_text(file) if isinstance(file, str) and file else f"PIL image {image.width}×{image.height}"


def _plain(image: Image.Image, policy: DecodePolicy) -> npt.NDArray[np.uint8]:
    """Upright 8-bit sRGB without alpha, by the rules that files go by."""
    if image.mode not in MODES:
        raise _refused("identify", "unsupported-mode", f"pixels of Pillow mode {image.mode} have no stated range")
    try:
        with quiet():
            image.load()
            pixels = shown_pixels(image, policy, nullcontext)
    except (OSError, SyntaxError, ValueError) as error:
        raise _refused("decode", "corrupt", str(error)) from error
    return pixels if image.format == "TIFF" else upright(pixels, image.info.get("exif"))


def _refused(stage: str, reason: str, detail: str) -> ImageRejected:
    return ImageRejected(stage=stage, reason=reason, detail=detail)
