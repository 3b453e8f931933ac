"""A JPEG that lacks its end marker and nothing else, told from one that was cut short."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np

from ..core.errors import ImageRejected
from .pixels import Pixels

END = b"\xff\xd9"
_HUFFMAN = frozenset({0xC0, 0xC1, 0xC2})
"""Frames that are coded by Huffman's method: baseline, extended, progressive."""
_OTHER = frozenset(range(0xC0, 0xD0)) - _HUFFMAN - {0xC4, 0xC8, 0xCC}
_TAILS = (b"", b"\x55" * 64, b"\xaa" * 64)


def endless_jpeg(data: bytes, decode: Callable[[bytes], Pixels]) -> Pixels | None:
    """The pixels of a JPEG whose data are whole although it ends without its end marker; None for any other.

    Two things must hold. Every coefficient of every component is sent to its last bit by some scan that is there: a
    progressive file cut between two scans looks whole and is not. And the pixels are the same whatever follows the
    data: nothing, or 64 bytes of either of two patterns. A decoder that still waits for a bit takes it from there.

    Args:
        data: as in the file; a lone first byte of the marker at its end is taken off.
        decode: pixels of a whole file; raises ImageRejected.
    """
    if data.rfind(END) > data.rfind(b"\xff\xda") or not _sends_all(data):
        return None
    body = data[:-1] if data.endswith(b"\xff") else data
    try:
        first, *others = (decode(body + tail + END) for tail in _TAILS)
    except ImageRejected:
        return None
    return first if all(np.array_equal(first, other) for other in others) else None


def _sends_all(data: bytes) -> bool:
    """Whether the scans hold every coefficient of every component to its last bit."""
    wanted: set[tuple[int, int]] = set()
    sent: set[tuple[int, int]] = set()
    try:
        for marker, body in _segments(data):
            if marker in _OTHER:
                return False
            if marker in _HUFFMAN:
                wanted = {(part, place) for part in body[6::3][: body[5]] for place in range(64)}
            elif marker == 0xDA:
                sent |= _sent(body)
    except (struct.error, IndexError):
        return False
    return bool(wanted) and wanted <= sent


def _sent(header: bytes) -> set[tuple[int, int]]:
    """(component, coefficient) that a scan completes."""
    at = 1 + 2 * header[0]
    first, last, bits = header[at], header[at + 1], header[at + 2]
    if bits & 0x0F:
        return set()
    return {(part, place) for part in header[1:at:2] for place in range(first, last + 1)}


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, body) of every segment that has one; scans are stepped over."""
    at = 2
    while 0 <= at <= len(data) - 4:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDA:
            at = _next_marker(data, at)


def _next_marker(data: bytes, at: int) -> int:
    """Where the next marker of a segment stands behind a scan's data; −1 for nowhere."""
    while (at := data.find(b"\xff", at)) >= 0:
        if at + 1 >= len(data):
            return -1
        if data[at + 1] not in (0x00, *range(0xD0, 0xD8)):
            return at
        at += 2
    return -1
