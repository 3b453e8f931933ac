"""Kills every command that changes an index, at random moments and around durable steps; a program of its own.

Usage: life_under_fire.py WORK KILLS SEED [COMMAND…]
COMMAND is among index, add, rm, sync and compact; all of them by default. After each kill: the index opens at its last
commit, no problem is found, nothing that was committed and not to be removed is lost, the command run again completes
to what an undisturbed run makes, and what is left over is cleared. Prints one JSON line with the counts; ends with 1 if
anything was lost. All work is done in children, so that nothing forks after a thread began.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from children import child, killed
from drawn import Quiet, draw
from indexer_under_fire import die_at

from retr.indexer.build import IndexOptions, build_index
from retr.indexer.garbage import orphans
from retr.indexer.history import compact_index
from retr.indexer.listing import list_items
from retr.indexer.remove import remove_items
from retr.indexer.snapshot import read_current, require_current
from retr.indexer.verify import clear_index, verify_index

MODEL = ("block-means:4",)
STEPS = 70
"""About as many durable steps as the longest command has."""


def options(*, resume: bool, prune: bool = False) -> IndexOptions:
    return IndexOptions(
        models=MODEL, batch_size=4, segment_rows=12, workers=1, resume=resume, prune=prune, labels=(("bank", "x"),)
    )


def index(home: Path, *, resume: bool) -> None:
    build_index(str(home / "first"), home / "index", options(resume=resume), Quiet())


def add(home: Path, *, resume: bool) -> None:
    build_index([str(home / "more"), str(home / "first")], home / "index", options(resume=resume), Quiet())


def sync(home: Path, *, resume: bool) -> None:
    build_index(str(home / "changed"), home / "index", options(resume=resume, prune=True), Quiet())


def rm(home: Path, *, resume: bool) -> None:
    held = list_items(home / "index", require_current(home / "index"))["path"].to_pylist()
    gone = [path for path in held if int(Path(path).stem) % 3 == 0]
    if gone:
        remove_items(home / "index", gone)


def compact(home: Path, *, resume: bool) -> None:
    compact_index(home / "index", forget=True)


COMMANDS: dict[str, Callable[..., None]] = {"index": index, "add": add, "rm": rm, "sync": sync, "compact": compact}


def pictures(home: Path) -> None:
    """Folders that the commands look at; ``changed`` is one where files came, went and changed between two runs."""
    for number in range(20):
        draw(home / "first" / f"{number}.png", number)
    for number in range(20, 32):
        draw(home / "more" / f"{number}.png", number)
    for number in range(16):
        draw(home / "changed" / f"{number}.png", number)


def begin(home: Path, command: str) -> None:
    """The index as the command finds it."""
    if command == "index":
        return
    if command == "sync":
        build_index(str(home / "changed"), home / "index", options(resume=False), Quiet())
        for number in (0, 3, 5):
            (home / "changed" / f"{number}.png").unlink()
        draw(home / "changed" / "7.png", 70)
        for number in range(40, 52):
            draw(home / "changed" / f"{number}.png", number)
        return
    index(home, resume=False)
    if command == "compact":
        add(home, resume=False)
        rm(home, resume=False)


def held(home: Path) -> dict[str, list[str]]:
    """Path → digests of bytes and pixels, of what is committed."""
    snapshot = read_current(home / "index")
    if snapshot is None:
        return {}
    table = list_items(home / "index", snapshot)
    columns = (table[name].to_pylist() for name in ("path", "bytes_sha256", "pixels_sha256"))
    return {str(Path(path).relative_to(home)): [one, other] for path, one, other in zip(*columns, strict=True)}


def answered(work: Callable[[], object]) -> Any:
    """What a child finds."""
    read, write = os.pipe()
    pid = child(work, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        found = pipe.read()
    assert not killed(pid)
    return json.loads(found)


def one_kill(home: Path, command: str, draw_of: random.Random, seconds: float) -> bool:
    """Run and kill; whether it was killed in time."""
    run = COMMANDS[command]
    if draw_of.random() < 0.5:
        pid = child(lambda: run(home, resume=False))
        time.sleep(draw_of.uniform(0.0, seconds))
        os.kill(pid, signal.SIGKILL)
        return killed(pid)
    step = draw_of.randrange(1, STEPS)

    def doomed() -> None:
        die_at(step)()
        run(home, resume=False)

    return killed(child(doomed))


def after_kill(home: Path, before: dict, after: dict) -> list[str]:
    """What is wrong after a kill; empty where nothing is."""
    if read_current(home / "index") is None:
        return ["there is no index any more"] if before else []
    wrong = [f"{one.file}: {one.what}" for one in verify_index(home / "index").problems]
    kept = {path: content for path, content in before.items() if after.get(path) == content}
    now = held(home)
    return wrong + [f"{path} is lost" for path, content in kept.items() if now.get(path) != content]


def after_rerun(home: Path, after: dict) -> list[str]:
    wrong = [] if held(home) == after else ["the second run ends elsewhere"]
    clear_index(home / "index")
    left = orphans(home / "index") or verify_index(home / "index").problems
    return wrong + (["something is left over"] if left else [])


def trial(home: Path, command: str, draw_of: random.Random, known: tuple[dict, dict, float]) -> tuple[bool, list[str]]:
    before, after, seconds = known
    died = one_kill(home, command, draw_of, seconds)
    wrong = answered(lambda: after_kill(home, before, after))
    answered(lambda: COMMANDS[command](home, resume=True))
    return died, wrong + answered(lambda: after_rerun(home, after))


def prepared(folder: Path, command: str) -> tuple[Path, tuple[dict, dict, float]]:
    """A copy of how the command finds things; what is held before and after it; how long it takes."""
    home, base = folder / "home", folder / f"base-{command}"
    shutil.rmtree(home, ignore_errors=True)
    answered(lambda: pictures(home))
    answered(lambda: begin(home, command))
    shutil.copytree(home, base)
    before = answered(lambda: held(home))
    start = time.perf_counter()
    answered(lambda: COMMANDS[command](home, resume=False))
    seconds = time.perf_counter() - start
    return base, (before, answered(lambda: held(home)), seconds)


def main(work: str, kills: str, seed: str, *names: str) -> None:
    folder, counts, wrong = Path(work), Counter[str](), list[str]()
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "home"  # always this very folder: an index names its files by absolute paths
    chosen, began = names or tuple(COMMANDS), time.perf_counter()
    for place, command in enumerate(chosen):
        share = int(kills) // len(chosen) + (place < int(kills) % len(chosen))
        base, known = prepared(folder, command)
        draw_of = random.Random(f"{seed} {command}")
        while counts[command] < share:
            shutil.rmtree(home)
            shutil.copytree(base, home)
            died, found = trial(home, command, draw_of, known)
            counts["runs"] += 1
            counts[command] += died
            wrong += [f"{command} {counts['runs']}: {one}" for one in found]
            print(command, counts["runs"], "killed" if died else "done", *found, file=sys.stderr, flush=True)
    kinds = {name: counts[name] for name in chosen}
    seconds = round(time.perf_counter() - began, 1)
    said = {"kills": sum(kinds.values()), "runs": counts["runs"], "by": kinds, "wrong": wrong, "seconds": seconds}
    print(json.dumps(said))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
