"""Measures how fast the main job is on real photographs: indexing, and the latency of one query.

    OMP_WAIT_POLICY=PASSIVE python docs/benchmarks/speed.py DATA WORK [--part index|latency]

DATA is a folder with ``dev/`` (plain files) and ``train/*.tar``; WORK is scratch space. Prints one JSON object a part.
The command line sets that policy itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import tarfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from retr.core.progress import Silent
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.sources import read_corpus
from retr.retrieval.engine import Engine
from retr.retrieval.query import query_files


def index(corpus: Path, path: Path, workers: int = 2) -> dict[str, object]:
    """Index a folder from nothing, or go on."""
    report = build_index(str(corpus), path, IndexOptions(workers=workers), Silent())
    return {"seconds": report.wall_s, "indexed": report.indexed, "shares": report.seconds, "items": report.items}


def indexing(data: Path, work: Path, count: int = 1500) -> dict[str, object]:
    """End-to-end indexing of JPEG files of 500 px on the long side, three times; the median."""
    folder = work / "jpeg500"
    folder.mkdir(parents=True, exist_ok=True)
    sources = read_corpus(str(data / "dev"), exclude=work).paths
    for number in range(count):
        target = folder / f"{number:05}.jpg"
        if not target.exists():
            with Image.open([p for p in sources if p.endswith(".jpg")][number]) as image:
                scale = 500 / max(image.size)
                big = image.convert("RGB").resize((round(image.width * scale), round(image.height * scale)))
                big.save(target, quality=90)
    runs = []
    for number in range(3):
        report = index(folder, work / f"speed-{time.time_ns()}-{number}")
        total = sum(report["shares"].values())  # type: ignore[attr-defined]
        shares = {name: round(spent / total, 3) for name, spent in report["shares"].items()}  # type: ignore[attr-defined]
        runs.append({"images/s": round(count / float(report["seconds"]), 1), "shares": shares})  # type: ignore[arg-type]
    return {"images": count, "runs": runs, "median images/s": statistics.median(run["images/s"] for run in runs)}


def latency(data: Path, work: Path, rows: int = 20_000, queries: int = 40) -> dict[str, object]:
    """One query at a time, decode to certificate, against 20,000 rows; milliseconds, model load aside."""
    folder = work / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    if sum(1 for _ in folder.iterdir()) < rows:
        unpack(sorted((data / "train").glob("*.tar")), folder, rows)
    index(folder, work / "gallery-index")
    began = time.perf_counter()
    engine = Engine.open(work / "gallery-index")
    opened = time.perf_counter() - began
    paths = [p for p in read_corpus(str(data / "dev"), exclude=work).paths if p.endswith(".jpg")][:: 1900 // queries]
    timings: dict[str, list[float]] = {"plain": [], "certified": []}
    for path in paths[:2]:
        list(query_files(engine, [path], certify=True))
    for path in paths:
        for name, certify in (("plain", False), ("certified", True)):
            started = time.perf_counter()
            list(query_files(engine, [path], k=10, certify=certify, eps=1.0 if certify else None))
            timings[name].append(1e3 * (time.perf_counter() - started))
    summary = {
        name: {"median ms": statistics.median(v), "95 % ms": float(np.quantile(v, 0.95)), "max ms": max(v)}
        for name, v in timings.items()
    }
    return {"rows": engine.gallery.stores[0].rows, "queries": len(paths), "open index ms": 1e3 * opened, **summary}


def unpack(shards: list[Path], folder: Path, count: int) -> None:
    """Write the first ``count`` images of tar shards as files."""
    left = count
    for shard in shards:
        with tarfile.open(shard) as archive:
            for member in archive:
                if left and member.isfile() and member.name.endswith(".jpg"):
                    data = archive.extractfile(member)
                    assert data is not None
                    (folder / f"{shard.stem}-{Path(member.name).name}").write_bytes(data.read())
                    left -= 1


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    model = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return {"cpu": model, "cores": os.cpu_count(), "load": os.getloadavg()[0], "date": time.strftime("%Y-%m-%d")}


PARTS = {"index": indexing, "latency": latency}


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--part", choices=PARTS, action="append")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name in arguments.part or PARTS:
        result = PARTS[name](arguments.data, arguments.work)
        print(json.dumps({"part": name, **machine(), **result}, indent=1), flush=True)


if __name__ == "__main__":
    main()
