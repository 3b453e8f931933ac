"""How much of each family of edits is proved, over photographs queried as they are, or edited first.

    python docs/benchmarks/edit_ranges.py INDEX FOLDER OUT.jsonl --count 100 [--edited] [--against all]

One line for each photograph is appended to OUT.jsonl; a run that was stopped goes on where it was. The table over all
lines is printed as Markdown. Photographs are taken evenly from the sorted files of the folder.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch

from retr.images.copy_edits import edited
from retr.images.decode import load
from retr.images.families.asked import AskedFamily, read_families
from retr.retrieval.engine import Engine
from retr.retrieval.ranges.prove import prove_ranges

BENIGN = ("jpeg", "brightness", "contrast", "gamma", "saturation", "text", "logo", "downscale", "noise", "blur")
"""What is done first with --edited, in turn."""


def chosen(folder: Path, count: int) -> list[Path]:
    """So many photographs, evenly from all of them."""
    every = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [every[at * len(every) // count] for at in range(min(count, len(every)))]


def measure(engine: Engine, path: Path, number: int, args: argparse.Namespace) -> dict[str, Any]:
    """One photograph."""
    pixels, edit = load(path, policy=engine.policy).pixels, None
    if args.edited:
        edit = BENIGN[number % len(BENIGN)]
        pixels = edited(pixels, edit, seed=0, image=path.name).pixels
    began, used, cpu = time.perf_counter(), time.process_time(), []
    answer = engine.answer(pixels / 255.0, k=10, certify=True)
    families = read_families(args.against)
    proof = prove_ranges(engine, pixels, answer, families, eps=args.eps, unit="rmse", watch=lambda own: timed(own, cpu))
    return {
        "path": str(path.relative_to(args.folder)),
        "edit": edit,
        "right": proof.claim.verdict == "copy" and str(proof.claim.path).endswith(path.name),
        "copy_rmse": None if answer.copy is None else answer.copy.rmse,
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - used,
        "families": [family.as_json() | {"cpu": own} for family, own in zip(proof.families, cpu, strict=True)],
    }


def timed(families: Iterable[AskedFamily], cpu: list[float]) -> Iterator[AskedFamily]:
    """The same, with the processor seconds that each took."""
    for family in families:
        began = time.process_time()
        yield family
        cpu.append(time.process_time() - began)


def read(out: Path) -> list[dict[str, Any]]:
    """What was measured."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def table(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Markdown: a family a row."""
    yield f"{len(lines)} photographs; processor seconds a query (all families): median {median_of(lines, 'cpu')}"
    yield ""
    yield "| family | verdict: whole range | proved share, median | first: whole range | members | network | CPU s |"
    yield "|---|---|---|---|---|---|---|"
    copies = [line for line in lines if line["right"]]
    for at, family in enumerate(copies[0]["families"] if copies else []):
        own = [line["families"][at] for line in copies]
        whole = {part: sum(one[part]["whole"] for one in own) for part in ("verdict", "first")}
        middle = {key: median(one[key] or 0 for one in own) for key in ("members", "evaluations", "cpu")}
        yield (
            f"| `{family['asked']}` | {whole['verdict']} of {len(own)} ({100 * whole['verdict'] / len(own):.0f} %) "
            f"| {100 * median(one['verdict']['share'] for one in own):.0f} % "
            f"| {whole['first']} of {len(own)} ({100 * whole['first'] / len(own):.0f} %) "
            f"| {middle['members'] or '–'} | {middle['evaluations']:.0f} | {middle['cpu']:.2f} |"
        )
    yield ""
    yield f"of the {len(lines)} queries {len(copies)} are found to be copies of themselves, which is what is proved"


def median_of(lines: list[dict[str, Any]], key: str) -> str:
    """Of one number."""
    return f"{median(line[key] for line in lines):.1f}" if lines else "–"


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--edited", action="store_true")
    parser.add_argument("--against", action="append", default=None)
    parser.add_argument("--eps", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    args = parser.parse_args()
    args.against = args.against or ["all"]
    torch.set_num_threads(1)
    began, done = time.monotonic(), {line["path"] for line in read(args.out)}
    engine = Engine.open(args.index, device="cpu")
    # In an order that is even over the folder wherever it is stopped.
    for number, path in sorted(enumerate(chosen(args.folder, args.count)), key=lambda one: (one[0] * 37) % args.count):
        if str(path.relative_to(args.folder)) in done or time.monotonic() - began > args.seconds:
            continue
        line = measure(engine, path, number, args)
        with args.out.open("a") as file:
            file.write(json.dumps(line) + "\n")
    print("\n".join(table(read(args.out))))


if __name__ == "__main__":
    main()
