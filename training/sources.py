"""Where training images come from: folders, and tar shards in webdataset style, as one ordered list of members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..core.errors import ImageRejected, UsageError
from ..core.files import digest_json
from ..images.decode import read_image_file
from ..images.names import SUFFIXES
from ..images.policy import DecodePolicy
from ..indexer.addresses import member_of, text_to_path
from ..indexer.places import file_stamp
from ..indexer.sources import SHARD, is_shard, read_corpus, shard_entries


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
        return is_shard(self.path)


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
        UsageError, IntegrityError: for a shard that is no tar file, or a damaged one.
    """
    return sum(sum(1 for _ in shard_entries(c.path)) if c.is_shard else 1 for c in containers)


def read_images(
    containers: Sequence[Container], *, policy: DecodePolicy
) -> Iterator[tuple[str, bytes | ImageRejected]]:
    """(name, bytes) of every image in order; the bytes are a rejection where they cannot be read.

    Raises:
        UsageError, IntegrityError: as :func:`count_images`.
    """
    for container in containers:
        if container.is_shard:
            for entry in shard_entries(container.path):
                yield member_of(entry.name), _attempt(partial(entry.read, policy))
        else:
            yield container.name, _attempt(partial(read_image_file, container.path, policy=policy))


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
        if stamp is not None and path.suffix.lower() in {*SUFFIXES, SHARD}:
            yield Container(path, path.relative_to(root).as_posix(), *stamp)


def _attempt(read: Callable[[], bytes]) -> bytes | ImageRejected:
    try:
        return read()
    except ImageRejected as why:
        return why
