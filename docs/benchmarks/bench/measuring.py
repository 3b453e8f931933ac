"""What every part of the benchmark shares: sizes, rounds, photographs, and what the machine is."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import statistics
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from PIL import Image

from retr.images.kinds import made_kinds


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        images: indexed in every round; large: given to networks that take a tenth of a second each; rounds: of them.
        whole: whether all photographs are indexed once more, for memory.
        queries: asked in every round; rows: of the synthetic galleries; graph: of the largest that HNSW is built for.
        checked: queries whose answers are compared with brute force; codes: how rows are stored of whose search the
            memory is measured, each in a process of its own.
    """

    images: int
    large: int
    rounds: int
    whole: bool
    queries: int
    rows: tuple[int, ...]
    graph: int = 100_000
    checked: int = 200
    codes: tuple[str, ...] = ("float32", "int8")


SIZES = {
    "tiny": Size(images=24, large=1, rounds=1, whole=False, queries=2, rows=(400,), checked=5, codes=()),
    "quick": Size(images=1500, large=8, rounds=5, whole=False, queries=20, rows=(10_000, 100_000), graph=10_000),
    "full": Size(images=3000, large=16, rounds=5, whole=True, queries=40, rows=(10_000, 100_000, 1_000_000)),
}


@dataclass(frozen=True)
class Setting:
    """One run: its size by name, the photographs, scratch space, and threads."""

    name: str
    data: Path | None
    work: Path
    workers: int

    @property
    def size(self) -> Size:
        """The numbers of this size."""
        return SIZES[self.name]

    def kept(self, name: str) -> Path:
        """Where something that was measured stays."""
        return self.work / f"{name}-{self.name}{'' if self.data else '-drawn'}.json"

    def photographs(self) -> list[Path]:
        """All images to index, unpacked or drawn once, in an order that mixes their sources."""
        folder = self.work / ("photographs" if self.data else f"drawn-{self.size.images}")
        if not (folder / "done").exists():
            folder.mkdir(parents=True, exist_ok=True)
            if self.data:
                _unpack(self.data, folder)
            else:
                _draw(folder, self.size.images)
            (folder / "done").touch()
        found = sorted(folder.rglob("*.jpg"))
        step = max(1, len(found) // self.size.images)
        return [path for first in range(step) for path in found[first::step]]

    def folder_of(self, paths: list[Path], name: str) -> Path:
        """A list file of some images."""
        listing = self.work / f"{name}.txt"
        listing.write_text("\n".join(map(str, paths)))
        return listing


def _unpack(data: Path, folder: Path) -> None:
    for shard in sorted([*data.glob("train/*.tar"), *data.glob("distractors/*.tar")]):
        with tarfile.open(shard) as archive:
            archive.extractall(folder / f"{shard.parent.name}-{shard.stem}", filter="data")


def _draw(folder: Path, count: int) -> None:
    for number, (_, pixels) in enumerate(made_kinds(count)):
        Image.fromarray(pixels).save(folder / f"{number:06}.jpg", quality=85)


def rates(jobs: Mapping[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """How many a second each job does, round by round: in a round all run one after the other, so ratios stand."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            began = time.perf_counter()
            done = job()
            found[name].append(done / (time.perf_counter() - began))
    return found


def table(found: Mapping[str, list[float]], against: str | None = None) -> list[dict[str, object]]:
    """A row each: median, least and most, and the median over rounds of the ratio to one of them."""
    rows = []
    for name, each in found.items():
        row: dict[str, object] = {
            "what": name,
            "median": statistics.median(each),
            "least": min(each),
            "most": max(each),
        }
        if against is not None:
            ratios = [a / b for a, b in zip(found[against], each, strict=True)]
            row[f"{against} / this"] = statistics.median(ratios)
        rows.append(row)
    return rows


def megabytes() -> float:
    """The most memory this process has had, and its largest child."""
    of = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in of) / 1024


def memory_now() -> float:
    """Of this process, in MB."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return float("nan")


def disk(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


PACKAGES = ("retr", "torch", "numpy", "faiss-cpu", "pillow", "timm", "ImageHash", "pdqhash")


def machine() -> dict[str, object]:
    """What figures were measured on, and what else ran there."""
    model = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads of torch": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "versions": versions,
    }
