"""Zip files: the images in the central directory, stored or deflated; a member gives no more bytes than it says."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, BinaryIO, cast

from ..core.errors import ImageRejected
from .archive_kind import Capped, Kind, Member, not_a_file, plain_name
from .places import fetch

_DIRECTORY = 2**28
"""Bytes that the central directory may take."""
_LOCAL = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 1


def scan(archive: str, file: BinaryIO) -> Iterator[Member | tuple[str, ImageRejected]]:  # noqa: ARG001 - as other kinds
    """The images of a zip, in the order of its directory."""
    with zipfile.ZipFile(cast("Any", Capped(file, _DIRECTORY))) as opened:
        infos = opened.infolist()
        overlapping = _overlapping(infos, opened.start_dir)
        for info in infos:
            name = plain_name(info.filename)
            if name is not None and not info.is_dir():
                why = _refused(info, overlapping)
                yield (name, why) if why is not None else _member(info, name)


def _member(info: zipfile.ZipInfo, name: str) -> Member:
    where = (info.header_offset, info.compress_size, info.compress_type, info.CRC)
    return Member(name, info.file_size, where)


def _refused(info: zipfile.ZipInfo, overlapping: set[int]) -> ImageRejected | None:
    if stat.S_ISLNK(info.external_attr >> 16):
        return not_a_file("a link")
    why = None
    if info.flag_bits & _ENCRYPTED:
        why = "encrypted"
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        why = f"compressed by method {info.compress_type}; stored and deflated members are read"
    elif info.header_offset in overlapping:
        why = "it lies over another member, as in archives that are made to swell"
    return None if why is None else ImageRejected(stage="read", reason="unreadable", detail=why)


def _overlapping(infos: list[zipfile.ZipInfo], directory: int) -> set[int]:
    """Where members begin of which the data reach into the next one, or into the directory."""
    ends = sorted((info.header_offset, info.header_offset + _LOCAL.size + info.compress_size) for info in infos)
    starts = [*ends, (directory, directory)]
    return {start for one, after in pairwise(starts) if one[1] > after[0] for start in (one[0], after[0])}


def read(archive: str, member: Member, most: int) -> bytes:
    """The bytes of a member.

    Raises:
        ValueError: they are not what the directory says.
    """
    offset, compressed, method, checksum = member.where
    assert member.size is not None
    if compressed > most + 2**16:
        raise ValueError(f"{compressed} bytes are claimed for {member.size}")
    head = fetch(archive, offset, _LOCAL.size)
    if len(head) < _LOCAL.size or head[:4] != b"PK\3\4":
        raise ValueError("there is no member where the directory says")
    name, extra = _LOCAL.unpack(head)[-2:]
    data = fetch(archive, offset + _LOCAL.size + name + extra, compressed)
    if method == zipfile.ZIP_DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.size + 1)
    if len(data) != member.size or zlib.crc32(data) != checksum:
        raise ValueError("the bytes are not those that the directory tells of")
    return data


KIND = Kind(scan, read, (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError))
