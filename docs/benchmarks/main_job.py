"""Measures the main job on real photographs: identity queries, benign edits, speed of indexing, latency of a query.

    python docs/benchmarks/main_job.py DATA WORK [--part identity|edits|speed|latency]

DATA is a folder with ``dev/`` (plain files) and ``train/*.tar``; WORK is scratch space. Prints one JSON object a part.
Attacked certificates are measured with ``retr attack-eval`` itself.
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

from retr.images.edits import EDITS
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.corpus import read_corpus
from retr.retrieval.engine import Engine
from retr.retrieval.query import query_files

BUDGETS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0)


class Silent:
    """Progress that nobody watches."""

    def start(self, total: int, done: int) -> None:
        """Nothing to show."""

    def advance(self, count: int) -> None:
        """Nothing to show."""


def index(corpus: Path, path: Path, workers: int = 2) -> dict[str, object]:
    """Index a folder from nothing, or go on."""
    report = build_index(str(corpus), path, IndexOptions(workers=workers), Silent())
    return {"seconds": report.wall_s, "indexed": report.indexed, "shares": report.seconds, "items": report.items}


def identity(data: Path, work: Path) -> dict[str, object]:
    """Every image of dev queries the index of dev: recall@1 and the certified radius, in RMSE levels."""
    index(data / "dev", work / "dev-index")
    engine = Engine.open(work / "dev-index")
    paths = engine.gallery.catalog["path"].to_pylist()
    hits, radii, verdicts, slack = 0, [], [], []
    for outcome in query_files(engine, paths, k=10, certify=True, eps=1.0):
        assert outcome.answer is not None
        first = outcome.answer.matches[0]
        hits += outcome.path in (first.path, *first.duplicates)
        assert first.top1 is not None
        assert outcome.answer.certificate is not None
        radii.append(first.top1.rmse)
        slack.append(outcome.answer.certificate.slack)
        verdicts.append(outcome.answer.verdict)
    quantiles = np.quantile(radii, (0.0, 0.05, 0.25, 0.5, 0.75, 0.95))
    return {
        "queries": len(paths),
        "recall@1": hits / len(paths),
        "certified top-1 RMSE, quantiles 0/5/25/50/75/95 %": [round(float(q), 3) for q in quantiles],
        "certified recall@1": {str(b): float(np.mean([r > b for r in radii])) for b in BUDGETS},
        "verdict at RMSE 1": {name: verdicts.count(name) for name in sorted(set(verdicts))},
        "largest slack (l2)": max(slack),
    }


def edits(data: Path, work: Path, every: int = 1) -> dict[str, object]:
    """Recall@1 of the true item per benign edit: clean, and certified per budget (THEORY §7: at the edited query)."""
    index(data / "dev", work / "dev-index")
    engine = Engine.open(work / "dev-index")
    rows = engine.gallery.originals()[::every]
    table = {}
    for name, edit in EDITS.items():
        clean, radii = [], []
        for row in rows.tolist():
            item = engine.gallery.describe(row)
            with Image.open(str(item["path"])) as image:
                pixels = np.asarray(image.convert("RGB"))
            edited = edit.apply(pixels, np.random.default_rng(row))
            answer = engine.answer(edited.astype(np.float64) / 255.0, k=1, certify=True)
            hit = bool(answer.matches) and answer.matches[0].group == int(engine.gallery.groups[row])
            clean.append(hit)
            first = answer.matches[0].top1 if answer.matches else None
            radii.append(first.rmse if hit and first is not None else -1.0)
        certified = {str(b): float(np.mean([radius > b for radius in radii])) for b in BUDGETS}
        table[name] = {"geometric": edit.geometric, "clean": float(np.mean(clean)), "certified": certified}
    plain = [row for row in table.values() if not row["geometric"]]
    means = {str(b): statistics.mean(row["certified"][str(b)] for row in plain) for b in BUDGETS}
    return {"queries per edit": len(rows), "edits": table, "mean over edits without geometry": means}


def speed(data: Path, work: Path, count: int = 1500) -> dict[str, object]:
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


PARTS = {"identity": identity, "edits": edits, "speed": speed, "latency": latency}


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
