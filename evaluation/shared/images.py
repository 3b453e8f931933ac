"""Images from folders, list files and tar shards: listed, halved by seed, read in threads, in order."""

from __future__ import annotations

import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ...core.errors import ImageRejected, UsageError
from ...core.files import digest_json
from ...images.decode import DecodedImage, decode, load
from ...images.policy import DecodePolicy
from ...indexer.corpus import file_stamp, path_to_text, read_corpus, text_to_path

SHARD = ".tar"
MEMBERS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
"""Endings of shard members that are images; the others (``.json``, ``.txt``, ``.cls``) belong to them."""

In = TypeVar("In")
Out = TypeVar("Out")


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

    def load(self, policy: DecodePolicy) -> DecodedImage:
        """Read and decode.

        Raises:
            ImageRejected: as ``images.decode``.
        """
        if self.shard is None or self.offset is None:
            return load(text_to_path(self.name), policy=policy)
        return decode(_piece(text_to_path(self.shard), self.offset, self.size), policy=policy)

    def attempt(self, policy: DecodePolicy) -> DecodedImage | ImageRejected:
        """The image, or why it is none."""
        try:
            return self.load(policy)
        except ImageRejected as why:
            return why


def list_entries(source: str | Path, *, exclude: Path) -> tuple[Entry, ...]:
    """Every image of a folder (with the shards in it), a list file, or one shard, in sorted order.

    Args:
        source: a folder, a text file with one path a line, or a ``.tar`` file.
        exclude: a folder never descended into.

    Raises:
        UsageError: it does not exist, holds nothing, or is a shard that cannot be read.
    """
    path = Path(source)
    names = (path_to_text(path.resolve()),) if _is_shard(path) else read_corpus(str(source), exclude=exclude).paths
    entries = [entry for name in names for entry in _entries_of(name)]
    if not entries:
        raise UsageError(f"{source} holds no images")
    return tuple(entries)


def listing_digest(entries: Iterable[Entry]) -> str:
    """Changes with any name, size or time of change."""
    return digest_json([[e.name, e.size, e.mtime_ns] for e in entries])


def halves(items: Sequence[In], *, seed: int, purpose: str) -> tuple[list[In], list[In]]:
    """Two halves by seed, each in the order of ``items``; the second is the larger one of an odd number."""
    rng = np.random.default_rng(int(digest_json([purpose, seed])[:15], 16))
    chosen = np.zeros(len(items), dtype=np.bool_)
    chosen[rng.permutation(len(items))[: len(items) // 2]] = True
    return [i for i, c in zip(items, chosen, strict=True) if c], [
        i for i, c in zip(items, chosen, strict=True) if not c
    ]


def in_order(work: Callable[[In], Out], items: Iterable[In], *, workers: int, ahead: int = 8) -> Iterator[Out]:
    """Results of ``work`` in the order of ``items``, computed in threads.

    Args:
        work: safe to call from many threads.
        items: taken one at a time, as results are.
        workers: threads.
        ahead: results per thread that may wait to be taken.
    """
    pending: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="images") as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= ahead * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _is_shard(path: Path) -> bool:
    return path.suffix == SHARD and path.is_file()


def _entries_of(name: str) -> Iterator[Entry]:
    path = text_to_path(name)
    size, mtime = file_stamp(path) or (0, 0)
    if not _is_shard(path):
        yield Entry(name, size, mtime)
        return
    try:
        with tarfile.open(path, "r:") as shard:
            members = [m for m in shard if m.isfile() and Path(m.name).suffix.lower() in MEMBERS]
    except (tarfile.TarError, OSError) as error:
        raise UsageError(f"{path} cannot be read as an uncompressed tar shard: {error}") from error
    for member in sorted(members, key=lambda m: m.name):
        yield Entry(f"{name}/{member.name}", member.size, mtime, name, member.offset_data)


def _piece(path: Path, offset: int, size: int) -> bytes:
    try:
        with path.open("rb") as handle:
            handle.seek(offset)
            return handle.read(size)
    except OSError as error:
        detail = error.strerror or str(error)
        raise ImageRejected(stage="read", reason="unreadable", detail=detail, byte_count=size) from error
