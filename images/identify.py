"""Which format bytes are in, told by their first bytes and never by a file's name."""

from __future__ import annotations

import struct

from ..core.errors import ImageRejected

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "HEIF")
"""The formats that are decoded; HEIF only with the ``heif`` extra."""

_OURS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"8BPS", "PSD"),
    (b"\0\0\1\0", "ICO"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"icns", "ICNS"),
    (b"gimp xcf", "XCF"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"AT&TFORM", "DjVu"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    *((f"P{digit}".encode() + space, "PNM") for digit in range(1, 8) for space in (b"\n", b" ", b"\r", b"\t")),
)
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def identify(data: bytes) -> str:
    """Name the format of data.

    Returns:
        one of :data:`FORMATS`.

    Raises:
        ImageRejected: ``zero-byte``, ``unsupported-format`` (an image, but in a format outside the policy) or
            ``not-an-image``, all at stage ``identify``.
    """
    if not data:
        raise _rejected(data, "zero-byte", "the file is empty")
    found = _ours(data)
    if found is not None:
        return found
    foreign = _foreign(data)
    if foreign is not None:
        raise _rejected(data, "unsupported-format", f"{foreign} is not one of {', '.join(FORMATS)}")
    raise _rejected(data, "not-an-image", f"the first bytes, {_plain(data[:8])}, begin no image format")


def _plain(data: bytes) -> str:
    """Bytes for people: as text in quotation marks where all are printable, in hexadecimal otherwise."""
    printable = all(0x20 <= byte < 0x7F for byte in data)
    return f'"{data.decode("ascii")}"' if printable else data.hex(" ")


def _ours(data: bytes) -> str | None:
    """The allowed format that data begins like."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    brands = file_brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return "HEIF"
    return next((name for magic, name in _OURS if data.startswith(magic)), None)


def _foreign(data: bytes) -> str | None:
    """The image format outside the policy that data begins like."""
    if b"<svg" in data[:1024].lower():
        return "SVG"
    if data.startswith(b"\0\0\2\0") and data[4:6] != b"\0\0":  # a cursor file names how many it holds
        return "CUR"
    return next((name for magic, name in _FOREIGN if data.startswith(magic)), "TGA" if _is_tga(data) else None)


def _is_tga(data: bytes) -> bool:
    """TGA has no magic number: a header whose every field has one of its few values, or the footer of version 2."""
    if data.endswith(b"TRUEVISION-XFILE.\0"):
        return True
    if len(data) < 18:
        return False
    _, palette, kind, first, length, bits, _, _, width, height, depth, _ = struct.unpack_from("<BBBHHBHHHHBB", data)
    colours = (palette, kind) in ((1, 1), (1, 9)) and length > 0 and bits in (15, 16, 24, 32)
    plain = palette == 0 and kind in (2, 3, 10, 11) and (first, length, bits) == (0, 0, 0)
    return (colours or plain) and width > 0 and height > 0 and depth in (8, 15, 16, 24, 32)


def file_brands(data: bytes) -> frozenset[bytes]:
    """Major and compatible brands of an ISO media file (``ftyp`` box); empty for anything else."""
    if data[4:8] != b"ftyp":
        return frozenset()
    (length,) = struct.unpack_from(">I", data)
    box = data[8 : min(length, 512)]
    # Four bytes after the major brand are its version, not a brand.
    return frozenset(box[at : at + 4] for at in (0, *range(8, len(box) - 3, 4)))


def _rejected(data: bytes, reason: str, detail: str) -> ImageRejected:
    return ImageRejected(stage="identify", reason=reason, detail=detail, byte_count=len(data))
