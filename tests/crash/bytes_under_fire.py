"""Flips bytes of every file of an index, at many positions; a program of its own.

Usage: bytes_under_fire.py WORK FLIPS SEED

One index with all that an index may hold: two channels, views, rejects, a blank image, labels, declared items,
dismissed pairs, rules, kept negatives, several segments and snapshots. Each trial changes one byte of one file (any but
the lock), half of the time with the times of the file set back. Then ``verify`` names something; opening with a query
is refused, or answers as before; and what is beside the snapshots (decisions, kept negatives) is what it was, refused,
or made again. Trials run in processes of their own, some in each. Prints one JSON line with the counts; ends with 1 if
any of this was not so.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from drawn import Quiet, draw
from life_under_fire import answered
from PIL import Image

from retr.core.errors import RetrError
from retr.core.files import sha256_bytes
from retr.indexer.build import IndexOptions, build_index
from retr.indexer.dismissed import FILE, dismiss, read_dismissed
from retr.indexer.listing import list_items
from retr.indexer.lock import HOLDER
from retr.indexer.rules import check_rules
from retr.indexer.snapshot import require_current
from retr.indexer.verify import verify_index
from retr.indexer.writer import Writer
from retr.retrieval.calibrate import calibrate
from retr.retrieval.engine import Engine
from retr.retrieval.negatives import Shelf
from retr.retrieval.query import query_files

TOGETHER = 32
"""Trials of one process."""
NO_CONTENT = ("lock", HOLDER)
"""Who holds the lock: for people, and read by nothing that answers."""


def made(home: Path) -> None:
    """The index, and what is asked about."""
    for number in range(24):
        draw(home / "corpus" / f"{number}.png", number)
    Image.new("RGB", (20, 20), "white").save(home / "corpus" / "blank.png")
    (home / "corpus" / "bad.png").write_bytes(b"no image")
    for number in range(40, 90):
        draw(home / "absent" / f"{number}.png", number)
    options = IndexOptions(models=("block-means:4", "block-means:8"), views="flip", workers=1, segment_rows=20)
    build_index(str(home / "corpus"), home / "index", options, Quiet())
    draw(home / "more.png", 30)
    labelled = IndexOptions(workers=1, labels=(("bank", "x"),), id_from="stem")
    build_index(str(home / "more.png"), home / "index", labelled, Quiet())
    calibrate(home / "index", [str(path) for path in sorted((home / "absent").iterdir())], fpr=0.5, local=True)
    pixels = list_items(home / "index", require_current(home / "index"))["pixels_sha256"].to_pylist()
    dismiss(home / "index", [(pixels[0].encode(), pixels[1].encode())])
    with Writer(home / "index") as writer:
        writer.declare({pixels[2]: pixels[3]})
        writer.rule(check_rules(["bank=x"], {"path~*/7.png": 0.9}))


def answers(home: Path) -> list[object]:
    """What the index answers to some of its own pictures, a stranger and a blank one."""
    asked = [home / "corpus" / "3.png", home / "more.png", home / "absent" / "41.png", home / "corpus" / "blank.png"]
    engine = Engine.open(home / "index", device="cpu")
    said = [outcome.answer for outcome in query_files(engine, list(map(str, asked)), k=5, certify=True, eps=1.0)]
    plain = [one.as_json("q") for one in said if one is not None]
    return [{key: value for key, value in one.items() if key not in ("seconds", "snapshot")} for one in plain]


def observed(home: Path) -> dict[str, object]:
    """What ``verify`` says of the index as it is, and what it answers."""
    try:
        seen = [f"{one.file}: {one.what}" for one in verify_index(home / "index").problems]
    except RetrError as error:
        seen = [str(error)]
    try:
        found: object = answers(home)
    except RetrError as error:
        found = f"refused: {error}"
    return {"seen": seen, "answers": json.loads(json.dumps(found)), "beside": beside(home)}


def beside(home: Path) -> list[str]:
    """The decisions and the kept negatives; nothing of what is refused, or would be made again."""
    try:
        decisions = sorted(map(str, read_dismissed(home / "index")))
        shelf = Shelf(Engine.open(home / "index", device="cpu"))
    except RetrError:
        return []
    found = ((path, shelf.find(str(path))) for path in sorted((home / "absent").iterdir()))
    zs = [
        f"{path.name} {sha256_bytes(b''.join(z.tobytes() for z in one.zs))}" for path, one in found if one is not None
    ]
    return [*decisions, *zs]


def flipped(file: Path, draw_of: random.Random) -> str:
    """Change one byte; says which."""
    data, stat = bytearray(file.read_bytes()), file.stat()
    place, bit = draw_of.randrange(len(data)), 1 << draw_of.randrange(8)
    data[place] ^= bit
    file.write_bytes(data)
    back = draw_of.random() < 0.5
    if back:
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return f"byte {place} of {file.name}, bit {bit}{', times set back' if back else ''}"


def trial(folder: Path, file: Path, draw_of: random.Random) -> dict[str, object]:
    """Flip, look, and put it back."""
    home, keep, times = folder / "home", file.read_bytes(), file.stat()
    what = f"{file.relative_to(home)}: {flipped(file, draw_of)}"
    shutil.rmtree(folder / "cache", ignore_errors=True)
    found = observed(home) | {"time": only_the_time(keep, file.read_bytes())}
    file.write_bytes(keep)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    return {"what": what, **found}


def only_the_time(before: bytes, after: bytes) -> bool:
    """Whether what was changed is when a snapshot was made, to another time: that is no part of its id."""
    try:
        one, other = json.loads(before), json.loads(after)
        return {**one, "created": ""} == {**other, "created": ""}
    except (ValueError, TypeError):
        return False


def faults(file: Path, found: dict, sound: dict) -> list[str]:
    """What is not as it must be."""
    wrong, beside = [], found["beside"]
    if not (found["seen"] or found["time"]) and file.name != FILE and file.parent.name != "negatives":
        wrong.append("unseen")
    if not found["seen"] and file.name == FILE and beside != sound["beside"]:
        wrong.append("decisions went unseen")
    if not set(beside) <= set(sound["beside"]):
        wrong.append("other decisions or negatives")
    if not isinstance(found["answers"], str) and found["answers"] != sound["answers"]:
        wrong.append("another answer")
    return [f"{one}: {found['what']}" for one in wrong]


def main(work: str, flips: str, seed: str) -> None:
    folder, counts, wrong = Path(work), Counter[str](), list[str]()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    home, began = folder / "home", time.perf_counter()
    os.environ["RETR_CACHE"] = str(folder / "cache")
    answered(lambda: made(home))
    sound = answered(lambda: observed(home))
    assert sound["seen"] == [], sound["seen"]
    files = [path for path in sorted((home / "index").rglob("*")) if path.is_file() and path.stat().st_size]
    files = [path for path in files if path.name not in NO_CONTENT]
    plan = [(files[number % len(files)], f"{seed} {number}") for number in range(int(flips))]
    for first in range(0, len(plan), TOGETHER):
        part = plan[first : first + TOGETHER]
        results = answered(lambda: [trial(folder, file, random.Random(drawn)) for file, drawn in part])  # noqa: B023
        for (file, _), found in zip(part, results, strict=True):
            counts["seen"] += bool(found["seen"])
            counts["refused"] += isinstance(found["answers"], str)
            counts["same answers"] += found["answers"] == sound["answers"]
            wrong += faults(file, found, sound)
            print(found["what"], file=sys.stderr, flush=True)
    said = {"flips": len(plan), "files": len(files), **counts, "wrong": wrong}
    print(json.dumps(said | {"seconds": round(time.perf_counter() - began, 1)}))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
