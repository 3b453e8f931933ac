"""What a command is asked about: files, folders, lists of paths and standard input, in the order named."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.errors import ImageRejected

_LOOK = 1 << 20
"""Bytes of a file that are looked at to tell a list from an image."""


@dataclass(frozen=True, slots=True)
class Input:
    """One image that was asked about.

    Attributes:
        path: as it was named, or the name of its folder or list with its own behind it.
        refused: why it cannot be one, where that is known before it is opened.
    """

    path: str
    refused: ImageRejected | None = None


def corpus_paths(source: str, index: Path) -> list[str]:
    """The images that a folder, an archive, a list or ``-`` names; the index itself is no part of them."""
    from ..indexer.addresses import asked_name
    from ..indexer.sources import read_corpus

    return [asked_name(path) for path in read_corpus(source, exclude=index).paths]


def image_inputs(named: Sequence[str], *, exclude: Path) -> list[Input]:
    """Images, members of archives, URLs, folders (recursive), archives, lists, and ``-`` for a list on standard input.

    Args:
        named: as on the command line. A file is taken for a list if it begins no image format and one of its lines
            names a file that is there, relative to the list's folder; else it is an image, or was meant to be one.
        exclude: a folder never descended into (the index itself).
    """
    piped = sys.stdin.buffer.read() if "-" in named else b""
    return [one for name in named for one in _inputs_of(name, piped, exclude)]


def _inputs_of(name: str, piped: bytes, exclude: Path) -> Iterator[Input]:
    from ..indexer.addresses import is_archive

    if name == "-":
        yield from map(Input, _listed(piped, ""))
    elif is_archive(name) and os.path.isfile(name):
        yield from _in_archive(name, exclude)
    elif os.path.isdir(name):
        yield from _in_folder(name, exclude)
    elif _is_list(name):
        yield from map(Input, _listed(Path(name).read_bytes(), os.path.dirname(name)))
    else:
        yield Input(name)


def _in_archive(archive: str, exclude: Path) -> Iterator[Input]:
    from ..core.errors import ImageRejected
    from ..indexer.addresses import MEMBER, split_address
    from ..indexer.sources import read_corpus

    def named(text: str) -> str:
        split = split_address(text)
        return archive if split is None else f"{archive}{MEMBER}{split[1]}"

    corpus = read_corpus(archive, exclude=exclude)
    yield from (Input(named(text)) for text in corpus.paths)
    yield from (Input(named(text), why) for text, why in corpus.unlistable)
    if not corpus.seen:
        yield Input(archive, ImageRejected(stage="read", reason="empty-archive", detail="the archive holds no images"))


def _in_folder(folder: str, exclude: Path) -> Iterator[Input]:
    from ..core.errors import ImageRejected
    from ..indexer.addresses import text_to_path
    from ..indexer.sources import read_corpus

    corpus, top = read_corpus(folder, exclude=exclude), os.path.abspath(folder)

    def named(text: str) -> str:
        return os.path.normpath(os.path.join(folder, os.path.relpath(text_to_path(text), top)))

    yield from (Input(named(text)) for text in corpus.paths)
    yield from (Input(named(text), why) for text, why in corpus.unlistable)
    if not (corpus.paths or corpus.unlistable):
        yield Input(folder, ImageRejected(stage="read", reason="empty-folder", detail="the folder holds no files"))


def _listed(data: bytes, base: str) -> list[str]:
    from ..indexer.addresses import is_url
    from ..indexer.sources import split_list

    lines = map(os.fsdecode, split_list(data))
    return [line if is_url(line) else os.path.join(base, line) for line in lines]


def _is_list(name: str) -> bool:
    from ..core.errors import ImageRejected
    from ..images.identify import identify

    head = _head(name)
    try:
        identify(head)
    except ImageRejected as why:
        return why.reason == "not-an-image" and any(map(os.path.isfile, _listed(head, os.path.dirname(name))))
    return False


def _head(name: str) -> bytes:
    """How a regular file begins; nothing else is ever opened."""
    try:
        if os.path.isfile(name):
            with open(name, "rb") as file:
                return file.read(_LOOK)
    except (OSError, ValueError):  # reading it as an image says what is wrong with it
        pass
    return b""
