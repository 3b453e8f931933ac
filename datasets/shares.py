"""Judgements in ``.npy`` files: element 0 of an array with one element, a share of people. Never unpickled."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np

from .rows import RowError

_LARGEST = 4096
"""Bytes; a judgement is one number behind a header of 128."""


def read_share(folder: Path, path: Path) -> float:
    """The number in a judgement file.

    Args:
        folder: root of the data set; the file is named relative to it.
        path: the file.

    Raises:
        RowError: ``bad-judgement``, unless it is a plain array of one number from 0 to 1.
    """
    try:
        return _share(path)
    except RowError as error:
        raise RowError(error.reason, error.detail, file=path.relative_to(folder).as_posix()) from None


def _share(path: Path) -> float:
    try:
        if path.stat().st_size > _LARGEST:
            raise RowError("bad-judgement", f"over {_LARGEST} bytes; a judgement is one number")
        # read_array and not np.load: that would also open archives; neither may unpickle.
        value = np.lib.format.read_array(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise RowError("bad-judgement", f"no plain .npy array: {error}") from None
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise RowError("bad-judgement", f"holds {value.dtype} {value.shape}, not one number")
    share = float(value.reshape(-1)[0])
    if not (math.isfinite(share) and 0.0 <= share <= 1.0):
        raise RowError("bad-judgement", f"says {share}, not a share between 0 and 1")
    return share
