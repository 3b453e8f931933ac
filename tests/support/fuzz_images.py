"""Thousands of mutated image files through the isolated decoder and through an index: ``make fuzz-images``.

    python -m fuzz_images --count 5000 --seed 0

Every file must come out as an image or as a reject with a name. Exits with 1 where one does not, where one took longer
than its limit allows, where more memory was taken than 1.5 GiB, or where the counts of an index do not add up.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from drawn import Quiet
from mutate_images import mutants

from retr.core.errors import ImageRejected
from retr.images.isolated import IsolatedDecoder
from retr.images.policy import DecodePolicy

SECONDS = 5.0
START = 120.0
"""Seconds that the start of a process may take."""
MEMORY_MB = 1536
_POLICY = DecodePolicy()


@dataclass
class Result:
    """What became of the files.

    Attributes:
        outcomes: name of a reason, or ``image`` → how many files.
        slowest: (seconds, name) of the file that took longest, of those that found their process running.
        indexed, rejected: files of the index run; seen: of them in all.
        worker_mb, own_mb: most resident memory of a decoding process, as looked up after every file, and of this one.
    """

    outcomes: Counter[str]
    slowest: tuple[float, str]
    seen: int
    indexed: int
    rejected: int
    seconds: float
    worker_mb: float
    own_mb: float

    @property
    def faults(self) -> list[str]:
        """What is not as it must be."""
        wall = 6 * SECONDS + 5
        found = [] if self.slowest[0] <= wall else [f"{self.slowest[1]} took {self.slowest[0]:.1f} s"]
        if max(self.worker_mb, self.own_mb) > MEMORY_MB:
            found.append(f"{max(self.worker_mb, self.own_mb):.0f} MB were taken; {MEMORY_MB} are allowed")
        if self.seen != self.indexed + self.rejected:
            found.append(f"{self.seen} files seen, {self.indexed} indexed and {self.rejected} rejected")
        return found


def fuzz(count: int, seed: int, folder: Path, *, workers: int = 2) -> Result:
    """Decode every file, then index all of them.

    Args:
        count: how many files.
        seed: of the draw.
        folder: an empty one, for the files and the index.
        workers: decoding processes.
    """
    began, before = time.perf_counter(), _own_peak_mb()
    (folder / "files").mkdir()
    outcomes: Counter[str] = Counter()
    slowest = (0.0, "")
    with IsolatedDecoder(workers, seconds=SECONDS) as decoder, ThreadPoolExecutor(workers) as pool:
        worker_mb = 0.0
        jobs = pool.map(lambda one: _decoded(decoder, folder / "files", *one), mutants(count, seed))
        for name, outcome, spent in jobs:
            outcomes[outcome] += 1
            slowest = max(slowest, (spent, name))
            worker_mb = max(worker_mb, *map(_peak_mb, decoder.processes), 0.0)
    report = _indexed(folder, workers)
    own_mb = _own_peak_mb()
    own_mb = own_mb if own_mb > before else 0.0  # that peak was there already, and is none of this
    spent = time.perf_counter() - began
    return Result(outcomes, slowest, report.seen, report.indexed, report.rejected, spent, worker_mb, own_mb)


def _own_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _peak_mb(process: int) -> float:
    """Most resident memory that a process had so far; 0 for one that is gone."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) / 1024 if found else 0.0


def _decoded(decoder: IsolatedDecoder, folder: Path, name: str, data: bytes) -> tuple[str, str, float]:
    (folder / f"{name[:200]}.img").write_bytes(data)
    began, before = time.perf_counter(), set(decoder.processes)
    try:
        decoder(data, policy=_POLICY)
        outcome = "image"
    except ImageRejected as why:
        outcome = why.reason
    spent = time.perf_counter() - began
    # A process that had to be begun took time of its own, which is none of the file's (images.isolated).
    return name, outcome, 0.0 if spent < START and set(decoder.processes) - before else spent


def _indexed(folder: Path, workers: int):
    from retr.indexer.build import build_index
    from retr.indexer.options import IndexOptions

    options = IndexOptions(models=("block-means:4",), workers=workers, isolate=True)
    return build_index(str(folder / "files"), folder / "index", options, Quiet())


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(chosen.count, chosen.seed, Path(folder))
    print(f"{chosen.count} files, seed {chosen.seed}, {found.seconds:.0f} s")
    for outcome, number in found.outcomes.most_common():
        print(f"{number:7d}  {outcome}")
    print(f"slowest: {found.slowest[0]:.2f} s, {found.slowest[1]}")
    print(f"index: {found.seen} seen = {found.indexed} indexed + {found.rejected} rejected")
    print(f"memory: at most {found.worker_mb:.0f} MB in a decoding process, {found.own_mb:.0f} MB in this one")
    for fault in found.faults:
        print(f"FAULT: {fault}")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
