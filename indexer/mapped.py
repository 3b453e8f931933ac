"""Files that are mapped into memory, and memory that they have come to take."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import numpy.typing as npt


def let_go_of(array: npt.NDArray[Any]) -> None:
    """Give memory back that an array mapped from a file has come to take by being looked at.

    It is read again when it is asked for. Of an array that is not mapped, or may have been written in, nothing is done.
    """
    mapped = getattr(array, "_mmap", None) if isinstance(array, np.memmap) and array.mode == "r" else None
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
