"""Whether the files of an index are what its snapshot says, found out whenever it is opened, at a bounded cost.

Every file of a snapshot has a SHA-256 in it. Small files are read at every opening. A larger one is read when it is
first opened, and again when its device, inode, size, time of change or time of status change (``ctime``, which no
ordinary call can set back) is another one; what was found is remembered in the user's cache, never in the index. An
opening reads at most ``READ_AT_ONCE`` bytes of larger files: where there are more, the next ones read on, and the check
says what nobody has read yet. ``everything`` reads all.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ..core.cache import keep_for_us, only_ours, user_cache
from ..core.errors import IntegrityError
from ..core.files import canonical_json, sha256_bytes, sha256_file
from ..core.parallel import in_order
from .snapshot import Snapshot, stored_files

SMALL = 2**22
"""Bytes of a file that is read at every opening, as long as all of them together are not more than ``SMALL_ALL``."""
SMALL_ALL = 2**25
READ_AT_ONCE = 2**30
"""Bytes of larger files that one opening reads."""
_SETTLED_NS = 2_000_000_000
"""A file that was changed so shortly before it was read may change once more at the same time by its clock."""
_SCHEMA = "retr.content/1"
_LINE = 7
"""A digest, five numbers of a stamp, and a time."""

Stamp = tuple[int, int, int, int, int]
"""Device, inode, size, mtime and ctime in ns."""


@dataclass(frozen=True, slots=True)
class ContentCheck:
    """What is known of the bytes of an opened snapshot. Whatever was read matched, or an error was raised.

    Attributes:
        files: how many there are.
        read: how many of them were read now; bytes_read: how long these are.
        remembered: how many were read at an earlier opening and look untouched since; since: when the first of them
            was read, ISO 8601, or None.
        unread: names of those that were never read; bytes_unread: how long these are.
    """

    files: int
    read: int
    bytes_read: int
    remembered: int
    since: str | None
    unread: tuple[str, ...]
    bytes_unread: int

    @property
    def complete(self) -> bool:
        """Whether every file was read once."""
        return not self.unread

    def __str__(self) -> str:
        words = [f"{self.read} files match their SHA-256"]
        if self.remembered:
            words.append(f"{self.remembered} did on {self.since} or later and are unchanged by their times")
        if self.unread:
            size = f"{self.bytes_unread / 1e9:.1f} GB"
            words.append(f"{len(self.unread)} were never read ({size}): to read all, retr info --verify")
        return "; ".join(words)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    digest: str
    stamp: Stamp

    @property
    def size(self) -> int:
        return self.stamp[2]


def check_content(
    index: Path, snapshot: Snapshot, *, everything: bool = False, cache: Path | None = None
) -> ContentCheck:
    """Compare a snapshot's files with their digests.

    Args:
        index: the index folder; nothing is written to it.
        snapshot: one of its snapshots.
        everything: read every file now.
        cache: folder where it is remembered what was read, writable or not; None for the user's, if there is one.

    Raises:
        IntegrityError: naming the first file that is missing or differs.
    """
    files = sorted(_files(index, snapshot), key=lambda file: (file.size, file.name))
    memory = _Memory(index, user_cache() if cache is None else cache)
    to_read, remembered, unread = _plan(files, memory, everything)
    began = time.time_ns()
    for file in in_order(partial(_check, snapshot=snapshot.id), to_read, workers=min(4, os.cpu_count() or 1)):
        if file.size > SMALL and _settled(file, began):
            memory.learn(file, began)
    memory.write(files)
    times = [memory.time_of(file) for file in remembered]
    return ContentCheck(
        files=len(files),
        read=len(to_read),
        bytes_read=sum(file.size for file in to_read),
        remembered=len(remembered),
        since=datetime.fromtimestamp(min(times) / 1e9, UTC).date().isoformat() if times else None,
        unread=tuple(file.name for file in unread),
        bytes_unread=sum(file.size for file in unread),
    )


def _files(index: Path, snapshot: Snapshot) -> Iterator[_File]:
    for path, digest in stored_files(index, snapshot):
        yield _File(path, path.relative_to(index).as_posix(), digest, _stamp(path))


def _stamp(path: Path) -> Stamp:
    try:
        info = path.stat()
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}") from error
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _plan(files: Iterable[_File], memory: _Memory, everything: bool) -> tuple[list[_File], list[_File], list[_File]]:
    """What is read now, what needs not be, and what the budget leaves unread; the smallest files come first."""
    to_read, remembered, unread = [], [], []
    small = large = 0
    for file in files:
        if everything or (file.size <= SMALL and small + file.size <= SMALL_ALL):
            small += file.size
            to_read.append(file)
        elif memory.knows(file):
            remembered.append(file)
        elif large + file.size <= READ_AT_ONCE:
            large += file.size
            to_read.append(file)
        else:
            unread.append(file)
    return to_read, remembered, unread


def _check(file: _File, *, snapshot: str) -> _File:
    try:
        found = sha256_file(file.path)
    except OSError as error:
        raise IntegrityError(f"{file.path} cannot be read: {error.strerror}") from error
    if found != file.digest:
        raise IntegrityError(f"{file.path} does not match its SHA-256 in snapshot {snapshot}: the file was changed")
    return file


def _settled(file: _File, began: int) -> bool:
    """Whether a file that was read cannot have changed unseen, neither before nor meanwhile."""
    return max(file.stamp[3:]) < began - _SETTLED_NS and _stamp(file.path) == file.stamp


def _is_line(line: object) -> bool:
    """A digest, a stamp, and when it was read."""
    if not isinstance(line, list) or len(line) != _LINE or not all(type(number) is int for number in line[1:]):
        return False
    return isinstance(line[0], str) and 0 <= line[-1] <= time.time_ns()


class _Memory:
    """What earlier openings of an index have read, in a file that only its user may be able to write."""

    def __init__(self, index: Path, cache: Path | None) -> None:
        self._index = str(index.resolve())
        name = f"{sha256_bytes(self._index.encode(errors='surrogateescape'))[:32]}.json"
        self._file = None if cache is None else cache / "content" / name
        self._known = self._read()
        self._learned = False

    def _read(self) -> dict[str, list[Any]]:
        if self._file is None or not only_ours(self._file):
            return {}  # whoever can write it could say that anything was read
        try:
            data = json.loads(self._file.read_bytes())
            files = dict(data["files"]) if data["schema"] == _SCHEMA else {}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return {}
        return {name: line for name, line in files.items() if _is_line(line)}

    def knows(self, file: _File) -> bool:
        """Whether the file was read as it is now."""
        return self._known.get(file.name, [])[:-1] == self._line(file)

    def time_of(self, file: _File) -> int:
        """When it was read, in ns."""
        return int(self._known[file.name][-1])

    def learn(self, file: _File, now: int) -> None:
        """It was read, and matched."""
        self._known[file.name] = [*self._line(file), now]
        self._learned = True

    @staticmethod
    def _line(file: _File) -> list[Any]:
        return [file.digest, *file.stamp]

    def write(self, files: Iterable[_File]) -> None:
        """Keep what is known of these files; a cache that cannot be written is done without."""
        if not self._learned or self._file is None:
            return
        names = {file.name for file in files}
        kept: Mapping[str, Any] = {name: line for name, line in self._known.items() if name in names}
        with suppress(OSError):
            keep_for_us(self._file, canonical_json({"schema": _SCHEMA, "index": ascii(self._index), "files": kept}))
