"""Where images come from: folders, lists, archives and URLs, turned into one ordered list. The only listing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import ImageRejected, IntegrityError, UsageError
from ..images.identify import identify
from .addresses import (
    absolute_text,
    is_archive,
    is_url,
    member_address,
    path_to_text,
    split_address,
    text_to_path,
)
from .archive import list_archive
from .archive_tar import begins_a_tar
from .entries import Entry, member_stamp
from .places import Stamp, file_stamp, filesystem, place_stamp, remote_stamp

SHARD = ".tar"
"""Ending of an uncompressed tar of images, in webdataset style."""
_LONGEST = 4096
"""Bytes of the longest path of any system; a list without a shorter line is no list."""
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff")


@dataclass(frozen=True, slots=True)
class Corpus:
    """The images of one run, in the order in which they are indexed.

    Attributes:
        root: absolute folder that was walked, archive or URL, as text; None for a list.
        paths: absolute paths, addresses of members and URLs, each once.
        repeated: how many listed ones were left out because they had been listed before.
        unlistable: (path, reject) of folders and archives that could not be read, and of members that cannot be used.
        stamps: of what is no file of this machine; None for what has to be read to be known.
    """

    root: str | None
    paths: tuple[str, ...]
    repeated: int = 0
    unlistable: tuple[tuple[str, ImageRejected], ...] = ()
    stamps: Mapping[str, Stamp | None] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        """Everything that was listed, repeated paths and folders that could not be read included."""
        return len(self.paths) + self.repeated + len(self.unlistable)

    def stamp(self, path: str) -> Stamp | None:
        """What tells whether an image is unchanged; None where there is none, or nothing tells."""
        return self.stamps[path] if path in self.stamps else file_stamp(text_to_path(path))

    def unchanged(self, path: str, size: int, time: int) -> bool:
        """Whether an image is what it was when it had so many bytes and this time."""
        stamp = self.stamp(path)
        return stamp is not None and stamp[1] == time and stamp[0] in (None, size)


def read_corpus(source: str, *, exclude: Path) -> Corpus:
    """List the images of a corpus.

    Args:
        source: a folder (walked recursively in sorted order; names that begin with a dot are left out, links to
            folders are not followed, archives in it are not opened), an archive (``.tar``, ``.zip``, ``.parquet``), a
            URL of a file, an archive or a folder, a text file with one of these a line (paths relative to that file's
            folder), or ``-`` for such lines on standard input (relative to the current folder). Lists may be separated
            by NUL instead.
        exclude: a folder never descended into (the index itself).

    Raises:
        UsageError: source does not exist, or is a file that is no list.
    """
    if source == "-":
        return _from_list(sys.stdin.buffer.read(), Path.cwd(), "standard input")
    if not source:
        raise UsageError("the corpus has no name: an empty text was given; . is this folder")
    path = Path(source)
    if os.path.isdir(path):
        return _from_folder(path, exclude)
    if not os.path.exists(path):
        return _from_name(source)
    if is_archive(source) and os.path.isfile(path):
        return _from_archive(path_to_text(os.path.abspath(path)))
    if is_image(path):
        return Corpus(root=None, paths=(path_to_text(os.path.abspath(path)),))
    if not os.path.isfile(path):
        raise UsageError(f"{source!r} is neither a folder nor a file that lists paths")
    return _from_list(path.read_bytes(), path.resolve().parent, repr(source))


def _from_name(source: str) -> Corpus:
    """What is no file: a member of an archive, or a URL."""
    split = split_address(source)
    if split is None and not is_url(source):
        raise UsageError(
            f"no such corpus: {source!r}; give a folder, an archive, a file that lists paths, or - for standard input"
        )
    return _joined([_listed(source, Path.cwd())]) if split is not None else _from_url(source)


def _from_archive(archive: str) -> Corpus:
    listing, stamp = list_archive(archive), place_stamp(archive)
    stamps: dict[str, Stamp | None] = {
        member_address(archive, one.name): None if stamp is None else (one.size, stamp[1])
        for one in listing.members.values()
    }
    refused = [(_address(archive, name), why) for name, why in listing.refused.items()]
    whole = [(archive, listing.damage)] if listing.damage is not None else []
    return Corpus(archive, tuple(stamps), 0, (*refused, *whole), stamps)


def _address(archive: str, name: str) -> str:
    """Of a member that cannot be used, whose name may be none."""
    return member_address(archive, ascii(name)[1:-1] if is_url(archive) else name)


def _from_url(url: str) -> Corpus:
    files, path = filesystem(url)
    try:
        info = files.info(path)
        found = files.find(path, detail=True) if info["type"] == "directory" else {path: info}
    except Exception as error:
        raise UsageError(f"{url!r} cannot be listed: {str(error) or type(error).__name__}") from error
    if info["type"] != "directory" and is_archive(url):
        return _from_archive(url)
    below = {name: one for name, one in sorted(found.items()) if not _hidden(name.removeprefix(path))}
    stamps = {files.unstrip_protocol(name): remote_stamp(one) for name, one in below.items()}
    root = files.unstrip_protocol(path) if info["type"] == "directory" else None
    return Corpus(root, tuple(stamps), stamps=stamps)


def _hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def read_corpora(sources: Sequence[str], *, exclude: Path) -> Corpus:
    """Several corpora as one; of one alone it is :func:`read_corpus`.

    Raises:
        UsageError: as there, or standard input is named twice.
    """
    if sources.count("-") > 1:
        raise UsageError("standard input can be read once, and - is named twice")
    corpora = [read_corpus(source, exclude=exclude) for source in sources]
    return corpora[0] if len(corpora) == 1 else _joined(corpora)


def _joined(corpora: Iterable[Corpus]) -> Corpus:
    listed, failed = list[str](), dict[str, ImageRejected]()
    stamps, repeated = dict[str, Stamp | None](), 0
    for corpus in corpora:
        listed += corpus.paths
        failed.update(corpus.unlistable)
        stamps.update(corpus.stamps)
        repeated += corpus.repeated
    unique = tuple(dict.fromkeys(listed))
    return Corpus(None, unique, repeated + len(listed) - len(unique), tuple(failed.items()), stamps)


def list_entries(source: str | Path, *, exclude: Path) -> tuple[Entry, ...]:
    """Every image of a folder (with the archives in it), a list, or one archive, in sorted order.

    Args:
        source: as for :func:`read_corpus`.
        exclude: a folder never descended into.

    Raises:
        UsageError: it does not exist, holds nothing, or is an archive of another kind than its name says.
        IntegrityError: an archive is damaged.
    """
    corpus = read_corpus(str(source), exclude=exclude)
    _check_whole(corpus)
    entries = [entry for name in _sorted_members(corpus) for entry in _entries_of(name, corpus)]
    if not entries:
        raise UsageError(f"{source} holds no images")
    return tuple(entries)


def _sorted_members(corpus: Corpus) -> Sequence[str]:
    whole = corpus.root is not None and is_archive(corpus.root)
    return sorted(corpus.paths) if whole else corpus.paths


def _check_whole(corpus: Corpus) -> None:
    for name, why in corpus.unlistable:
        if why.reason == "damaged-archive":
            if name.lower().endswith(SHARD) and not begins_a_tar(text_to_path(name)):
                raise UsageError(f"{name} cannot be read as an uncompressed tar shard: {why.detail}")
            raise IntegrityError(f"{name} is a damaged archive: {why.detail}; fetch it again")


def _entries_of(name: str, corpus: Corpus) -> list[Entry]:
    path = text_to_path(name)
    if name not in corpus.stamps and is_shard(path):
        return sorted(shard_entries(path), key=lambda entry: entry.name)
    size, time = corpus.stamp(name) or (0, 0)
    return [Entry(name, size or 0, time)]


def is_image(path: Path) -> bool:
    """Whether a file begins as an image of a known format does."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            head = file.read(1 << 16)
        return identify(head) != "BMP" or head[6:10] == bytes(4)  # a list may begin with BM
    except (OSError, ValueError, ImageRejected):
        return False


