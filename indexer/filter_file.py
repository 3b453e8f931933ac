"""Filters of rows in the user's cache: made when large rows are first opened, and read from then on.

A filter may hide rows from a search, so it is as trusted as the program: like proofs (``embedding.kept_proofs``) it is
read from the user's own cache alone, never from an index, which other people write. Its name is the digest of all that
it depends on: the SHA-256 of the rows' file and the source of the code that makes and reads it. While it is made, the
rows are hashed as they are read, and what is not the file that the snapshot names has no filter. What is stored carries
a digest of its own, which is looked at whenever it is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from ..core.cache import keep_for_us, only_ours
from ..core.errors import IntegrityError
from ..core.files import canonical_json, sha256_bytes
from . import filter_make, integer_products, row_codes, row_filter, row_lengths
from .filter_make import make_filter
from .kept_files import forget_oldest
from .mapped import let_go_of
from .row_codes import CodedRows
from .row_filter import Float32, RowFilter
from .row_lengths import check_lengths

LEAST = 2**14
"""Fewer rows are read faster than a filter is."""
MOST_BYTES = 2**33
"""Of all filters in the cache; the ones that were used longest ago go first."""
_SCHEMA = "retr.row-filter/1"
_LONGEST_HEADER = 2**16
_ARRAYS = ("turn", "centre", "codes", "always")
_NUMBERS = ("scale", "rest", "lost", "longest", "spread")


def find_filter(
    rows: Float32 | CodedRows, stored: npt.NDArray[np.generic], digest: str, folder: Path | None, where: str
) -> RowFilter | None:
    """The filter of some rows, made if it is not there; None where there are few, or nowhere to keep it.

    Args:
        rows: (n, d) unit rows.
        stored: (n, d) what they are stored as: their file from its first byte to its last.
        digest: SHA-256 that the file must have.
        folder: the user's cache.
        where: names the file, for errors.

    Raises:
        IntegrityError: the file is not what its digest says.
    """
    if len(rows) < LEAST or folder is None or rows.shape[1] > row_filter.DIM:
        return None
    path = folder / "filters" / f"{sha256_bytes(canonical_json([digest, list(rows.shape), _code()]))[:32]}.safetensors"
    found = _read(path, len(rows), rows.shape[1])
    if found is not None or not _can_keep(path.parent):
        return found
    hashed = hashlib.sha256()

    def read(some: slice) -> Float32:
        """Read once: the bytes that are hashed are those that a filter is made of, whoever writes in the meantime."""
        own = np.array(stored[some])
        hashed.update(own.data)
        chunk = CodedRows(own, rows.code, rows.where)[:] if isinstance(rows, CodedRows) else cast("Float32", own)
        check_lengths(chunk, some.start, "cosine", where)
        let_go_of(stored)  # where an index is made, its rows would be in memory once more
        return chunk

    made = make_filter(cast("Float32", rows), read)
    if hashed.hexdigest() != digest:
        raise IntegrityError(f"{where} does not match its SHA-256 in the snapshot: the file was changed")
    with suppress(OSError):  # what cannot be kept serves as well
        _write(path, made)
        return _read(path, len(rows), rows.shape[1]) or made
    return made


def _can_keep(folder: Path) -> bool:
    """Whether a filter may be made: it takes seconds, which nobody waits for at every opening."""
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.access(folder, os.W_OK)
    return False


@cache
def _code() -> str:
    """A digest of the source that a filter depends on."""
    modules = (row_filter, filter_make, integer_products, row_codes, row_lengths)
    files = (Path(str(module.__file__)) for module in modules)
    return sha256_bytes(b"".join(file.read_bytes() for file in (*files, Path(__file__))))


def _write(path: Path, made: RowFilter) -> None:
    arrays = {name: np.ascontiguousarray(getattr(made, name)) for name in _ARRAYS}
    numbers = {name: float(getattr(made, name)).hex() for name in _NUMBERS}
    notes = {"schema": _SCHEMA, "digest": _digest(arrays, numbers), **numbers}
    keep_for_us(path, safetensors.numpy.save(arrays, metadata=notes))
    forget_oldest(path.parent, MOST_BYTES, kept=path)


def _read(path: Path, rows: int, dim: int) -> RowFilter | None:
    """None where there is none, or one that cannot be believed."""
    if not only_ours(path):
        return None
    try:
        with path.open("rb") as file:
            size = min(int.from_bytes(file.read(8), "little"), _LONGEST_HEADER)
            header = json.loads(file.read(size))
        notes = header["__metadata__"]
        arrays = {name: _mapped(path, header[name], 8 + size) for name in _ARRAYS}
        numbers = {name: notes[name] for name in _NUMBERS}
        if notes["schema"] != _SCHEMA or notes["digest"] != _digest(arrays, numbers):
            return None
        if arrays["codes"].shape[0] != rows or arrays["turn"].shape[1] != dim:
            return None
        scale, rest, lost, longest, spread = (float.fromhex(numbers[name]) for name in _NUMBERS)
        codes, always = arrays["codes"], arrays["always"]
        found = RowFilter(arrays["turn"], arrays["centre"], scale, rest, lost, longest, spread, codes, always)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with suppress(OSError):
        os.utime(path)  # used just now: others are forgotten before it
    return found


def _mapped(path: Path, entry: dict[str, Any], start: int) -> npt.NDArray[Any]:
    dtype = {"F64": np.float64, "I64": np.int64, "I8": np.int8}[entry["dtype"]]
    if 0 in entry["shape"]:
        return np.empty(entry["shape"], dtype=dtype)
    # Copied where somebody writes, which nobody does: torch takes no array that cannot be written.
    found = np.memmap(path, dtype=dtype, mode="c", offset=start + entry["data_offsets"][0], shape=tuple(entry["shape"]))
    return found if dtype == np.int8 else np.array(found)


def _digest(arrays: dict[str, npt.NDArray[Any]], numbers: dict[str, str]) -> str:
    hashed = hashlib.sha256(canonical_json(numbers))
    for name in _ARRAYS:
        hashed.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}\n".encode())
        hashed.update(np.ascontiguousarray(arrays[name]).data)
    return hashed.hexdigest()
