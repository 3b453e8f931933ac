"""Files that are not acceptable images, each with the reason it must be rejected for. Nothing here needs the network.

``write_bad_files(directory)`` is the list that every test of a whole run uses; ``write_good_strangers`` holds files
that look wrong and are right.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

BadFile = tuple[str, str]


def photo(height: int = 48, width: int = 64) -> Image.Image:
    """A small picture with smooth parts, edges and texture."""
    y, x = np.mgrid[0:height, 0:width]
    texture = np.random.default_rng(7).integers(0, 40, (height, width))
    channels = [
        x * 255 // max(1, width - 1),
        y * 255 // max(1, height - 1),
        60 + 100 * ((x // 8 + y // 8) % 2) + texture,
    ]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def encoded(format_name: str, image: Image.Image | None = None, **options: object) -> bytes:
    """An image file in memory."""
    buffer = io.BytesIO()
    (image or photo()).save(buffer, format_name, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes, *, good_crc: bool = True) -> bytes:
    """One PNG chunk."""
    crc = zlib.crc32(kind + body) ^ (0 if good_crc else 1)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def png(width: int, height: int, idat: bytes, *, extra: bytes = b"", good_crc: bool = True) -> bytes:
    """A hand-made RGB PNG; idat is the compressed stream as it stands."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = png_chunk(b"IDAT", idat, good_crc=good_crc)
    return b"\x89PNG\r\n\x1a\n" + header + extra + data + png_chunk(b"IEND", b"")


def bmp(width: int, height: int, body: bytes) -> bytes:
    """A hand-made 24-bit BMP of any claimed size."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + info + body


def tiff(entries: list[tuple[int, int, int, int]]) -> bytes:
    """A little-endian TIFF that is nothing but a directory of (tag, type, count, value)."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + struct.pack("<I", 0)


def tiff_image(**changes: int) -> list[tuple[int, int, int, int]]:
    """Directory of an 8×8 grey TIFF, with some values changed."""
    values = {"width": 8, "height": 8, "offset": 8} | changes
    return [
        (256, 4, 1, values["width"]),
        (257, 4, 1, values["height"]),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, values["offset"]),
        (277, 3, 1, 1),
        (278, 4, 1, values["height"]),
        (279, 4, 1, 64),
    ]


def jpeg_header_only() -> bytes:
    """A JPEG up to its first scan."""
    data = encoded("JPEG")
    return data[: data.index(b"\xff\xda")]


def jpeg_with_segments(count: int) -> bytes:
    """A JPEG with as many empty comments."""
    data = encoded("JPEG")
    return data[:2] + b"\xff\xfe\x00\x02" * count + data[2:]


def jpeg_many_scans(count: int) -> bytes:
    """A huge progressive frame followed by scan after scan."""
    frame = b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", 9000, 9000) + b"\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00\x00"
    return b"\xff\xd8" + frame + scan * count + bytes(100_000) + b"\xff\xd9"


def gif_header(width: int, height: int) -> bytes:
    """A GIF whose only frame fills its screen, with almost no data."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


def webp_canvas(width: int, height: int) -> bytes:
    """An extended WebP header with a canvas and nothing on it."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides
    return b"RIFF" + struct.pack("<I", len(body)) + body


def ftyp(*brands: bytes) -> bytes:
    """The beginning of an ISO media file."""
    body = brands[0] + bytes(4) + b"".join(brands)
    return struct.pack(">I", 8 + len(body)) + b"ftyp" + body + struct.pack(">I", 16) + b"mdat" + bytes(8)


