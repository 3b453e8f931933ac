"""Where training images come from: folders, and tar shards in webdataset style, as one ordered list of members."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import ImageRejected, IntegrityError, UsageError
from ..core.files import digest_json
from ..images.decode import read_image_file
from ..images.policy import DecodePolicy
from ..indexer.corpus import file_stamp, read_corpus, text_to_path

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".jfif"}
)
"""Endings of members that are read as images; all others (labels, manifests) are passed over."""
SHARD = ".tar"


@dataclass(frozen=True, slots=True)
class Container:
    """A file that holds images: an image file holds itself, a shard its members.

    Attributes:
        path: where it is.
        name: relative to the source it was found in; the name of a single image.
        size: bytes.
        mtime_ns: time of the last change.
    """

    path: Path
    name: str
    size: int
    mtime_ns: int

    @property
    def is_shard(self) -> bool:
        """Whether the file is a tar of images."""
        return self.path.suffix.lower() == SHARD


def list_containers(sources: Sequence[Path]) -> list[Container]:
    """All image files and shards of the sources, source by source, sorted by path within each.

    Args:
        sources: folders (walked recursively; hidden files are left out), shards and image files.

    Raises:
        UsageError: for a source that is not there, or sources that hold neither an image nor a shard.
    """
    found = [container for source in sources for container in _containers(source)]
    if not found:
        names = ", ".join(map(str, sources)) or "no source"
        raise UsageError(f"no image file and no {SHARD} shard in {names}; give folders of images or of shards")
    return found


def sources_digest(containers: Sequence[Container], *, side: int, policy: DecodePolicy) -> str:
    """What a cache was made of: every name, size and time of change, the side, and the decode policy."""
    rows = [[str(c.path), c.name, c.size, c.mtime_ns] for c in containers]
    return digest_json({"containers": rows, "side": side, "policy": policy.digest})


def count_images(containers: Sequence[Container]) -> int:
    """How many images there are to read; shards are scanned by their headers.

    Raises:
        IntegrityError: for a shard that is no tar file.
    """
    return sum(sum(1 for _ in _members(c)) if c.is_shard else 1 for c in containers)


def read_images(
    containers: Sequence[Container], *, policy: DecodePolicy
) -> Iterator[tuple[str, bytes | ImageRejected]]:
    """(name, bytes) of every image in order; the bytes are a rejection where they cannot be read.

    Raises:
        IntegrityError: for a shard that is damaged.
    """
    for container in containers:
        if container.is_shard:
            yield from _members(container, with_bytes=True)
        else:
            yield container.name, _read(container.path, policy)


def _containers(source: Path) -> Iterator[Container]:
    if source.is_dir():
        root = source.resolve()
        paths = [text_to_path(text) for text in read_corpus(str(root), exclude=root / ".cache").paths]
    elif source.is_file():
        root, paths = source.resolve().parent, [source.resolve()]
    else:
        raise UsageError(f"no such training source: {str(source)!r}; give a folder, a {SHARD} shard or an image file")
    for path in paths:
        stamp = file_stamp(path)
        if stamp is not None and path.suffix.lower() in SUFFIXES | {SHARD}:
            yield Container(path, path.relative_to(root).as_posix(), *stamp)


def _members(shard: Container, *, with_bytes: bool = False) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the images of a shard in their order; the bytes are empty unless asked for."""
    try:
        with tarfile.open(shard.path, "r:") as archive:
            for member in archive:
                if member.isfile() and _is_image(member.name):
                    handle = archive.extractfile(member) if with_bytes else None
                    yield member.name, handle.read() if handle else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise IntegrityError(f"{shard.path} cannot be read as a tar shard: {error}; fetch it again") from None


def _is_image(name: str) -> bool:
    path = Path(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _read(path: Path, policy: DecodePolicy) -> bytes | ImageRejected:
    try:
        return read_image_file(path, policy=policy)
    except ImageRejected as why:
        return why
