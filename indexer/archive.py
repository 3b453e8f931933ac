"""Archives of images: tar (webdataset), zip and Parquet (Hugging Face), read a member at a time and never unpacked.

Whatever an archive claims is checked before it is believed: sizes before anything is allocated, names before they
become addresses. What is not right about one member is a reject of that member; about the whole, of the archive.

| reason | stage | what it means |
|---|---|---|
| `damaged-archive` | read | an archive that cannot be listed, or not to its end; what was listed before is used |
| `unsafe-name` | read | a member whose name is absolute, leads out (`..`), or cannot be written down |
| `ambiguous-name` | read | the archive holds several members of this name |
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from ..core.errors import ImageRejected
from ..images.policy import DecodePolicy
from . import archive_parquet, archive_tar, archive_zip
from .addresses import is_url, member_address
from .archive_kind import Kind, Member
from .places import opened, place_stamp

KINDS = {".tar": archive_tar.KIND, ".zip": archive_zip.KIND, ".parquet": archive_parquet.KIND}
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_LISTED = 16
"""Archives whose lists of members are kept at once."""
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Listing:
    """The images of an archive, in its order.

    Attributes:
        members: by name.
        refused: those that cannot be used.
        damage: why the archive could not be listed to its end; None if it was.
    """

    members: dict[str, Member]
    refused: dict[str, ImageRejected]
    damage: ImageRejected | None = None


def kind_of(archive: str) -> Kind:
    """The kind by the ending of the name."""
    return next(kind for ending, kind in KINDS.items() if archive.lower().endswith(ending))


def list_archive(archive: str) -> Listing:
    """The images of an archive at a path or URL; kept until the archive changes."""
    stamp = place_stamp(archive)
    if stamp is None and not is_url(archive):
        return _scanned(archive)  # there is nothing
    with _LOCK:  # one thread lists, the others wait for it
        return _kept(archive, stamp)


@lru_cache(maxsize=_LISTED)
def _kept(archive: str, stamp: tuple[int, int] | None) -> Listing:  # noqa: ARG001 - a changed archive has another stamp
    return _scanned(archive)


def _scanned(archive: str) -> Listing:
    kind, found = kind_of(archive), list[Member]()
    refused, damage = dict[str, ImageRejected](), None
    try:
        with opened(archive) as file:
            for one in kind.scan(archive, file):
                if isinstance(one, Member):
                    found.append(one)
                else:
                    refused[one[0]] = one[1]
    except ImageRejected as why:
        damage = why
    except FileNotFoundError:
        damage = ImageRejected(stage="read", reason="not-found", detail=f"there is no archive {archive}")
    except (OSError, MemoryError, ValueError, OverflowError, *kind.damage) as error:
        damage = damaged(archive, error)
    for name, times in Counter(one.name for one in found).items():
        if why := _bad_name(archive, name) or _ambiguous(name, times + (name in refused)):
            refused[name] = why
    return Listing({one.name: one for one in found if one.name not in refused}, refused, damage)


def damaged(archive: str, error: Exception) -> ImageRejected:
    """What is said of an archive that cannot be listed."""
    detail = f"{archive} cannot be listed to its end: {str(error) or type(error).__name__}"
    return ImageRejected(stage="read", reason="damaged-archive", detail=detail)


def _bad_name(archive: str, name: str) -> ImageRejected | None:
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or _DRIVE.match(name) or ".." in parts or "\0" in name:
        return ImageRejected(stage="read", reason="unsafe-name", detail=f"{name!r} leads out of its archive")
    try:
        member_address(archive, name)
    except ValueError as error:
        return ImageRejected(stage="read", reason="unsafe-name", detail=str(error))
    return None


def _ambiguous(name: str, times: int) -> ImageRejected | None:
    if times < 2:
        return None
    detail = f"the archive holds {times} members of the name {name!r}"
    return ImageRejected(stage="read", reason="ambiguous-name", detail=detail)


def read_member(archive: str, name: str, policy: DecodePolicy) -> bytes:
    """The bytes of a member.

    Raises:
        ImageRejected: there is no such archive or member, it is one that cannot be used, or it is too large.
    """
    before = place_stamp(archive)
    member = _member(archive, name)
    if member.size is not None and member.size > policy.max_bytes:
        detail = f"{member.size} bytes; the policy allows {policy.max_bytes}"
        raise ImageRejected(stage="limits", reason="too-many-bytes", detail=detail, byte_count=member.size)
    kind = kind_of(archive)
    try:
        data = kind.read(archive, member, policy.max_bytes)
    except (OSError, MemoryError, ValueError, OverflowError, *kind.damage) as error:
        detail = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ImageRejected(stage="read", reason="unreadable", detail=detail, byte_count=member.size) from error
    if place_stamp(archive) != before:
        raise ImageRejected(stage="read", reason="unreadable", detail="the archive was changed while it was read")
    return data


def _member(archive: str, name: str) -> Member:
    listing = list_archive(archive)
    if name in listing.members:
        return listing.members[name]
    if (why := listing.refused.get(name) or listing.damage) is not None:
        raise why
    raise ImageRejected(stage="read", reason="not-found", detail=f"{archive} holds no image {name!r}")
