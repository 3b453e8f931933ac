"""Foreign checkpoints of torch: tensors and plain containers only, of no more bytes than the file has."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from ..core.errors import ModelError

_MOST_RECORDS = 100_000


def read_checkpoint(path: Path) -> Any:
    """What a checkpoint holds, on the CPU. Nothing in it is run: torch's restricted reader builds tensors, no objects.

    torch writes its records uncompressed; an archive whose records unpack to more than the file is refused before
    anything of it is read.

    Raises:
        ModelError: the file cannot be read so, with the first line of why.
    """
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            # Of no use to a user: a file that torch's restricted reader cannot follow raises besides.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except (ModelError, MemoryError):
        raise
    except pickle.UnpicklingError:  # torch's own words advise to read it unsafely
        reason = "it holds more than tensors, or is damaged"
        raise ModelError(f"{path} is not a checkpoint of plain tensors that can be read safely: {reason}") from None
    except Exception as error:  # whatever torch says of a broken file, it is broken
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"{path} is not a checkpoint of plain tensors that can be read safely: {reason}") from None


def _check_archive(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
    size, unpacked = path.stat().st_size, sum(record.file_size for record in records)
    if len(records) > _MOST_RECORDS or unpacked > size:
        detail = f"{len(records)} records that unpack to {unpacked} bytes, in a file of {size}"
        raise ModelError(f"{path} is not a checkpoint that can be read safely: it holds {detail}")
