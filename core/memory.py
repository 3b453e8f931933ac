"""Memory that is free, and still this process's."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def give_back() -> None:
    """Let the allocator give the system what is free, between two stages of long work.

    The allocator of Linux keeps what large arrays have left in the heap of every thread: hundreds of megabytes after a
    stage, of which the next one cannot use all. Others need no such word, and nothing is done there.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
