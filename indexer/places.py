"""Files of this machine and files behind URLs (by fsspec, the ``remote`` extra), read in the same three ways."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from ..core.errors import ImageRejected, UsageError
from ..core.files import sha256_bytes
from ..images.decode import read_image_file
from ..images.policy import DecodePolicy
from .addresses import MEMBER, is_url, text_to_path

Stamp = tuple[int | None, int]
"""(bytes, time in ns): what tells an unchanged image unread. Bytes are None where only reading tells them."""
_FRESH = 30.0
"""Seconds after which a URL is asked again: an archive there is asked about with every member."""
_CHANGES = ("mtime", "LastModified", "last_modified", "updated", "created", "ETag", "etag", "md5Hash", "checksum")
"""What file systems say of a file that is another one after a change."""


def file_stamp(path: Path) -> tuple[int, int] | None:
    """(bytes, mtime in ns) of a file, or None where there is none."""
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    return info.st_size, info.st_mtime_ns


def place_stamp(place: str) -> tuple[int, int] | None:
    """The stamp of a path or URL; of a URL, time is a number that is another one after a change."""
    if not is_url(place):
        return file_stamp(text_to_path(place))
    return _asked(place, int(time.monotonic() // _FRESH))


@lru_cache(maxsize=64)
def _asked(url: str, _: int) -> tuple[int, int] | None:
    try:
        files, path = filesystem(url)
        return remote_stamp(files.info(path))
    except _remote_errors():
        return None


def remote_stamp(info: Mapping[str, Any]) -> tuple[int, int] | None:
    """The stamp by what a file system says; None where it says nothing that a change would change."""
    said = {name: str(info[name]) for name in _CHANGES if info.get(name) is not None}
    size = info.get("size")
    if not said or not isinstance(size, int):
        return None
    return size, int(sha256_bytes(repr(sorted(said.items())).encode())[:15], 16)


def filesystem(url: str) -> tuple[Any, str]:
    """(file system, path in it) of a URL.

    Raises:
        UsageError: fsspec or the package for this kind of URL is not installed, the kind is unknown, or it is a chain.
    """
    if MEMBER in url:
        raise UsageError(f"{url!r} is a chain of URLs; name one place, and a member as ARCHIVE{MEMBER}MEMBER")
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UsageError(f"{url!r} needs the package fsspec: pip install 'retr[remote]'") from error
    try:
        return url_to_fs(url)
    except (ImportError, ValueError, TypeError, OSError) as error:
        raise UsageError(f"{url!r} cannot be opened: {error}") from error


def _remote_errors() -> tuple[type[BaseException], ...]:
    """What the packages behind URLs raise: anything, from the errors of their own libraries on."""
    return (Exception,)


@contextmanager
def opened(place: str) -> Iterator[BinaryIO]:
    """A path or URL as a file that can be sought in.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    if not is_url(place):
        path = text_to_path(place)
        if not path.is_file():
            raise FileNotFoundError(f"{path} is no file")
        with path.open("rb") as file:
            yield file
        return
    files, path = filesystem(place)
    try:
        file = files.open(path, "rb")
    except FileNotFoundError:
        raise
    except _remote_errors() as error:
        raise OSError(f"{place}: {error}") from error
    with file:
        yield file


def fetch(place: str, start: int, size: int) -> bytes:
    """Bytes of a path or URL; fewer where it ends before.

    Raises:
        OSError: it cannot be read.
    """
    if not is_url(place):
        with open(text_to_path(place), "rb") as file:
            file.seek(start)
            return file.read(size)
    files, path = filesystem(place)
    try:
        return bytes(files.cat_file(path, start=start, end=start + size))
    except _remote_errors() as error:
        raise OSError(f"{place}: {error}") from error


def read_place(place: str, policy: DecodePolicy) -> bytes:
    """All bytes of an image file at a path or URL.

    Raises:
        ImageRejected: as ``images.decode.read_image_file``.
    """
    if not is_url(place):
        return read_image_file(text_to_path(place), policy=policy)
    try:
        files, path = filesystem(place)
        size = files.info(path).get("size")
        _check_bytes(size, policy)
        data = bytes(files.cat_file(path, start=0, end=policy.max_bytes + 1))
    except ImageRejected:
        raise
    except FileNotFoundError as error:
        raise ImageRejected(stage="read", reason="not-found", detail=f"nothing is there: {place}") from error
    except _remote_errors() as error:
        detail = str(error) or type(error).__name__
        raise ImageRejected(stage="read", reason="unreadable", detail=detail) from error
    _check_bytes(len(data), policy)
    return data


def _check_bytes(size: object, policy: DecodePolicy) -> None:
    if isinstance(size, int) and size > policy.max_bytes:
        detail = f"{size} bytes; the policy allows {policy.max_bytes}"
        raise ImageRejected(stage="limits", reason="too-many-bytes", detail=detail, byte_count=size)


def place_is_there(place: str) -> bool:
    """Whether something is at a path or URL, readable or not; a URL that cannot be asked counts as there."""
    try:
        if not is_url(place):
            os.stat(text_to_path(place))
            return True
        files, path = filesystem(place)
        files.info(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except _remote_errors():
        pass
    return True


def is_readable(place: str) -> bool:
    """Whether a file may be read; of a URL that is only known by reading."""
    return is_url(place) or os.access(text_to_path(place), os.R_OK)
