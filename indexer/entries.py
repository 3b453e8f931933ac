"""One image somewhere: a file, a URL, or a member of an archive, read by the name that a catalog has for it."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import ImageRejected
from ..images.decode import DecodedImage, decode
from ..images.isolated import Decoder
from ..images.policy import DecodePolicy
from .addresses import split_address
from .archive import list_archive, read_member
from .places import Stamp, is_readable, place_is_there, place_stamp, read_place


@dataclass(frozen=True, slots=True)
class Entry:
    """One image somewhere.

    Attributes:
        name: its path as text, its URL, or its address in an archive.
        size: bytes, 0 where that is not known; mtime_ns: of the file or the archive.
    """

    name: str
    size: int
    mtime_ns: int

    def read(self, policy: DecodePolicy) -> bytes:
        """Its bytes.

        Raises:
            ImageRejected: as ``images.decode.read_image_file`` and ``indexer.archive.read_member``.
        """
        split = split_address(self.name)
        return read_place(self.name, policy) if split is None else read_member(*split, policy)

    def load(self, policy: DecodePolicy, decode: Decoder = decode) -> DecodedImage:
        """Read and decode.

        Raises:
            ImageRejected: as ``images.decode``.
        """
        return decode(self.read(policy), policy=policy)

    def attempt(self, policy: DecodePolicy, decode: Decoder = decode) -> DecodedImage | ImageRejected:
        """The image, or why it is none."""
        try:
            return self.load(policy, decode)
        except ImageRejected as why:
            return why


def stamp_of(text: str) -> Stamp | None:
    """The stamp of what a catalog names, as it is now; None where there is nothing."""
    split = split_address(text)
    return place_stamp(text) if split is None else member_stamp(*split)


def is_there(text: str) -> bool:
    """Whether the image of an item is still there, readable or not."""
    split = split_address(text)
    if split is None:
        return place_is_there(text)
    archive, name = split
    if not place_is_there(archive):
        return False
    listing = list_archive(archive)
    return name in listing.members or name in listing.refused or listing.damage is not None


def may_be_read(text: str) -> bool:
    """Whether this user may read the file of an item, or the archive that holds it."""
    split = split_address(text)
    return is_readable(text if split is None else split[0])


def read_named(text: str, policy: DecodePolicy) -> bytes:
    """The bytes of what a catalog names, as they are now.

    Raises:
        ImageRejected: as :meth:`Entry.read`.
    """
    return Entry(text, 0, 0).read(policy)


def load_named(text: str, policy: DecodePolicy, decode: Decoder = decode) -> DecodedImage:
    """The image that a catalog names, as it is now.

    Raises:
        ImageRejected: as ``images.decode``.
    """
    return Entry(text, 0, 0).load(policy, decode)


def member_stamp(archive: str, name: str) -> Stamp | None:
    """The stamp of a member of an archive."""
    stamp, member = place_stamp(archive), list_archive(archive).members.get(name)
    return None if stamp is None or member is None else (member.size, stamp[1])
