"""Uncompressed tar files, in webdataset style: the images, by their names; labels and manifests are left out."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..core.errors import ImageRejected
from .archive_kind import Capped, Kind, Member, not_a_file, plain_name
from .places import fetch

_HEADERS = 2**24
"""Bytes that the extended header of a member may take."""


def scan(archive: str, file: BinaryIO) -> Iterator[Member | tuple[str, ImageRejected]]:  # noqa: ARG001 - as other kinds
    """The images of a tar, in its order."""
    length = file.seek(0, 2)
    file.seek(0)
    capped: Any = Capped(file, _HEADERS)
    options: Any = {"encoding": "utf-8", "errors": "surrogateescape"}
    with tarfile.open(fileobj=capped, mode="r:", **options) as shard:
        seen: list[object] = getattr(shard, "members")  # noqa: B009 - no part of the documented class
        while (info := shard.next()) is not None:
            seen.clear()  # it keeps every header
            name = plain_name(info.name)
            if name is not None and not info.isdir():
                yield _member(info, name, length)
        _check_end(file, shard.offset)


def _check_end(file: BinaryIO, offset: int) -> None:
    """A header that is damaged ends a tar as its end does, and says nothing."""
    file.seek(offset)
    if any(file.read(tarfile.BLOCKSIZE)):
        raise tarfile.ReadError(f"no header of a member at byte {offset}")


def _member(info: tarfile.TarInfo, name: str, length: int) -> Member | tuple[str, ImageRejected]:
    if not info.isfile():
        return name, not_a_file("a link or a device")
    if info.issparse():
        return name, ImageRejected(stage="read", reason="unreadable", detail="a sparse member of a tar")
    if info.size < 0 or info.offset_data + info.size > length:
        raise tarfile.ReadError(f"{name!r} claims {info.size} bytes, and the file ends before")
    return Member(name, info.size, (info.offset_data,))


def read(archive: str, member: Member, most: int) -> bytes:  # noqa: ARG001 - its size is known and was checked
    """The bytes of a member."""
    assert member.size is not None
    data = fetch(archive, member.where[0], member.size)
    if len(data) != member.size:
        raise ValueError("the archive ends within this member")
    return data


def begins_a_tar(path: Path) -> bool:
    """Whether the first header is whole, checksum and all."""
    try:
        with path.open("rb") as handle:
            tarfile.TarInfo.frombuf(handle.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except (tarfile.TarError, OSError):
        return False
    return True


KIND = Kind(scan, read, (tarfile.TarError,))
