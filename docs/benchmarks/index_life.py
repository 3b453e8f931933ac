"""How long an index takes to be kept: ``python docs/benchmarks/index_life.py WORK [STEP…]``.

Makes indexes of rows drawn at random (unit rows of 768 numbers, one channel), with files that are there where a step
looks at them, and measures each step in a fresh process: time by the clock, time of the processors, and the largest
memory. Prints a table in Markdown. On a busy machine the time of the processors is the one to look at.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from retr.core.files import sha256_bytes
from retr.core.progress import Silent
from retr.indexer.catalog import ROW_SCHEMA, item_id
from retr.indexer.options import IndexOptions, template
from retr.indexer.snapshot import commit, require_current
from retr.indexer.staging import seal_folder, sealing_folder
from retr.indexer.thresholds import renew_thresholds

SEGMENT = 65_536
MODEL = "block-means"
TINY = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)
"""A PNG of one pixel: what stands in a folder for the files of rows."""


def made(index: Path, count: int, files: Path | None, *, model: str = MODEL, thresholds: bool = True) -> None:
    """An index of so many random rows; with files of one pixel under their names, if a folder is given."""
    snapshot = template(None, IndexOptions(models=(model,)))
    index.mkdir(parents=True)
    random = np.random.default_rng(0)
    segments = []
    for place, start in enumerate(range(0, count, SEGMENT)):
        rows = min(SEGMENT, count - start)
        folder = sealing_folder(index)
        drawn = random.standard_normal((rows, snapshot.channels[0].dim)).astype(np.float32)
        drawn /= np.linalg.norm(drawn.astype(np.float64), axis=1, keepdims=True)
        (folder / "rows-0.f32").write_bytes(drawn.astype("<f4").tobytes())
        segments.append(seal_folder(folder, index, _catalog(start, rows, files), [], place=place))
    held = replace(snapshot, segments=tuple(segments))
    commit(index, replace(held, channels=renew_thresholds(index, held)) if thresholds else held)


def _catalog(start: int, rows: int, files: Path | None) -> pa.Table:
    lines = [_line(number, files) for number in range(start, start + rows)]
    return pa.Table.from_pylist(lines, schema=ROW_SCHEMA)


def _line(number: int, files: Path | None) -> dict[str, Any]:
    path = f"/nowhere/images/{number // 1000:05}/{number:08}.jpg"
    size, mtime = 100_000, 0
    if files is not None:
        file = files / f"{number // 1000:05}" / f"{number:08}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(TINY)
        path, size, mtime = str(file), len(TINY), file.stat().st_mtime_ns
    content, pixels = sha256_bytes(f"b{number}".encode()), sha256_bytes(f"p{number}".encode())
    return {
        "id": item_id(path, content),
        "path": path,
        "bytes_sha256": content,
        "pixels_sha256": pixels,
        "bytes": size,
        "mtime_ns": mtime,
        "width": 640,
        "height": 480,
        "format": "PNG",
        "view": "original",
        "duplicate_of": None,
    }


def add(home: Path) -> None:
    """One image, as a library does that has the model: what loading it takes is not counted."""
    from PIL import Image

    from retr.indexer.build import build_index

    number = len(list((home / "index" / "snapshots").iterdir()))  # one that it does not hold yet
    file = home / f"one-{number}.png"
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (480, 640, 3), np.uint8)).save(file)
    with measured():
        build_index(str(file), home / "index", IndexOptions(workers=1), Silent())


def rm(home: Path) -> None:
    """One item, by its path."""
    from retr.indexer.remove import remove_items

    path = str(home / "files" / "00003" / "00003003.png")
    with measured():
        remove_items(home / "index", [path])


def plan(home: Path) -> None:
    """``sync --dry-run`` on files that are unchanged, but for those that ``rm`` took out."""
    from retr.indexer.sync import plan_sync

    with measured():
        found = plan_sync(str(home / "files"), home / "index")
    assert (found.changed, found.removed) == ((), ())
    assert found.unchanged > 19_900


def verify(home: Path) -> None:
    """Everything read."""
    from retr.indexer.verify import verify_index

    with measured():
        assert verify_index(home / "index").problems == ()


def open_catalog(home: Path) -> None:
    """The gallery: catalog, items, rows mapped."""
    from retr.indexer.gallery import open_gallery

    with measured():
        gallery = open_gallery(home / "index", require_current(home / "index"))
        assert gallery.items == gallery.catalog.num_rows


def dupes(home: Path) -> None:
    """Every pair of items."""
    from retr.retrieval.duplicates import find_duplicates
    from retr.retrieval.engine import Engine

    with measured():
        find_duplicates(Engine.open(home / "index", device="cpu", threshold=0.9))


class measured:  # noqa: N801 - used like a function
    """Measures its block and prints one line of JSON."""

    def __enter__(self) -> None:
        self._memory = largest_memory()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        print(json.dumps({"wall": wall, "cpu": cpu, "mb": (largest_memory() - self._memory) / 1024}))


def largest_memory() -> int:
    """Largest resident memory of this process so far, KiB (that of getrusage begins with what started the process)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


STEPS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "add": (add, "20k", "`add` of one image, 20,000 rows"),
    "rm": (rm, "20k", "`rm` of one item, 20,000 rows"),
    "plan": (plan, "20k", "`sync --dry-run`, 20,000 unchanged files"),
    "verify": (verify, "100k", "`verify`, 100,000 rows"),
    "open": (open_catalog, "1m", "open 1,000,000 rows of 48 numbers"),
    "dupes": (dupes, "50k", "`dupes` of 50,000 items"),
}


def make(work: Path, size: str) -> Path:
    """An index of a size, once."""
    home = work / size
    if not (home / "index" / "CURRENT").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        count = {"20k": 20_000, "100k": 100_000, "50k": 50_000, "1m": 1_000_000}[size]
        files = home / "files" if size == "20k" else None
        # Gaps of 100,000 random rows take minutes to measure; only adding and removing look at them.
        made(home / "index", count, files, model="block-means:4" if size == "1m" else MODEL, thresholds=size == "20k")
    return home


def lines(work: Path, names: list[str]) -> Iterator[str]:
    """The table."""
    yield "| step | seconds | of the processors | memory that it adds, MB |"
    yield "|---|---|---|---|"
    for name in names:
        _, size, words = STEPS[name]
        home = make(work, size)
        command = [sys.executable, __file__, str(home), "--step", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this very file
        found = json.loads(done.stdout.splitlines()[-1])
        yield f"| {words} | {found['wall']:.2f} | {found['cpu']:.2f} | {found['mb']:.0f} |"


def main() -> None:
    """All steps, or those named."""
    home = Path(sys.argv[1])
    if "--step" in sys.argv:
        STEPS[sys.argv[-1]][0](home)
        return
    for line in lines(home, sys.argv[2:] or list(STEPS)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
