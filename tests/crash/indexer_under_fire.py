"""Runs the indexer in forked children and kills them; a program of its own, so that nothing forks after a thread began.

Usage: indexer_under_fire.py CORPUS MODEL WORK random KILLS SEED | syscalls STEP
MODEL is a small network: the indexer is under fire, and a child that loads and embeds for seconds is killed there.
Prints one JSON line: trials, how many children were killed in mid-run, and the indexes that differ from the reference.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from children import child, killed
from drawn import Quiet

from retr.indexer.build import IndexOptions, build_index
from retr.indexer.integrity import check_content
from retr.indexer.snapshot import require_current

OPTIONS = {"batch_size": 8, "segment_rows": 40, "workers": 2, "views": "flip"}


def run_child(corpus: str, model: str, index: Path, *, resume: bool, before: Callable[[], None] = lambda: None) -> int:
    """Index in a child; its process id."""

    def work() -> None:
        before()
        build_index(corpus, index, IndexOptions(models=(model,), resume=resume, **OPTIONS), Quiet())

    return child(work)


def die_at(call: int) -> Callable[[], None]:
    """Kill the process at its ``call``-th fsync or rename, just before or just after it, by turns."""
    count = 0

    def counted(function):
        def wrapper(*arguments, **options):
            nonlocal count
            count += 1
            if count == call and call % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments, **options)
            if count == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapper

    def install() -> None:
        for name in ("fsync", "rename", "replace", "link", "unlink"):
            setattr(os, name, counted(getattr(os, name)))

    return install


def main(corpus: str, model: str, work: str, mode: str, *numbers: str) -> None:
    folder = Path(work)
    began = time.perf_counter()
    killed(run_child(corpus, model, folder / "reference", resume=False))
    whole = time.perf_counter() - began
    expected = require_current(folder / "reference").id
    dead, different, trials = 0, [], 0
    for trial in plan(mode, numbers):
        index = folder / f"trial-{trial}"
        if mode == "random":
            pid = run_child(corpus, model, index, resume=False)
            time.sleep(random.Random(trial).uniform(0.0, whole))
            os.kill(pid, signal.SIGKILL)
            died = killed(pid)
        else:
            died = killed(run_child(corpus, model, index, resume=False, before=die_at(trial)))
        trials += 1
        dead += died
        if died:
            killed(run_child(corpus, model, index, resume=True))
        snapshot = require_current(index)
        check_content(index, snapshot, everything=True)
        if snapshot.id != expected or (index / "staging").exists():
            different.append(str(trial))
        shutil.rmtree(index)
        if (mode == "syscalls" and not died) or (mode == "random" and dead == int(numbers[0])):
            break
    print(json.dumps({"trials": trials, "killed": dead, "different": different, "seconds": whole}))


def plan(mode: str, numbers: tuple[str, ...]):
    """Trial numbers: seeds of random moments (three times as many as shall be killed), or which call is the last."""
    if mode == "random":
        return range(int(numbers[1]), int(numbers[1]) + 3 * int(numbers[0]))
    return range(1, 100_000, int(numbers[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
