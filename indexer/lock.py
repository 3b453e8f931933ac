"""One writer per index: an advisory lock that the system drops when the process ends, however it ends.

Beside it stands who holds it, for people only: the note of a killed process means nothing and is written over.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ..core.errors import IndexStateError
from ..core.files import canonical_json

HOLDER = "lock.holder"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes an index.

    Attributes:
        pid: of the process; host: the machine it runs on.
        since: seconds since 1970.
    """

    pid: int
    host: str
    since: float

    @property
    def alive(self) -> bool:
        """Whether there may be such a process: another machine's is taken for alive."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass  # somebody else's
        return True

    def __str__(self) -> str:
        where = "" if self.host == socket.gethostname() else f" on {self.host}"
        return f"process {self.pid}{where}, for {_age(time.time() - self.since)}"


@contextmanager
def writer_lock(index: Path) -> Iterator[None]:
    """Hold the index for writing. The lock file stays; it means nothing by itself.

    Raises:
        IndexStateError: the folder is not there; or another process, or another writer of this one, holds it, which
            is named with its age.
    """
    if not index.is_dir():  # the lock would make the folder
        raise IndexStateError(f"no index at {index}: the folder is not there")
    lock = FileLock(index / "lock", fallback_to_soft=False)  # a file that stands for a lock would outlive a kill
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        known = _read_holder(index)
        who = f" ({known})" if known else ""
        raise IndexStateError(
            f"another process is writing {index}{who}; wait for it, or choose another index"
        ) from error
    try:
        _note_holder(index)
        yield
    finally:
        (index / HOLDER).unlink(missing_ok=True)
        lock.release()


def writing_now(index: Path) -> Holder | None:
    """Who is writing an index, as far as its note tells; None where nobody is."""
    known = _read_holder(index)
    return known if known is not None and known.alive else None


def _note_holder(index: Path) -> None:
    holder = Holder(os.getpid(), socket.gethostname(), time.time())
    with suppress(OSError):  # it is for people
        (index / HOLDER).write_bytes(canonical_json(asdict(holder)))


def _read_holder(index: Path) -> Holder | None:
    try:
        data = json.loads((index / HOLDER).read_bytes())
        return Holder(int(data["pid"]), str(data["host"]), float(data["since"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None


def _age(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h``, ``2 days``: rounded down."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
