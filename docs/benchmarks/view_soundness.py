"""Attacked certificates of an index that compares views of a query: ranks and verdicts, through every view at once.

Run as ``python docs/benchmarks/view_soundness.py OUT PHOTOGRAPHS [--each N] [--side N] [--model NAME …]
[--companion SPEC [--looks]] [--views SET]``. Photographs, made small, are indexed with ``--views light``, and with a
companion where one is named. Queries are what the views are there for: the photograph itself, its mirror image, a
window of it, one half covered, a frame around it, half of it one grey, and mixtures of two. Every proved rank and
verdict is attacked by APGD in ℓ2, whose loss looks through all views of the query in all channels, at four multiples of
its own radius. Whatever an image inside of a radius changes is an alarm; so is a proved copy that a companion alone
still names. Prints alarms and certificates; the same folder goes on with a run that was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from retr.core.progress import Silent
from retr.evaluation.robustness.attack_eval import run_attack_eval
from retr.evaluation.robustness.plan import AuditPlan
from retr.evaluation.robustness.records import FORMAT
from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.engine import Engine

RADII = (0.5, 0.9, 0.97, 0.995)
Pixels = np.ndarray


def edits(own: Pixels, other: Pixels) -> Iterator[tuple[str, Pixels]]:
    """(name, pixels): (H, W, 3) uint8 each."""
    side = len(own)
    yield "itself", own
    yield "mirrored", own[:, ::-1]
    yield "window", own[side // 8 : side - side // 5, side // 6 :]
    covered, blank = own.copy(), own.copy()
    covered[: side // 2 - 1] = other[: side // 2 - 1]
    blank[side // 2 :] = 128
    yield "covered", covered
    yield "blank", blank
    frame = side // 8
    yield "framed", np.pad(own, ((frame, frame), (frame, frame), (0, 0)), constant_values=250)
    for share in (0.85, 0.65, 0.55):
        yield f"mixed-{share}", (share * own + (1.0 - share) * other[:, ::-1]).astype(np.uint8)


def make_corpus(home: Path, photographs: Path, each: int, side: int) -> None:
    """``each`` photographs in ``corpus``, and the queries made of them."""
    files = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = files[:: max(1, len(files) // each)][:each]
    small = [np.asarray(Image.open(path).convert("RGB").resize((side, side))) for path in chosen]
    for folder in ("corpus", "queries"):
        (home / folder).mkdir(parents=True)
    lines = ["query,truth"]
    for number, own in enumerate(small):
        Image.fromarray(own).save(home / "corpus" / f"{number:04}.png")
        for name, pixels in edits(own, small[(number + 1) % len(small)]):
            Image.fromarray(np.ascontiguousarray(pixels)).save(home / "queries" / f"{number:04}-{name}.png")
            lines.append(f"{number:04}-{name}.png,{number:04}.png")
    (home / "truth.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--model", action="append", help="channels; the usual two by default")
    parser.add_argument("--companion", help="asked beside them: both tiers of answers are attacked")
    parser.add_argument("--looks", action="store_true", help="the companion looks at parts and turns of a query, too")
    parser.add_argument("--views", default="light")
    given = parser.parse_args()
    models = tuple(given.model) if given.model else None
    if not (given.out / "truth.csv").exists():
        make_corpus(given.out, given.photographs, given.each, given.side)
        looks = True if given.looks else None
        options = IndexOptions(models=models, companion=given.companion, looks=looks, views=given.views, workers=1)
        build_index(str(given.out / "corpus"), given.out / "index", options, Silent())
    plan = AuditPlan(
        queries=tuple(sorted(map(str, (given.out / "queries").glob("*.png")))),
        truth=given.out / "truth.csv",
        sample=None,
        edits=("identity",),
        attacks=("apgd-l2",),
        goals=("evasion", "rank10", "verdict"),
        at_radius=RADII,
        steps=given.steps,
        out=given.out / "audit",
        resume=(given.out / "audit").exists(),
    )
    result = run_attack_eval(Engine.open(given.out / "index", device="cpu"), plan)
    records = FORMAT.read(result.records).table.to_pylist()
    ranks = sum(bool(record["within_top1"]) for record in records)
    verdicts = sum(bool(record["within_verdict"]) for record in records)
    print(f"{result.summary.alarms} alarms in {ranks} ranks and {verdicts} verdicts attacked ({result.seconds:.0f} s)")


if __name__ == "__main__":
    main()
