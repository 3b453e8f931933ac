"""What a container claims, checked before a decoder believes it.

Decoders walk metadata in loops that a hostile file can make long, and some of them trust sizes that the file does not
hold. Each check here reads the container's own structure, a few bytes per element, and refuses what would take the
decoder beyond the policy. Nothing here decodes a pixel.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from ..core.errors import ImageRejected
from .policy import DecodePolicy

MAX_ELEMENTS = 65_536
"""Most chunks, blocks or tags walked in one file."""
MAX_JPEG_SEGMENTS = 4_096
MAX_SCAN_PIXELS = 20
"""A progressive JPEG revisits its pixels once a scan; at most this many times ``max_pixels`` in all."""
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TIFF_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def check_container(format_name: str, data: bytes, policy: DecodePolicy) -> None:
    """Refuse a container whose structure is broken or out of proportion.

    Raises:
        ImageRejected: ``truncated``, ``corrupt``, ``too-much-metadata`` or ``decompression-bomb``.
    """
    check = _CHECKS.get(format_name)
    if check is not None:
        check(data, policy)


def ends_early(format_name: str, data: bytes) -> bool:
    """Whether data stops before the end that its container declares: tells truncation from other damage."""
    test = _ENDS.get(format_name)
    try:
        return test is not None and test(data)
    except (struct.error, IndexError):
        return True


def _rejected(data: bytes, stage: str, reason: str, detail: str) -> ImageRejected:
    return ImageRejected(stage=stage, reason=reason, detail=detail, byte_count=len(data))


def _check_metadata(data: bytes, policy: DecodePolicy, *, elements: int, size: int, most: int = MAX_ELEMENTS) -> None:
    """Keep the walk itself, and the decoder's after it, short."""
    if elements > most or size > policy.max_metadata_bytes:
        detail = f"{elements} elements and {size} bytes of metadata; {most} and {policy.max_metadata_bytes} are allowed"
        raise _rejected(data, "limits", "too-much-metadata", detail)


def _check_png(data: bytes, policy: DecodePolicy) -> None:
    """Every chunk is whole, critical ones keep their checksum (Pillow does not look at IDAT's), IEND is there."""
    view, at, elements, metadata = memoryview(data), 8, 0, 0
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if kind[0] & 0x20 == 0:
            _check_crc(data, view, at, end)
        elif kind != b"fdAT":
            metadata += length
        if kind == b"IEND":
            return
        elements += 1
        _check_metadata(data, policy, elements=elements, size=metadata)
        at = end
    raise _rejected(data, "decode", "truncated", f"the chunk at byte {at} is not whole, and there is no IEND")


def _check_crc(data: bytes, view: memoryview, at: int, end: int) -> None:
    """Compare a PNG chunk's CRC-32 with its bytes."""
    stored = int.from_bytes(view[end - 4 : end])
    if zlib.crc32(view[at + 4 : end - 4]) != stored:
        kind = bytes(view[at + 4 : at + 8])
        raise _rejected(data, "decode", "corrupt", f"the {kind!r} chunk at byte {at} fails its checksum")


def _check_jpeg(data: bytes, policy: DecodePolicy) -> None:
    """Segments before the first scan are few and small; the scans do not revisit the pixels without end."""
    at, elements, metadata, pixels = 2, 0, 0, 0
    while at + 4 <= len(data):
        elements += 1
        _check_metadata(data, policy, elements=elements, size=metadata, most=MAX_JPEG_SEGMENTS)
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0xFF:
            at += 1
        elif marker in {0x00, 0x01} or 0xD0 <= marker <= 0xD9:
            at += 2
        elif marker == 0xDA:
            return _check_scans(data, policy, at, pixels)
        else:
            if marker in _JPEG_FRAMES and at + 9 <= len(data):
                height, width = struct.unpack_from(">HH", data, at + 5)
                pixels = height * width
            length = int.from_bytes(data[at + 2 : at + 4])
            metadata += length
            at += 2 + length
    return None


def _check_scans(data: bytes, policy: DecodePolicy, at: int, pixels: int) -> None:
    """Inside entropy-coded data FF is followed by 00, so the two markers counted here are real ones."""
    end = data.find(b"\xff\xd9", at)
    scans = data.count(b"\xff\xda", at, end if end >= 0 else len(data))
    if scans * pixels > MAX_SCAN_PIXELS * policy.max_pixels:
        raise _rejected(data, "limits", "decompression-bomb", f"{scans} scans over {pixels} pixels")


