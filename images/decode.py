"""Bytes or a path → 8-bit sRGB pixels under one policy, or a rejection with a name. Never a crash, warning or hang.

| reason | stage | what it means |
|---|---|---|
| `not-found` | read | nothing is at the path, or a link leads nowhere |
| `vanished` | read | the file was there a moment before, and is gone |
| `not-a-regular-file` | read | a directory, FIFO, socket or device; it is not opened |
| `unreadable` | read | no permission, a loop of links, an impossible name, an I/O error, or changed while being read |
| `zero-byte` | identify | the file is empty |
| `not-an-image` | identify | the first bytes begin no image format (text, HTML, PDF, archives, video, noise) |
| `unsupported-format` | identify | an image in a format outside the policy (SVG, EPS, PSD, ICO, JPEG 2000, …) |
| `unsupported-mode` | identify | pixels of no stated range (32-bit integer, float) or a depth Pillow cannot read |
| `needs-heif-extra` | identify | HEIC or HEIF, and the `heif` extra is not installed |
| `too-many-bytes` | limits | larger than the policy's `max_bytes`; known from the file's size, before reading |
| `too-many-pixels` | limits | the header declares more than `max_pixels`, or a side over `max_side` |
| `decompression-bomb` | limits | too many pixels from a file far too small for them, or tiles or scans of that kind |
| `too-much-metadata` | limits | text, EXIF, comments or tags beyond `max_metadata_bytes`, or beyond Pillow's own cap |
| `truncated` | decode | the file ends before its image does |
| `corrupt` | decode | damaged in any other way |
| `out-of-memory` | decode | the decoder could not allocate what the file asked for |

The format is told by content, so a wrong extension does no harm. What is decoded, and how colours are converted, is in
`docs/decode-policy.md`. The functions are safe to call from many threads: Pillow releases the GIL while it decodes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ..core.errors import ImageRejected, UsageError
from ..core.files import sha256_bytes
from .colour import MODES
from .containers import check_container, ends_early
from .frames import ANIMATED, first_shown
from .identify import identify
from .jpeg_end import endless_jpeg
from .pixels import Pixels, is_flat, shown_pixels, upright
from .policy import DecodePolicy
from .quiet import quiet

NOTES = {"no-end-marker": "a JPEG without its end marker: nothing else of it is missing"}
"""What may be wrong with a file that is accepted."""
_HASHED_AT_ONCE = 2**24
BOMB_RATIO = 1000
"""Pixels per byte of file beyond which an oversized image is called a bomb; photographs have fewer than 100."""

_Opener = Callable[[BytesIO], ImageFile.ImageFile]
# The plugin classes themselves, one per format, instead of Image.open: no other plugin can ever see the bytes, and
# Pillow's global pixel limit (a process-wide setting with warnings) does not take part.
_OPENERS: MappingProxyType[str, _Opener] = MappingProxyType(
    {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
        "AVIF": AvifImagePlugin.AvifImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
    }
)


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """The pixels that a file stands for under a policy.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB, read-only, upright.
        format: one of :data:`retr.images.identify.FORMATS`.
        byte_count: size of the file.
        bytes_sha256: hex SHA-256 of the file's bytes.
        note: what is wrong with the file although its pixels are whole: a name of :data:`NOTES`; None for nothing.
    """

    pixels: npt.NDArray[np.uint8]
    format: str
    byte_count: int
    bytes_sha256: str
    note: str | None = None

    @property
    def width(self) -> int:
        """Pixels in a row, after orientation."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """Rows, after orientation."""
        return self.pixels.shape[0]

    @cached_property
    def pixels_sha256(self) -> str:
        """Hex SHA-256 of the shape and the pixels: equal for files that decode alike, whatever their bytes."""
        return pixels_digest(self.pixels)


def pixels_digest(pixels: npt.NDArray[np.uint8]) -> str:
    """Hex SHA-256 of the shape and the values of (H, W, 3) pixels."""
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}x3:".encode())
    rows = max(1, _HASHED_AT_ONCE // pixels[:1].size)
    for top in range(0, len(pixels), rows):
        digest.update(np.ascontiguousarray(pixels[top : top + rows]).data)
    return digest.hexdigest()


def load(path: Path, *, policy: DecodePolicy) -> DecodedImage:
    """Read and decode one file; nothing but a regular file is ever opened.

    Raises:
        ImageRejected: with a reason of the table above.
    """
    return decode(read_image_file(path, policy=policy), policy=policy)


def decode(data: bytes, *, policy: DecodePolicy) -> DecodedImage:
    """Decode one image file held in memory.

    Raises:
        ImageRejected: with a reason of the table above, at any stage but ``read``.
        UsageError: where the process has told Pillow to accept truncated images.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise UsageError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set: truncated files would pass for images; unset it")
    _check_bytes(len(data), policy)
    found = identify(data)
    opener = _opener(found, data)
    check_container(found, data, policy)
    with quiet():
        pixels, note = _decoded_or_mended(found, opener, data, policy)
    pixels.setflags(write=False)
    return DecodedImage(pixels, found, len(data), sha256_bytes(data), note)


def read_image_file(path: Path, *, policy: DecodePolicy) -> bytes:
    """The bytes of a regular file within the policy's cap.

    Raises:
        ImageRejected: ``not-found``, ``vanished``, ``not-a-regular-file``, ``unreadable`` or ``too-many-bytes``.
    """
    size: int | None = None
    try:
        size = _regular_size(os.stat(path))
        _check_bytes(size, policy)
        # Between the two looks the file may have been swapped for a FIFO: without O_NONBLOCK, opening that would hang.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as handle:
            before = os.fstat(descriptor)
            size = _regular_size(before)
            _check_bytes(size, policy)
            data = handle.read(size + 1)
            after = os.fstat(descriptor)
    except (OSError, ValueError) as error:
        raise _unread(error, size) from error
    if len(data) != size or (after.st_size, after.st_mtime_ns) != (size, before.st_mtime_ns):
        raise ImageRejected(stage="read", reason="unreadable", detail="the file was changed while it was read")
    return data


