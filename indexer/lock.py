"""One writer per index: an advisory lock that the system drops when the process ends, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import IndexStateError


@contextmanager
def writer_lock(index: Path) -> Iterator[None]:
    """Hold the index for writing.

    Raises:
        IndexStateError: another process holds it.
    """
    with (index / "lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise IndexStateError(f"another process is writing {index}; wait for it, or choose another -o") from error
        yield