def _check_gif(data: bytes, policy: DecodePolicy) -> None:
    """Blocks before the first frame are few and small."""
    try:
        at = 13 + _gif_palette(data[10])
        elements = metadata = 0
        while data[at] not in b",;":
            elements += 1
            _check_metadata(data, policy, elements=elements, size=metadata)
            if data[at] != 0x21:
                at += 1
                continue
            at += 2
            while size := data[at]:
                at, elements, metadata = at + 1 + size, elements + 1, metadata + size
                _check_metadata(data, policy, elements=elements, size=metadata)
            at += 1
    except IndexError:
        raise _rejected(data, "decode", "truncated", "the file ends before its first frame") from None


def _gif_palette(flags: int) -> int:
    """Bytes of the colour table that a GIF flag byte announces."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _check_tiff(data: bytes, policy: DecodePolicy) -> None:
    """Tags of the first directory fit in the file, lists of numbers are short, no tile is larger than an image."""
    try:
        entries = _tiff_entries(data, policy)
    except struct.error:
        raise _rejected(data, "decode", "truncated", "the first directory lies beyond the end of the file") from None
    sizes = [(_TIFF_UNITS.get(kind, 0), count) for _, kind, count, _ in entries]
    total = sum(unit * count for unit, count in sizes)
    if total > len(data) + 8 * len(entries):
        raise _rejected(data, "decode", "corrupt", f"tags claim {total} bytes of a file of {len(data)}")
    numbers = sum(unit * count for unit, count in sizes if unit > 1)
    _check_metadata(data, policy, elements=len(entries), size=numbers)
    tile = {tag: value for tag, _, _, value in entries if tag in {322, 323}}
    if tile.get(322, 0) * tile.get(323, 0) > policy.max_pixels:
        raise _rejected(data, "limits", "decompression-bomb", f"tiles of {tile.get(322)} × {tile.get(323)} pixels")


def _tiff_entries(data: bytes, policy: DecodePolicy) -> list[tuple[int, int, int, int]]:
    """(tag, type, count, inline value) of the first directory, classic TIFF or BigTIFF."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    if start > len(data):
        raise struct.error("directory beyond the end")
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    _check_metadata(data, policy, elements=count, size=0)
    head, step = (8, 20) if big else (2, 12)
    return [_tiff_entry(data, order, big, start + head + step * index) for index in range(count)]


def _tiff_entry(data: bytes, order: str, big: bool, at: int) -> tuple[int, int, int, int]:
    """One directory entry; the value is read as the type says, for the short integers that the caller looks at."""
    tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, at)
    (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, at + (12 if big else 8))
    return tag, kind, count, value


def _riff_short(data: bytes) -> bool:
    return int.from_bytes(data[4:8], "little") + 8 > len(data)


def _boxes_short(data: bytes) -> bool:
    """Walk the top-level boxes of an ISO media file."""
    at = 0
    for _ in range(MAX_ELEMENTS):
        if at == len(data):
            return False
        length, _kind = struct.unpack_from(">I4s", data, at)
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, at + 8)
        if length == 0 or length < 8:
            return False
        at += length
        if at > len(data):
            return True
    return False


def _jpeg_short(data: bytes) -> bool:
    """No end-of-image marker after the last start of scan."""
    return data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda")


def _bmp_short(data: bytes) -> bool:
    return len(data) < 26 or int.from_bytes(data[2:6], "little") > len(data)


def _gif_short(data: bytes) -> bool:
    return not data.rstrip(b"\0").endswith(b";")


_CHECKS: dict[str, Callable[[bytes, DecodePolicy], None]] = {
    "PNG": _check_png,
    "JPEG": _check_jpeg,
    "GIF": _check_gif,
    "TIFF": _check_tiff,
}
_ENDS: dict[str, Callable[[bytes], bool]] = {
    "WEBP": _riff_short,
    "AVIF": _boxes_short,
    "HEIF": _boxes_short,
    "JPEG": _jpeg_short,
    "BMP": _bmp_short,
    "GIF": _gif_short,
}
