"""How every audit attacks: a thread each, batches of one shape, judged on what was saved, kept where asked."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from ...attacks.harness import Effort, Outcome, Subject, run_attack
from ...attacks.media import Distance, Pixels
from ...attacks.registry import Attack
from ...attacks.target import Target
from ...core.files import digest_json, sync_file
from ...images.policy import DecodePolicy
from .plans import Keep

V = TypeVar("V")
SIZES = ("l2", "linf", "rmse", "psnr", "changed_001", "changed_01", "changed_03")
"""How far a saved image is, in the columns that every audit records."""

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


@contextmanager
def attacked(
    attack: Attack,
    target: Target,
    subjects: Sequence[Subject],
    judge: Callable[[Sequence[Pixels]], Sequence[V]],
    *,
    effort: Effort,
    policy: DecodePolicy,
    device: str = "cpu",
    parent: Path | None = None,
) -> Iterator[tuple[list[Outcome[V]], Path]]:
    """Attack images of one shape; the outcomes, judged on the saved images, and the folder that these lie in.

    Args:
        attack: from the registry.
        target: the loss that it raises.
        subjects: what is attacked.
        judge: what a system says of saved images; see ``attacks.harness.run_attack``.
        effort: how hard it tries.
        policy: how saved images are decoded.
        device: where attacks compute.
        parent: where the folder is made, which is gone afterwards; None for a temporary place.
    """
    with tempfile.TemporaryDirectory(prefix="retr-", dir=parent) as name:
        work = Path(name)
        # Attacks may be approximate; measuring is float64, and so is judging wherever a proof speaks.
        told = {"effort": effort, "folder": work, "policy": policy, "device": device, "dtype": torch.float32}
        yield run_attack(attack, target, subjects, judge, **told), work


def sizes_of(distance: Distance) -> dict[str, Any]:
    """The columns :data:`SIZES` of a record."""
    return {name: getattr(distance, name) for name in SIZES}


def seed_of(*about: Any, digits: int = 15) -> int:
    """A seed for everything random in one attack: the same whatever else is attacked."""
    return int(digest_json(list(about))[:digits], 16)


def is_kept(keep: Keep, *, alarm: bool) -> bool:
    """Whether a saved image is to be kept."""
    return keep == "all" or (keep == "alarms" and alarm)


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
