"""How an image is named in a catalog: by a path, a URL, or the address of a member, ``ARCHIVE::MEMBER``.

Whatever the bytes of a name are, its text is UTF-8 and means one thing only: a path that is no UTF-8, or that looks
like an address or a URL, is written as a ``file://`` URI.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

MEMBER = "::"
"""Between an archive and the name of its member."""
ARCHIVES = (".tar", ".zip", ".parquet")
"""Endings of files whose members are images."""
_SPLIT = re.compile(rf"(?:{'|'.join(map(re.escape, ARCHIVES))})(?={MEMBER})", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def path_to_text(path: str | os.PathLike[str]) -> str:
    """The path as text that Parquet and JSON can hold: itself, or a ``file://`` URI where it could not be told apart.

    A relative path becomes absolute where it needs a URI. The text does not depend on the locale.
    """
    try:
        text = os.fsencode(path).decode()
    except UnicodeDecodeError:
        text = None
    if text is None or is_url(text) or split_address(text) is not None:
        return Path(os.path.abspath(path)).as_uri()
    return text


@lru_cache(maxsize=1024)  # an image's is asked for at every look at it
def text_to_path(text: str) -> Path:
    """Inverse of :func:`path_to_text`, up to relative paths that needed a URI. Of a member or a URL, no file's path."""
    if text.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(urlsplit(text).path)))
    return Path(os.fsdecode(text.encode(errors="surrogateescape")))


def is_url(text: str) -> bool:
    """Whether this names something that is not on a disk of this machine."""
    return _URL.match(text) is not None and not text.startswith("file://")


def is_archive(text: str) -> bool:
    """Whether a path or URL is named like an archive of images."""
    return text.lower().endswith(ARCHIVES)


def split_address(text: str) -> tuple[str, str] | None:
    """(archive, member) of a member's address, None for what is none. The archive is text like any path or URL."""
    if text.startswith("file://"):  # there, :: stands for nothing else
        archive, found, member = text.partition(MEMBER)
        return (archive, os.fsdecode(unquote_to_bytes(member))) if found else None
    found = _SPLIT.search(text)
    return (text[: found.end()], text[found.end() + len(MEMBER) :]) if found else None


def member_address(archive: str, member: str) -> str:
    """The text that names a member.

    Args:
        archive: path or URL, as text.
        member: its name in there.

    Raises:
        ValueError: a member of an archive at a URL whose name is no UTF-8.
    """
    plain = not archive.startswith("file://")
    try:
        member.encode()
    except UnicodeEncodeError:
        if is_url(archive):
            raise ValueError("the name is no UTF-8") from None
        plain = False
    if plain:
        return f"{archive}{MEMBER}{member}"
    uri = archive if archive.startswith("file://") else text_to_path(archive).absolute().as_uri()
    return f"{uri}{MEMBER}{quote_from_bytes(os.fsencode(member))}"


def asked_text(name: str | os.PathLike[str]) -> str:
    """What a user names, as text: a URL or an address stays one, unless a file has this very name."""
    return _told(name, absolute=False)


def absolute_text(name: str | os.PathLike[str]) -> str:
    """What a user names, as a catalog has it: with the absolute path."""
    return _told(name, absolute=True)


def _told(name: str | os.PathLike[str], *, absolute: bool) -> str:
    text = os.fspath(name)
    split = split_address(text)
    if (split is None and not is_url(text)) or _is_there(text):
        return path_to_text(os.path.abspath(name) if absolute else name)
    if split is None:
        return text
    archive, member = split
    if not is_url(archive) and not archive.startswith("file://"):
        archive = path_to_text(os.path.abspath(archive) if absolute else archive)
    return member_address(archive, member)


def _is_there(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def beginnings(root: str) -> tuple[str, ...]:
    """How the names of all begin that lie in a folder, an archive, or below a URL."""
    if is_archive(root):
        return (f"{root}{MEMBER}",) if is_url(root) else (f"{root}{MEMBER}", f"{text_to_path(root).as_uri()}{MEMBER}")
    if is_url(root):
        return (root.rstrip("/") + "/",)
    return tuple(name.rstrip("/") + "/" for name in {root, text_to_path(root).as_uri()})


def asked_name(text: str) -> str:
    """A name of a catalog as a user would type it; :func:`asked_text` reads it."""
    return text if is_url(text) else str(text_to_path(text))


def member_of(text: str) -> str:
    """A member's name in its archive; of what is no member, the whole name."""
    split = split_address(text)
    return text if split is None else split[1]


def own_name(text: str) -> str:
    """The last part of a name: of a member, that within its archive."""
    return member_of(text).rsplit("/", 1)[-1]