def is_shard(path: Path) -> bool:
    """Whether a path is a file that is named like a tar of images."""
    return path.suffix.lower() == SHARD and os.path.isfile(path)


def shard_entries(path: Path) -> Iterator[Entry]:
    """The images of a shard by their addresses, in the order in which they lie there; the rest of it is left out.

    Raises:
        UsageError: the file is no uncompressed tar.
        IntegrityError: it begins as one and is damaged.
    """
    corpus = _from_archive(path_to_text(path))
    _check_whole(corpus)
    for name, stamp in corpus.stamps.items():
        size, time = stamp or (0, 0)
        yield Entry(name, size or 0, time)


def _from_folder(root: Path, exclude: Path) -> Corpus:
    skip, found, failed = exclude.resolve(), [], []

    def note(error: OSError) -> None:
        reject = ImageRejected(stage="read", reason="unreadable", detail=f"folder cannot be listed: {error.strerror}")
        failed.append((path_to_text(error.filename), reject))

    top = os.path.abspath(root)
    for folder, folders, files in os.walk(top, onerror=note):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and Path(folder, f).resolve() != skip)
        folders[:] = [f for f in folders if not os.path.islink(os.path.join(folder, f))]
        found.extend(os.path.join(folder, name) for name in sorted(files) if not name.startswith("."))
    return Corpus(root=path_to_text(top), paths=tuple(sorted(map(path_to_text, found))), unlistable=tuple(failed))


def _from_list(data: bytes, base: Path, name: str) -> Corpus:
    lines = split_list(data)
    if data.startswith(_IMAGES) or (lines and min(map(len, lines)) > _LONGEST):
        raise UsageError(f"{name} is not a list of paths (to index single images, pipe their paths to: retr index -)")
    return _joined([_listed(os.fsdecode(line), base) for line in lines])


def _listed(line: str, base: Path) -> Corpus:
    """What one line names. A path that no file can have is one of them: reading it says what is wrong with it."""
    if is_url(line) and split_address(line) is None:
        return _from_url(line) if is_archive(line) else Corpus(None, (line,), stamps={line: place_stamp(line)})
    text = absolute_text(line if is_url(line) else os.path.join(base, line))
    split = split_address(text)
    if split is not None:
        return Corpus(None, (text,), stamps={text: member_stamp(*split)})
    path = text_to_path(text)
    return _from_archive(text) if is_archive(text) and os.path.isfile(path) else Corpus(None, (text,))


def split_list(data: bytes) -> list[bytes]:
    """Names separated by NUL if there is one, else by line ends; empty ones are left out."""
    lines = data.split(b"\0") if b"\0" in data else [line.rstrip(b"\r") for line in data.split(b"\n")]
    return [line for line in lines if line.strip()]
