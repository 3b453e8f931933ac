"""How much memory indexing takes, stage by stage, and of what kind it is.

Usage: python docs/benchmarks/index_memory.py CORPUS INDEX [--workers N]

It indexes CORPUS into INDEX, which must not be there, in this process, and looks at its memory ten times a second.
Resident memory is of two kinds: *anonymous*, which nobody but this process can do without, and pages of *files* that
are mapped (the libraries of torch, stored rows), which the system takes back whenever it wants them. The last line is
JSON: the most of both, and of their sum, in every stage as its progress names it, and while images were embedded after
every 10,000 of them.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from retr.indexer.build import IndexOptions, build_index

KINDS = {"RssAnon": "anonymous MB", "RssFile": "files MB", "VmRSS": "all MB"}
EVERY = 10_000


def now() -> dict[str, float]:
    """Memory of this process by kind, in MB of 2²⁰ bytes."""
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE))
    return {word: int(found[name]) / 1024 for name, word in KINDS.items()}


@dataclass
class Watch:
    """Hears of progress, and remembers the most of every stage."""

    stage: str = "opening"
    images: int = 0
    most: dict[str, dict[str, float]] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)

    def doing(self, text: str) -> None:
        """Another stage."""
        self.stage = text
        print(f"{time.strftime('%T')} {text} {now()}", flush=True)

    def start(self, total: int, done: int = 0) -> None:
        """Another stretch of it."""

    def advance(self, count: int = 1) -> None:
        """Images are counted while they are embedded, and nothing else is."""
        if self.stage == "indexing":
            self.images += count

    def look(self) -> None:
        """Until it is done."""
        while not self.done.wait(0.1):
            key = self.stage if self.stage != "indexing" else f"indexing, from {self.images // EVERY * EVERY} images on"
            seen = self.most.setdefault(key, {})
            for name, much in now().items():
                seen[name] = round(max(much, seen.get(name, 0.0)))


def main() -> None:
    """Index, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="folder of images, or a list file")
    parser.add_argument("index", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    watch, began = Watch(), time.perf_counter()
    looking = threading.Thread(target=watch.look, daemon=True)
    looking.start()
    report = build_index(asked.corpus, asked.index, IndexOptions(workers=asked.workers), watch)
    watch.done.set()
    looking.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = round(time.perf_counter() - began)
    print(json.dumps({"images": report.indexed, "seconds": seconds, "peak MB": round(peak), "stages": watch.most}))


if __name__ == "__main__":
    main()
