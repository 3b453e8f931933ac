"""How every audit attacks: a thread for each attack, batches of one shape, saved images kept where asked."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch

from ...core.files import sync_file

_MOST_WORKERS = 8
VALUES_PER_BATCH = 3_000_000
"""Values of images attacked at a time by one thread: some twenty float32 arrays of this size at the peak."""


@contextmanager
def worker_threads() -> Iterator[Executor]:
    """A pool with a thread per processor, each of which computes alone.

    One attack is many small steps: threads inside each step would mostly wait for one another.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers, before = min(cores, _MOST_WORKERS), torch.get_num_threads()
    torch.set_num_threads(max(1, before // workers))
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def by_shape(shapes: Sequence[tuple[int, ...]], *, most: int | None = None, each: int = 1) -> Iterator[list[int]]:
    """Places of images that are attacked together: of one shape, no more than fit in memory.

    Args:
        shapes: of the images.
        most: at most so many; None for no other limit than memory.
        each: how often every image stands in a batch.
    """
    places: dict[tuple[int, ...], list[int]] = {}
    for place, shape in enumerate(shapes):
        places.setdefault(shape, []).append(place)
    for shape, same in places.items():
        fit = max(1, min(most or len(same), VALUES_PER_BATCH // (each * math.prod(shape))))
        yield from (same[start : start + fit] for start in range(0, len(same), fit))


def keep(file: Path, target: Path, work: Path) -> None:
    """Copy a saved image so that it is there whole or not at all; several threads may write the same one.

    Args:
        file: where it lies until the attack's folder is deleted.
        target: where it shall be kept.
        work: a folder of this thread's, on the same file system.
    """
    made = work / f"copy-{target.name}"
    shutil.copyfile(file, made)
    sync_file(made)
    made.replace(target)