def zip_archive() -> bytes:
    """A zip archive with an image in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photo.jpg", encoded("JPEG"))
    return buffer.getvalue()


def flipped(data: bytes, at: int) -> bytes:
    """One byte inverted."""
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def without(data: bytes, share: float) -> bytes:
    """The first part of data."""
    return data[: int(len(data) * share)]


def bad_contents() -> dict[str, tuple[bytes, str]]:
    """name → (bytes, reason) for everything wrong that is in the bytes."""
    noise = np.random.default_rng(3)
    pixels = zlib.compress(b"\0" + bytes(3 * 8))
    good_png = encoded("PNG")
    return {
        "empty.jpg": (b"", "zero-byte"),
        "text.jpg": (b"these are words, not pixels\n" * 20, "not-an-image"),
        "page.png": (b"<!DOCTYPE html><html><body>404</body></html>", "not-an-image"),
        "paper.jpg": (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", "not-an-image"),
        "archive.png": (zip_archive(), "not-an-image"),
        "archive.gif": (gzip.compress(b"pixels"), "not-an-image"),
        "film.jpg": (ftyp(b"isom", b"mp42"), "not-an-image"),
        "sound.webp": (b"RIFF" + struct.pack("<I", 40) + b"WAVEfmt " + bytes(32), "not-an-image"),
        "noise.jpg": (b"\x00\x17" + noise.bytes(4000), "not-an-image"),
        "one-byte.png": (b"\x89", "not-an-image"),
        "drawing.png": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported-format"),
        "drawing.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported-format"),
        "layers.jpg": (b"8BPS\x00\x01" + bytes(20), "unsupported-format"),
        "icon.png": (encoded("ICO"), "unsupported-format"),
        "plain.jpg": (encoded("PPM"), "unsupported-format"),
        "wavelet.jpg": (encoded("JPEG2000"), "unsupported-format"),
        "float.tif": (encoded("TIFF", Image.fromarray(np.ones((4, 4), np.float32))), "unsupported-mode"),
        "int32.tif": (encoded("TIFF", Image.fromarray(np.ones((4, 4), np.int32))), "unsupported-mode"),
        "cut.jpg": (without(encoded("JPEG"), 0.8), "truncated"),
        "cut-progressive.jpg": (without(encoded("JPEG", progressive=True), 0.8), "truncated"),
        "cut.png": (without(good_png, 0.6), "truncated"),
        "no-end.png": (good_png[:-12], "truncated"),
        "cut.webp": (without(encoded("WEBP"), 0.6), "truncated"),
        "cut-lossless.webp": (without(encoded("WEBP", lossless=True), 0.6), "truncated"),
        "cut.gif": (without(encoded("GIF"), 0.6), "truncated"),
        "cut.tif": (without(encoded("TIFF"), 0.6), "truncated"),
        "cut-deflate.tif": (without(encoded("TIFF", compression="tiff_adobe_deflate"), 0.6), "truncated"),
        "cut.bmp": (without(encoded("BMP"), 0.6), "truncated"),
        "cut.avif": (without(encoded("AVIF"), 0.6), "truncated"),
        "header-only.jpg": (jpeg_header_only(), "truncated"),
        "start-only.jpg": (b"\xff\xd8\xff\xe0", "truncated"),
        "signature-only.png": (b"\x89PNG\r\n\x1a\n", "truncated"),
        "signature-only.gif": (b"GIF89a", "truncated"),
        "renamed.jpg": (without(good_png, 0.5), "truncated"),
        "bad-checksum.png": (png(8, 1, pixels, good_crc=False), "corrupt"),
        "bad-stream.png": (png(8, 1, b"\x78\x9c" + b"\xff" * 20), "corrupt"),
        "damaged.png": (flipped(good_png, len(good_png) // 2), "corrupt"),
        "zero-width.png": (png(0, 4, pixels), "corrupt"),
        "zero-width.bmp": (bmp(0, 4, bytes(16)), "corrupt"),
        "absurd-tags.tif": (tiff([*tiff_image(), (700, 7, 0xFFFFFFF0, 8)]), "corrupt"),
        "no-tags.tif": (tiff([]), "corrupt"),
        "no-tables.jpg": (b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00\xff\xd9", "corrupt"),
        "bad-media.avif": (encoded("AVIF").replace(b"av01", b"av99"), "corrupt"),
        "bad-blocks.webp": (b"RIFF" + struct.pack("<I", 20) + b"WEBPVP8 " + bytes(12), "corrupt"),
        "bomb.png": (png(60_000, 60_000, pixels), "decompression-bomb"),
        "bomb.gif": (gif_header(65_535, 65_535), "decompression-bomb"),
        "bomb.webp": (webp_canvas(16_000, 16_000), "decompression-bomb"),
        "bomb.tif": (tiff(tiff_image(width=1 << 20, height=1 << 20)), "decompression-bomb"),
        "tile-bomb.tif": (tiff([*tiff_image(), (322, 4, 1, 1 << 16), (323, 4, 1, 1 << 16)]), "decompression-bomb"),
        "scan-bomb.jpg": (jpeg_many_scans(500), "decompression-bomb"),
        "large.bmp": (bmp(20_000, 20_000, bytes(500_000)), "too-many-pixels"),
        "ribbon.png": (png(70_000, 1, zlib.compress(bytes(210_001))), "too-many-pixels"),
        "text-bomb.png": (
            png(8, 1, pixels, extra=png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(40_000_000)))),
            "too-much-metadata",
        ),
        "comments.jpg": (jpeg_with_segments(5000), "too-much-metadata"),
        "chunks.png": (png(8, 1, pixels, extra=png_chunk(b"prVt", b"") * 66_000), "too-much-metadata"),
    }


def write_bad_files(directory: Path) -> list[BadFile]:
    """Write every bad file below a directory.

    Returns:
        (name, reason) of each: what the default policy must reject, and why. ``denied.jpg`` is left out where the
        process may read anything (root), and the two HEIC files where the extra is installed.
    """
    listed: list[BadFile] = []
    for name, (data, reason) in bad_contents().items():
        (directory / name).write_bytes(data)
        listed.append((name, reason))
    return listed + _heif_files(directory) + _special_files(directory)


def _heif_files(directory: Path) -> list[BadFile]:
    """HEIC, where nothing here can decode it."""
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        (directory / "phone.heic").write_bytes(ftyp(b"heic", b"mif1"))
        (directory / "phone.jpg").write_bytes(ftyp(b"mif1", b"heic"))
        return [("phone.heic", "needs-heif-extra"), ("phone.jpg", "needs-heif-extra")]
    return []


def _special_files(directory: Path) -> list[BadFile]:
    """Everything wrong that is in the file system."""
    (directory / "folder.jpg").mkdir()
    os.mkfifo(directory / "pipe.jpg")
    (directory / "dangling.jpg").symlink_to(directory / "nowhere.jpg")
    (directory / "loop.jpg").symlink_to(directory / "loop.jpg")
    with (directory / "sparse.jpg").open("wb") as handle:
        handle.write(encoded("JPEG"))
        handle.truncate(200 * 2**20)
    listed = [
        ("folder.jpg", "not-a-regular-file"),
        ("pipe.jpg", "not-a-regular-file"),
        ("dangling.jpg", "not-found"),
        ("loop.jpg", "unreadable"),
        ("sparse.jpg", "too-many-bytes"),
    ]
    if os.geteuid() != 0:
        denied = directory / "denied.jpg"
        denied.write_bytes(encoded("JPEG"))
        denied.chmod(0)
        listed.append(("denied.jpg", "unreadable"))
    return listed


def write_good_strangers(directory: Path) -> list[str]:
    """Files that a careless reader would refuse and the policy accepts; returns their names."""
    good = {
        "really-a-jpeg.png": encoded("JPEG"),
        "really-a-webp.txt": encoded("WEBP"),
        "no-extension": encoded("PNG"),
        "trailing.jpg": encoded("JPEG") + b"bytes after the end",
        "broken-exif.jpg": encoded("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\xee" * 20),
        "broken-profile.jpg": encoded("JPEG", icc_profile=b"not a profile at all" * 10),
        "one-pixel.gif": encoded("GIF", photo(1, 1)),
        "ribbon.jpg": encoded("JPEG", photo(1, 3000)),
    }
    for name, data in good.items():
        (directory / name).write_bytes(data)
    (directory / "link.jpg").symlink_to(directory / "trailing.jpg")
    return [*good, "link.jpg"]