def _regular_size(status: os.stat_result) -> int:
    """Size in bytes; refuses everything that is not a regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a FIFO, socket or device"
        raise ImageRejected(stage="read", reason="not-a-regular-file", detail=f"this is {kind}")
    return status.st_size


def _unread(error: OSError | ValueError, size: int | None) -> ImageRejected:
    """Name a failure of the file system; a ValueError is a name with a NUL byte in it."""
    gone = isinstance(error, FileNotFoundError | NotADirectoryError) or getattr(error, "errno", None) == errno.ESTALE
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    reason = "unreadable" if not gone else "not-found" if size is None else "vanished"
    return ImageRejected(stage="read", reason=reason, detail=text, byte_count=size)


def _check_bytes(size: int, policy: DecodePolicy) -> None:
    if size > policy.max_bytes:
        detail = f"{size} bytes; the policy allows {policy.max_bytes}"
        raise ImageRejected(stage="limits", reason="too-many-bytes", detail=detail, byte_count=size)


def _opener(found: str, data: bytes) -> _Opener:
    """The one plugin for a format."""
    return _heif_opener(data) if found == "HEIF" else _OPENERS[found]


def _heif_opener(data: bytes) -> _Opener:
    """HEIF's plugin comes with an optional package; it is not registered with Pillow, only used here."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        detail = "HEIC needs the extra: pip install 'retr[heif]'"
        raise ImageRejected(stage="identify", reason="needs-heif-extra", detail=detail, byte_count=len(data)) from None
    return HeifImageFile


def _decoded_or_mended(found: str, opener: _Opener, data: bytes, policy: DecodePolicy) -> tuple[Pixels, str | None]:
    """The pixels, and a note where the file lacks only its end."""
    try:
        return _decoded(found, opener, data, policy), None
    except ImageRejected as why:
        if not (why.reason == "truncated" and found == "JPEG" and policy.looks_further):
            raise
        pixels = endless_jpeg(data, lambda whole: _decoded(found, opener, whole, policy))
        if pixels is None:
            raise
        return pixels, "no-end-marker"


def _decoded(found: str, opener: _Opener, data: bytes, policy: DecodePolicy) -> Pixels:
    """Open, check what the header declares, then decode what stands for the file and bring it to upright sRGB."""
    guard = partial(_pillow, found, data)
    with guard():
        image = opener(BytesIO(data))
    _check_header(image, data, policy)
    size, exif = image.size, image.info.get("exif")
    try:
        with guard():
            image.load()
        pixels = shown_pixels(image, policy, guard)
        if found in ANIMATED and policy.looks_further and is_flat(pixels):
            pixels = first_shown(image, pixels, policy, guard, lambda frame: _check_header(frame, data, policy))
        exif = image.info.get("exif", exif)
        del image  # its memory, before the pixels are turned
        # Pillow turns TIFF by itself while loading; doing it again would undo it.
        return pixels if found == "TIFF" else upright(pixels, exif)
    except MemoryError as error:
        detail = f"{found}: no memory for {size[0]} × {size[1]} pixels"
        raise ImageRejected(stage="decode", reason="out-of-memory", detail=detail, byte_count=len(data)) from error


def _check_header(image: Image.Image, data: bytes, policy: DecodePolicy) -> None:
    """The caps, on declared dimensions, before any pixel is decoded."""
    width, height = image.size
    pixels, size = width * height, len(data)
    if pixels > policy.max_pixels or max(width, height) > policy.max_side:
        reason = "decompression-bomb" if pixels > max(policy.max_pixels, BOMB_RATIO * size) else "too-many-pixels"
        detail = f"{width} × {height} pixels in {size} bytes; the policy allows {policy.max_pixels}, "
        detail += f"at most {policy.max_side} a side"
        raise ImageRejected(stage="limits", reason=reason, detail=detail, byte_count=size)
    if image.mode not in MODES:
        detail = f"pixels of Pillow mode {image.mode} have no stated range"
        raise ImageRejected(stage="identify", reason="unsupported-mode", detail=detail, byte_count=size)


@contextmanager
def _pillow(found: str, data: bytes) -> Iterator[None]:
    """Give whatever Pillow raises a name. Only calls into Pillow stand inside this block."""
    try:
        yield
    except Exception as error:
        stage, reason = _named(error, found, data)
        detail = f"{found}: {str(error) or type(error).__name__}"
        raise ImageRejected(stage=stage, reason=reason, detail=detail, byte_count=len(data)) from error


def _named(error: Exception, found: str, data: bytes) -> tuple[str, str]:
    """(stage, reason) of an exception from Pillow; its texts are all there is to go by."""
    text = str(error).lower()
    if isinstance(error, MemoryError):
        return "decode", "out-of-memory"
    if isinstance(error, Image.DecompressionBombError):
        return "limits", "decompression-bomb"
    if "data too large" in text or "too much memory used in text" in text:
        return "limits", "too-much-metadata"
    if any(words in text for words in ("unknown pixel mode", "cannot handle", "unsupported bmp")):
        return "identify", "unsupported-mode"
    if isinstance(error, EOFError) or "truncat" in text or ends_early(found, data):
        return "decode", "truncated"
    return "decode", "corrupt"
