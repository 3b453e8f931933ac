"""An index held by shards on this machine against one process: the same answers? And what does a query cost more?

Usage: python docs/benchmarks/cluster.py INDEX FOLDER [--queries 1000] [--alone 200] [--shards 4] [--kills 8]

Queries are images of FOLDER in the order of their names, no longer than 256 pixels, certified, k = 10. The first ALONE
of them are asked one by one, by turns of one process and of the shards, and timed (search alone: both embed in this
process); the others 16 at once. KILLS times on the way a holder is killed with SIGKILL, each in its turn: between two
queries, or while it works on one. Needs the extra ``cluster``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retr.cluster.crew import Crew, hired
from retr.cluster.gallery import Gallery
from retr.cluster.manifest import Manifest
from retr.cluster.session import connected
from retr.retrieval.engine import Engine
from retr.retrieval.joined import Reply as Said
from retr.retrieval.source import Ask

SIDE = 256
AT_ONCE = 16


def read(path: Path) -> np.ndarray:
    """(H, W, 3) uint8, no side longer than SIDE."""
    with Image.open(path) as image:
        image.draft("RGB", (SIDE, SIDE))
        small = image.convert("RGB")
        small.thumbnail((SIDE, SIDE))
        return np.asarray(small)


class Struck(Crew):
    """A crew of which a process may be killed while it works on what it was asked."""

    victim: int | None = None

    def ask(self, gallery: Gallery, asks: Sequence[Ask]) -> list[Said | None]:
        """See :class:`Crew`."""
        victim, self.victim = self.victim, None
        if victim is not None:
            threading.Timer(0.002, os.kill, (victim, signal.SIGKILL)).start()
        return super().ask(gallery, asks)


def process_of(crew: Crew, number: int) -> int:
    """Of a holder."""
    import ray

    state: Any = ray.get(crew.holders[number].state.remote())
    return state["pid"]


def strike(crew: Struck, number: int) -> None:
    """End the process of a holder: at once, and every other time while it answers."""
    pid = process_of(crew, number % crew.manifest.shards)
    if number % 2:
        crew.victim = pid
    else:
        os.kill(pid, signal.SIGKILL)


def compare(engine: Engine, crew: Struck, images: list[np.ndarray], alone: int, kills: int) -> dict[str, object]:
    """Ask both, and count what differs."""
    spread, seconds, after_kill = crew.spread(engine), {"one": [], "shards": []}, []
    same = certified = 0
    said = Counter[str]()
    groups = [[one] for one in images[:alone]]
    groups += [images[at : at + AT_ONCE] for at in range(alone, len(images), AT_ONCE)]
    struck = {len(groups) * (2 * kill + 1) // (2 * kills): kill for kill in range(kills)}
    for number, group in enumerate(groups):
        turns = [("one", engine), ("shards", spread)]
        found = {}
        for name, asked in turns if number % 2 else reversed(turns):
            if name == "shards" and number in struck:
                strike(crew, struck[number])
            found[name] = asked.answer_many(group, k=10, certify=True, eps_l2=[1.0] * len(group))
        spent = {name: found[name][0].seconds["search"] for name in seconds}
        if number in struck:
            after_kill.append((spent["shards"] - spent["one"]) * len(group))
        elif number < alone:
            for name, kept in seconds.items():
                kept.append(1000.0 * spent[name])
        same += sum(a == b for a, b in zip(found["one"], found["shards"], strict=True))
        certified += sum(answer.certificate is not None for answer in found["one"])
        said.update(answer.verdict for answer in found["one"])
    more = np.subtract(seconds["shards"], seconds["one"])
    return {
        "queries": len(images),
        "differing": len(images) - same,
        "certified": certified,
        "verdicts": dict(said),
        "kills": len(after_kill),
        "s_more_at_each_kill": [round(spent, 1) for spent in after_kill],
        "timed": len(more),
        "ms_one": round(statistics.median(seconds["one"]), 1),
        "ms_shards": round(statistics.median(seconds["shards"]), 1),
        "ms_more": [round(float(share), 1) for share in np.quantile(more, (0.5, 0.9))],
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
    parser.add_argument("--alone", type=int, default=200)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--out", type=Path, help="also write the JSON object there")
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
            struck = Struck(crew.manifest, crew.holders)
            result |= compare(engine, struck, images, min(asked.alone, len(images)), asked.kills)
            result["load_at_end"] = os.getloadavg()[0]
    text = json.dumps(result, indent=1)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
