"""An index held by shards on this machine against one process: the same answers? And what does a query cost more?

Usage: python docs/benchmarks/cluster.py INDEX FOLDER [--queries 1000] [--alone 100] [--shards 4] [--out FILE.json]

Queries are images of FOLDER in the order of their names, no longer than 256 pixels, certified, k = 10. The first ALONE
of them are asked one by one, by turns of one process and of the shards, and timed (search alone: both embed in this
process); the others 16 at once. A holder is killed with SIGKILL in the middle of either part. Needs the extra
``cluster``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retr.cluster.crew import Crew, hired
from retr.cluster.manifest import Manifest
from retr.cluster.session import connected
from retr.retrieval.engine import Engine

SIDE = 256
AT_ONCE = 16


def read(path: Path) -> np.ndarray:
    """(H, W, 3) uint8, no side longer than SIDE."""
    with Image.open(path) as image:
        image.draft("RGB", (SIDE, SIDE))
        small = image.convert("RGB")
        small.thumbnail((SIDE, SIDE))
        return np.asarray(small)


def kill(crew: Crew, number: int) -> None:
    """End the process of a holder."""
    import ray

    state: Any = ray.get(crew.holders[number].state.remote())
    os.kill(state["pid"], signal.SIGKILL)


def compare(engine: Engine, crew: Crew, images: list[np.ndarray], alone: int) -> dict[str, object]:
    """Ask both, and count what differs."""
    spread, seconds, same = crew.spread(engine), {"one": [], "shards": []}, 0
    after_kill, certified = [], 0
    groups = [[one] for one in images[:alone]]
    groups += [images[at : at + AT_ONCE] for at in range(alone, len(images), AT_ONCE)]
    kills = {alone // 2: 0, (alone + len(groups)) // 2: 1}
    for number, group in enumerate(groups):
        if number in kills:
            kill(crew, kills[number])
        found = {}
        for name, asked in (
            (("one", engine), ("shards", spread)) if number % 2 else (("shards", spread), ("one", engine))
        ):
            found[name] = asked.answer_many(group, k=10, certify=True, eps_l2=[1.0] * len(group))
            spent = found[name][0].seconds["search"]
            if name == "shards" and number in kills:
                after_kill.append(spent * len(group))
            if number < alone and number not in kills:
                seconds[name].append(1000.0 * spent)
        same += sum(a == b for a, b in zip(found["one"], found["shards"], strict=True))
        certified += sum(answer.certificate is not None for answer in found["one"])
    return {
        "queries": len(images),
        "identical": same,
        "certified": certified,
        "ms_one": round(statistics.median(seconds["one"]), 1),
        "ms_shards": round(statistics.median(seconds["shards"]), 1),
        "ms_more": round(statistics.median(np.subtract(seconds["shards"], seconds["one"]).tolist()), 1),
        "s_after_kill": [round(spent, 1) for spent in after_kill],
    }


def round_trip(crew: Crew, times: int = 200) -> float:
    """Median milliseconds of a call that does nothing."""
    import ray

    spent = []
    for _ in range(times):
        began = time.perf_counter()
        ray.get(crew.holders[0].node.remote())
        spent.append(1000.0 * (time.perf_counter() - began))
    return round(statistics.median(spent), 2)


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--alone", type=int, default=100)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    engine = Engine.open(asked.index, device="cpu")
    files = sorted(path for path in asked.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    images = [read(path) for path in files[: asked.queries]]
    began = time.perf_counter()
    with connected("local"):
        manifest = Manifest.even(engine.snapshot, engine.gallery.snapshot.rows, asked.shards)
        ready = time.perf_counter() - began
        with hired(asked.index, manifest) as crew:
            crew.hold(engine)
            held = time.perf_counter() - began - ready
            result = {"rows": engine.gallery.snapshot.rows, "shards": asked.shards, "load": os.getloadavg()[0]}
            result |= {"s_to_begin": round(ready, 1), "s_to_hold": round(held, 1), "ms_round_trip": round_trip(crew)}
            result |= compare(engine, crew, images, min(asked.alone, len(images)))
    text = json.dumps(result, indent=1)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
