"""False matches by kind, with and without views of the query: other contents in the layout of what is stored.

    python docs/benchmarks/kinds/measure_views.py WORK PHOTOGRAPHS [--contents 12] [--others 60] [--views none,light]

One picture of each measuring kind is stored beside photographs, by ``retr index`` as it comes. Then other contents of
the same layouts are looked up, and other photographs: each *copy* is false. Prints a table, a line for each kind;
pictures, indexes and answers are kept in WORK, and the next run goes on with them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from measuring import SIZES, contents
from PIL import Image

from retr.core.progress import Silent
from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.engine import Engine

PHOTOGRAPHS = "photograph"


def write_pictures(work: Path, photographs: Path, count: int, others: int) -> None:
    """``stored`` holds one of each kind and photographs, ``absent`` the rest, named by kind and number."""
    if (work / "made").exists():
        return
    for folder in ("stored", "absent"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        for kind, pictures in contents("report", size, count + 1):
            for number, pixels in enumerate(pictures):
                Image.fromarray(pixels).save(work / ("absent" if number else "stored") / f"{kind}_{number}.png")
    files = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = [files[place] for place in np.random.default_rng(0).permutation(len(files))[: 2 * others]]
    for number, path in enumerate(chosen):
        with Image.open(path) as image:
            folder = "stored" if number < others else "absent"
            image.convert("RGB").save(work / folder / f"{PHOTOGRAPHS}_{number}.png")
    (work / "made").touch()


def verdicts(work: Path, views: str) -> dict[str, str]:
    """What each absent picture is said to be: ``copy`` or ``not-a-copy``, by its name."""
    home = work / f"index-{views.replace('/', '-')}"
    if not (home / "CURRENT").exists():
        build_index(str(work / "stored"), home, IndexOptions(views=views, workers=1), Silent())
    engine, file = Engine.open(home), work / f"answers-{views.replace('/', '-')}.json"
    known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    for path in sorted((work / "absent").glob("*.png")):
        if path.name not in known:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            known[path.name] = str(engine.answer(pixels, k=1).point_verdict)
            file.write_text(json.dumps(known))
    return known


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--contents", type=int, default=12)
    parser.add_argument("--others", type=int, default=60)
    parser.add_argument("--views", default="none,light")
    given = parser.parse_args()
    write_pictures(given.work, given.photographs, given.contents, given.others)
    found = {views: verdicts(given.work, views) for views in given.views.split(",")}
    print(f"| kind | absent | {' | '.join(found)} |\n|---|---|{'---|' * len(found)}")
    names = sorted({name.rpartition("_")[0] for name in next(iter(found.values()))})
    for kind in names:
        own = [[verdict for name, verdict in one.items() if name.rpartition("_")[0] == kind] for one in found.values()]
        print(f"| {kind} | {len(own[0])} | {' | '.join(str(one.count('copy')) for one in own)} |")


if __name__ == "__main__":
    main()
