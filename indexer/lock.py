"""One writer per index: an advisory lock that the system drops when the process ends, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..core.errors import IndexStateError


@contextmanager
def writer_lock(index: Path) -> Iterator[None]:
    """Hold the index for writing. The lock file stays; it means nothing by itself.

    Raises:
        IndexStateError: another process, or another writer of this one, holds it.
    """
    lock = FileLock(index / "lock", fallback_to_soft=False)  # a file that stands for a lock would outlive a kill
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise IndexStateError(f"another process is writing {index}; wait for it, or choose another index") from error
    try:
        yield
    finally:
        lock.release()
