"""Parquet files with the bytes of images, in the layout of Hugging Face: a member is COLUMN/ROW, counted from 0.

A column of images is a struct with a field ``bytes``, or bytes under one of a few names. The files are read in
processes of their own (``parquet_worker``), since a forged one can bring the library for columns down.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, BinaryIO

from ..core.errors import ImageRejected
from ..images.isolated import import_path, receive, send
from .archive_kind import Kind, Member
from .places import place_stamp

GROUP = 2**30
"""Bytes that the row groups which are read at once may hold."""
TOGETHER = 2**25
"""Row groups are read together up to so many bytes: a process takes half a second to start."""
MEMORY = 3 * 2**29
"""Bytes that a process may take beyond those of the interpreter."""
SECONDS = 60.0
"""Processor time of a process; on the clock it may take ten times as long."""
_KEPT = 3
_LOCK = threading.Lock()


def scan(archive: str, file: BinaryIO) -> Iterator[Member | tuple[str, ImageRejected]]:  # noqa: ARG001 - as other kinds
    """The rows of all columns of images, column by column."""
    said, _ = _asked({"do": "list", "archive": archive})
    columns = [(int(place), str(name)) for place, name in said["columns"]]
    if not columns:
        detail = f"no column of images: {', '.join(map(str, said['names']))[:200]}"
        raise ImageRejected(stage="read", reason="damaged-archive", detail=detail)
    runs = _runs([(int(rows), int(size)) for rows, size in said["groups"]])
    for column, name in columns:
        number = 0
        for first, last, rows, size in runs:
            for row in range(rows):
                yield Member(f"{name}/{number}", None, (column, first, last, row, size))
                number += 1


def _runs(groups: Sequence[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """(first, last, rows, bytes) of row groups that are read together."""
    if any(rows < 0 or size < 0 for rows, size in groups):
        raise ValueError("a row group of less than nothing")
    runs: list[tuple[int, int, int, int]] = []
    for number, (rows, size) in enumerate(groups):
        if runs and runs[-1][3] + size <= TOGETHER:
            first, _, before, held = runs[-1]
            runs[-1] = (first, number, before + rows, held + size)
        else:
            runs.append((number, number, rows, size))
    return runs


def read(archive: str, member: Member, most: int) -> bytes:
    """The bytes of a row.

    Raises:
        ImageRejected: the row holds none, or too many.
    """
    column, first, last, row, size = member.where
    if size > GROUP:
        raise ValueError(f"row group {first} holds {size} bytes: write it with fewer rows in a group")
    starts, sizes, data = _run(archive, column, first, last)
    if sizes[row] < 0:
        raise ImageRejected(stage="read", reason="not-found", detail="the row holds no bytes of an image")
    if sizes[row] > most:
        detail = f"{sizes[row]} bytes; the policy allows {most}"
        raise ImageRejected(stage="limits", reason="too-many-bytes", detail=detail, byte_count=sizes[row])
    return bytes(data[starts[row] : starts[row] + sizes[row]])


def _run(archive: str, column: int, first: int, last: int) -> tuple[list[int], list[int], memoryview]:
    stamp = place_stamp(archive)
    with _LOCK:  # one thread reads, the others wait for it
        return _read_run(archive, stamp, column, first, last)


@lru_cache(maxsize=_KEPT)
def _read_run(
    archive: str,
    stamp: tuple[int, int] | None,  # noqa: ARG001 - a changed archive has another stamp
    column: int,
    first: int,
    last: int,
) -> tuple[list[int], list[int], memoryview]:
    said, data = _asked({"do": "rows", "archive": archive, "column": column, "first": first, "last": last})
    sizes = [int(size) for size in said["sizes"]]
    starts = [0, *accumulate(max(0, size) for size in sizes)]
    if starts[-1] != len(data):
        raise ValueError("the reader's answer makes no sense")
    return starts[:-1], sizes, memoryview(data)


def _asked(request: dict[str, Any]) -> tuple[Any, bytearray]:
    """What a process of its own says.

    Raises:
        ValueError: an error, or no answer.
    """
    command = [sys.executable, "-m", "retr.indexer.parquet_worker"]
    quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": import_path()}
    process = subprocess.Popen(  # noqa: S603 - this very interpreter
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **quiet},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(10.0 * SECONDS, process.kill)
    timer.start()
    with process:
        try:
            send(process.stdin, {**request, "memory": MEMORY, "seconds": SECONDS}, b"")
            said, data = receive(process.stdout, most=(2**27, GROUP))
        except (OSError, ValueError, EOFError) as error:
            process.kill()
            raise ValueError(f"reading it as Parquet ended with {process.wait()}, and no answer") from error
        finally:
            timer.cancel()
    if "error" in said:
        raise ValueError(str(said["error"]))
    return said, data


KIND = Kind(scan, read, (KeyError, IndexError, TypeError))
