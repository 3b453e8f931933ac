"""Make the reference sets of the packaged models: photographs nobody trained on, and thousands of made kinds.

    python docs/benchmarks/kinds/make_reference.py OUT [--seconds 240] [--parts photographs drawn ...]
    python docs/benchmarks/kinds/make_reference.py OUT --write

The first draws and embeds, part by part in pieces of 250 pictures that are kept in OUT: run it again and it goes on
where it stopped, and after so many seconds it stops by itself. The second thins what is there and writes
embedding/weights/MODEL.reference.safetensors. Seeds are fixed: the same fonts and libraries give the same set.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import reference_paper
import reference_screens
from browser import photograph_html
from embed_rows import MODELS, embed, embedders
from photographs import decoded, photographs
from scanning import scanned

from retr.images.kinds import KINDS, OF_LARGE_SETS, draw_kind

Pixels = npt.NDArray[np.uint8]
Picture = tuple[str, Pixels]
"""Its kind and its pixels."""
Draw = Callable[[int, int], Iterator[Picture]]
"""Draws so many pictures from one number on."""
PIECE = 250


def _photographs(first: int, count: int) -> Iterator[Picture]:
    for _, encoded in islice(photographs(reference=True), first, first + count):
        yield "photograph", decoded(encoded)


def _drawn(first: int, count: int) -> Iterator[Picture]:
    names = [kind for kind in KINDS if kind not in OF_LARGE_SETS]
    for place in range(first, first + count):
        kind = names[place % len(names)]
        yield kind, draw_kind(kind, place // len(names))


def _of_kind(kind: str) -> Draw:
    return lambda first, count: ((kind, draw_kind(kind, first + number)) for number in range(count))


def _charts(first: int, count: int) -> Iterator[Picture]:
    from reference_charts import chart

    for number in range(first, first + count):
        yield "chart", chart(number)


def _html(kinds: Mapping[str, Callable[[np.random.Generator], str]], size: tuple[int, int], seed: int) -> Draw:
    def draw(first: int, count: int) -> Iterator[Picture]:
        names = list(kinds)
        turns = [names[number % len(names)] for number in range(first, first + count)]
        chances = [np.random.default_rng([seed, number]) for number in range(first, first + count)]
        cells = [kinds[name](rng) for name, rng in zip(turns, chances, strict=True)]
        for name, rng, pixels in zip(turns, chances, photograph_html(cells, size), strict=True):
            if size[0] < size[1] and seed == SEED_PAPER and rng.random() < SCANNED:
                yield f"{name}, scanned", scanned(pixels, rng)
            else:
                yield name, pixels

    return draw


SEED_PAPER, SEED_WIDE, SEED_TALL = 101, 102, 103
SCANNED = 0.3
"""Share of the upright papers that went through a scanner."""
PARTS: dict[str, tuple[int, Draw]] = {
    "photographs": (5000, _photographs),
    "drawn": (6600, _drawn),
    "dense": (1000, _of_kind("dense page")),
    "blots": (500, _of_kind("blots")),
    "charts": (300, _charts),
    "papers": (1250, _html(reference_paper.UPRIGHT, (480, 640), SEED_PAPER)),
    "wide": (750, _html({**reference_screens.WIDE, **reference_paper.WIDE}, (640, 440), SEED_WIDE)),
    "tall": (750, _html(reference_screens.TALL, (300, 600), SEED_TALL)),
}
"""How many pictures of each part there are at most, and what draws some of them."""


def make(out: Path, parts: list[str], seconds: float) -> None:
    """Draw and embed the pieces that are missing."""
    models, began = embedders(), time.monotonic()
    for name in parts:
        most, draw = PARTS[name]
        for first in range(0, most, PIECE):
            target = out / f"{name}-{first:05}.npz"
            if target.exists():
                continue
            if time.monotonic() - began > seconds:
                sys.exit(f"stopped after {seconds:g} s: run it again")
            pictures = list(draw(first, min(PIECE, most - first)))
            if not pictures:
                break
            rows = embed((pixels for _, pixels in pictures), models)
            kept: dict[str, Any] = dict(zip(MODELS, rows, strict=True))
            np.savez(target, kind=[kind for kind, _ in pictures], **kept)
            print(f"{time.monotonic() - began:6.1f} s {target.name} {len(pictures)}", flush=True)


def main() -> None:
    """Make, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.write:
        from write_reference import write_all

        write_all(args.out)
    else:
        make(args.out, args.parts, args.seconds)


if __name__ == "__main__":
    main()
