"""Where images come from: folders, lists of paths and tar shards, turned into one ordered list. The only listing."""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from ..core.errors import ImageRejected, IntegrityError, UsageError
from ..images.decode import DecodedImage, decode, read_image_file
from ..images.identify import identify
from ..images.isolated import Decoder
from ..images.names import is_image_name
from ..images.policy import DecodePolicy

SHARD = ".tar"
"""Ending of an uncompressed tar of images, in webdataset style."""
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

    @property
    def seen(self) -> int:
        """Everything that was listed, repeated paths and folders that could not be read included."""
        return len(self.paths) + self.repeated + len(self.unlistable)


@dataclass(frozen=True, slots=True)
class Entry:
    """One image somewhere.

    Attributes:
        name: its path as text; ``SHARD/MEMBER`` in a shard.
        size: bytes; mtime_ns: of the file or the shard.
        offset: where its bytes begin in the shard; None for a file of its own.
    """

    name: str
    size: int
    mtime_ns: int
    shard: str | None = None
    offset: int | None = None

    def read(self, policy: DecodePolicy) -> bytes:
        """Its bytes.

        Raises:
            ImageRejected: as ``images.decode.read_image_file``; a shard that cannot be read is ``unreadable``.
        """
        if self.shard is None or self.offset is None:
            return read_image_file(text_to_path(self.name), policy=policy)
        return _piece(text_to_path(self.shard), self.offset, self.size)

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


def read_corpus(source: str, *, exclude: Path) -> Corpus:
    """List the files of a corpus.

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
    if os.path.isdir(path):
        return _from_folder(path, exclude)
    if not os.path.exists(path):
        raise UsageError(f"no such corpus: {source!r}; give a folder, a file that lists paths, or - for standard input")
    if is_image(path):
        return Corpus(root=None, paths=(path_to_text(os.path.abspath(path)),))
    if not os.path.isfile(path):
        raise UsageError(f"{source!r} is neither a folder nor a file that lists paths")
    return _from_list(path.read_bytes(), path.resolve().parent, repr(source))


def read_corpora(sources: Sequence[str], *, exclude: Path) -> Corpus:
    """Several corpora as one; of one alone it is :func:`read_corpus`.

    Raises:
        UsageError: as there, or standard input is named twice.
    """
    if sources.count("-") > 1:
        raise UsageError("standard input can be read once, and - is named twice")
    corpora = [read_corpus(source, exclude=exclude) for source in sources]
    if len(corpora) == 1:
        return corpora[0]
    listed = [path for corpus in corpora for path in corpus.paths]
    unique = tuple(dict.fromkeys(listed))
    failed = dict(pair for corpus in corpora for pair in corpus.unlistable)
    repeated = len(listed) - len(unique) + sum(corpus.repeated for corpus in corpora)
    return Corpus(None, unique, repeated, tuple(failed.items()))


def list_entries(source: str | Path, *, exclude: Path) -> tuple[Entry, ...]:
    """Every image of a folder (with the shards in it), a list file, or one shard, in sorted order.

    Args:
        source: a folder, a text file with one path a line, or a ``.tar`` file.
        exclude: a folder never descended into.

    Raises:
        UsageError: it does not exist, holds nothing, or is a shard that is no tar.
        IntegrityError: a shard is damaged.
    """
    path = Path(source)
    names = (path_to_text(path.resolve()),) if is_shard(path) else read_corpus(str(source), exclude=exclude).paths
    entries = [entry for name in names for entry in _entries_of(name)]
    if not entries:
        raise UsageError(f"{source} holds no images")
    return tuple(entries)


def _entries_of(name: str) -> list[Entry]:
    path = text_to_path(name)
    if is_shard(path):
        return sorted(shard_entries(path), key=lambda entry: entry.name)
    return [Entry(name, *(file_stamp(path) or (0, 0)))]


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
    """The images of a shard by their names, in the order in which they lie there; labels and manifests are left out.

    Raises:
        UsageError: the file is no uncompressed tar.
        IntegrityError: it begins as one and is damaged.
    """
    name, stamp = path_to_text(path), file_stamp(path)
    with _open_shard(path) as shard:
        try:
            for member in shard:
                if member.isfile() and is_image_name(member.name):
                    mtime = stamp[1] if stamp else 0
                    yield Entry(f"{name}/{member.name}", member.size, mtime, name, member.offset_data)
        except (tarfile.TarError, OSError) as error:
            raise IntegrityError(f"{path} is a damaged tar shard: {error}; fetch it again") from error


def _open_shard(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:")
    except (tarfile.TarError, OSError) as error:
        if _begins_a_tar(path):
            raise IntegrityError(f"{path} is a damaged tar shard: {error}; fetch it again") from error
        raise UsageError(f"{path} cannot be read as an uncompressed tar shard: {error}") from error


def _begins_a_tar(path: Path) -> bool:
    """Whether the first header is whole, checksum and all."""
    try:
        with path.open("rb") as handle:
            tarfile.TarInfo.frombuf(handle.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except (tarfile.TarError, OSError):
        return False
    return True


def _piece(path: Path, offset: int, size: int) -> bytes:
    try:
        with path.open("rb") as handle:
            handle.seek(offset)
            return handle.read(size)
    except OSError as error:
        detail = error.strerror or str(error)
        raise ImageRejected(stage="read", reason="unreadable", detail=detail, byte_count=size) from error


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
    """(bytes, mtime in ns) of a file, or None where there is none: what tells an unchanged file without reading it."""
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    return info.st_size, info.st_mtime_ns


def is_there(text: str) -> bool:
    """Whether the file of an item is still there, readable or not."""
    try:
        os.stat(text_to_path(text))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        pass
    return True


def load_named(text: str, policy: DecodePolicy) -> DecodedImage:
    """The image that a catalog names, as it is now.

    Raises:
        ImageRejected: as ``images.decode``.
    """
    return Entry(text, *(file_stamp(text_to_path(text)) or (0, 0))).load(policy)
