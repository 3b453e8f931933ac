"""What every kind of archive is made of: its members, how it is listed, how a member is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..core.errors import ImageRejected
from ..images.names import is_image_name


@dataclass(frozen=True, slots=True)
class Member:
    """One image in an archive.

    Attributes:
        name: in the archive.
        size: bytes of the image; None where only reading tells.
        where: what its kind of archive needs to read it.
    """

    name: str
    size: int | None
    where: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of archive.

    Attributes:
        scan: of the archive and its opened file, yields its images and what is wrong with others (name, why), in order;
            what it raises is damage.
        read: the bytes of a member; raises ImageRejected, or what is damage too.
        damage: what both may raise where the archive is damaged, besides OSError.
    """

    scan: Callable[[str, BinaryIO], Iterator[Member | tuple[str, ImageRejected]]]
    read: Callable[[str, Member, int], bytes]
    damage: tuple[type[Exception], ...]


class Capped:
    """A file of which nobody reads more than so much at once: sizes in it are claims."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        """As a file does, up to the cap."""
        if size is None or size < 0:
            return self._file.read(self._most)
        if size > self._most:
            raise OSError(f"{size} bytes are claimed where at most {self._most} can be")
        return self._file.read(size)


def plain_name(name: str) -> str | None:
    """A member's name without a leading ``./``; None for one that is not that of an image."""
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name if name and is_image_name(name) else None


def not_a_file(what: str) -> ImageRejected:
    """A member that is a link or a device."""
    return ImageRejected(stage="read", reason="not-a-regular-file", detail=f"this is {what} in an archive")
