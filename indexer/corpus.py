"""What a corpus is: a folder, a list of paths, or standard input; turned into one ordered list of paths."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from ..core.errors import ImageRejected, UsageError

_LONGEST = 4096
"""Bytes of the longest path of any system; a list without a shorter line is no list."""
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff")


@dataclass(frozen=True, slots=True)
class Corpus:
    """The files of one run, in the order in which they are indexed.

    Attributes:
        root: absolute folder that was walked, or None for a list.
        paths: absolute paths, each once.
        repeated: how many listed paths were left out because they had been listed before.
        unlistable: (path, reject) of folders that could not be read.
    """

    root: str | None
    paths: tuple[str, ...]
    repeated: int = 0
    unlistable: tuple[tuple[str, ImageRejected], ...] = ()


def read_corpus(source: str, *, exclude: Path) -> Corpus:
    """List a corpus.

    Args:
        source: a folder (walked recursively in sorted order; names that begin with a dot are left out, links to
            folders are not followed), a text file with one path a line (relative to that file's folder), or ``-``
            for paths on standard input (relative to the current folder). Lists may be separated by NUL instead.
        exclude: a folder never descended into (the index itself).

    Raises:
        UsageError: source does not exist, or is a file that is no list.
    """
    if source == "-":
        return _from_list(sys.stdin.buffer.read(), Path.cwd(), "standard input")
    path = Path(source)
    if path.is_dir():
        return _from_folder(path, exclude)
    if not path.exists():
        raise UsageError(f"no such corpus: {source!r}; give a folder, a file that lists paths, or - for standard input")
    if not path.is_file():
        raise UsageError(f"{source!r} is neither a folder nor a file that lists paths")
    return _from_list(path.read_bytes(), path.resolve().parent, repr(source))


def _from_folder(root: Path, exclude: Path) -> Corpus:
    skip, found, failed = exclude.resolve(), [], []

    def note(error: OSError) -> None:
        reject = ImageRejected(stage="read", reason="unreadable", detail=f"folder cannot be listed: {error.strerror}")
        failed.append((str(error.filename), reject))

    top = os.path.abspath(root)
    for folder, folders, files in os.walk(top, onerror=note):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and Path(folder, f).resolve() != skip)
        links = [f for f in folders if os.path.islink(os.path.join(folder, f))]
        folders[:] = [f for f in folders if f not in set(links)]
        found.extend(os.path.join(folder, name) for name in sorted(files) if not name.startswith("."))
    return Corpus(root=path_to_text(top), paths=tuple(sorted(map(path_to_text, found))), unlistable=tuple(failed))


def _from_list(data: bytes, base: Path, name: str) -> Corpus:
    listed = [path_to_text(path) for path in read_list(data, base, name=name)]
    unique = tuple(dict.fromkeys(listed))
    return Corpus(root=None, paths=unique, repeated=len(listed) - len(unique))


def read_list(data: bytes, base: Path, *, name: str) -> list[str]:
    """The paths of a list, in its order.

    Args:
        data: paths separated by NUL if there is one, else by line ends; empty ones are left out.
        base: the folder that they are relative to.
        name: of the list, for errors.

    Returns:
        Absolute paths. A path that no file can have is one of them: reading it says what is wrong with it.

    Raises:
        UsageError: this is an image or a blob, and no list.
    """
    lines = split_list(data)
    if data.startswith(_IMAGES) or (lines and min(map(len, lines)) > _LONGEST):
        raise UsageError(f"{name} is not a list of paths (to index single images, pipe their paths to: retr index -)")
    return [os.path.abspath(base / os.fsdecode(line)) for line in lines]


def split_list(data: bytes) -> list[bytes]:
    """Names separated by NUL if there is one, else by line ends; empty ones are left out."""
    lines = data.split(b"\0") if b"\0" in data else [line.rstrip(b"\r") for line in data.split(b"\n")]
    return [line for line in lines if line.strip()]


def path_to_text(path: str | os.PathLike[str]) -> str:
    """The path as text that Parquet and JSON can hold: itself, or a ``file://`` URI if its bytes are not UTF-8.

    A relative path becomes absolute where it needs a URI. The text does not depend on the locale.
    """
    try:
        return os.fsencode(path).decode()
    except UnicodeDecodeError:
        return Path(os.path.abspath(path)).as_uri()


def text_to_path(text: str) -> Path:
    """Inverse of :func:`path_to_text`, up to relative paths that needed a URI."""
    if text.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(urlsplit(text).path)))
    return Path(os.fsdecode(text.encode(errors="surrogateescape")))


def file_stamp(path: Path) -> tuple[int, int] | None:
    """(bytes, mtime in ns) of a regular file, or None: what tells an unchanged file without reading it."""
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_size, info.st_mtime_ns


def iter_batches(paths: list[str], size: int) -> Iterator[list[str]]:
    """Consecutive groups of at most ``size`` paths."""
    for start in range(0, len(paths), size):
        yield paths[start : start + size]
