"""Embed the photographs that the tables need, once: absent ones, galleries, and edited copies.

    python docs/benchmarks/kinds/embed_photographs.py OUT [--seconds 240]

OUT gets pieces of ``absent`` (the measuring half of the distractors), ``spare`` (what the reference half holds beyond
the reference set: constants are chosen with it), ``dev`` and ``train`` (galleries), and ``edits`` (copies of dev's
items by the twenty families of ``retr bench-copies``). Run it again and it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from embed_rows import MODELS, embed_raw, embedders
from photographs import decoded, folder, members, photographs

from retr.images.copy_edits import FAMILIES, edited
from retr.images.resize import resize_operator

Pixels = npt.NDArray[np.uint8]
Picture = tuple[int, int, Pixels]
"""Number of the item, number of the edit's family (0 where there is none), pixels."""
PIECE = 250
IN_REFERENCE = 2500
"""Photographs of the reference half that the reference set may hold; the rest is ``spare``."""
EDITED_ITEMS = 75
SEED = 7


def _some(encoded: Iterator[bytes], first: int) -> Iterator[Picture]:
    for place, one in enumerate(islice(encoded, first, first + PIECE), start=first):
        yield place, 0, decoded(one)


def _half(*, reference: bool, skip: int) -> Callable[[int], Iterator[Picture]]:
    return lambda first: _some((one for _, one in islice(photographs(reference=reference), skip, None)), first)


def _dev(first: int) -> Iterator[Picture]:
    paths = sorted(path for path in (folder().parent / "dev").rglob("*.*") if path.suffix in (".jpg", ".png"))
    yield from _some((path.read_bytes() for path in paths), first)


def _train(first: int) -> Iterator[Picture]:
    yield from _some((one for _, one in members(folder().parent / "train")), first)


def _edits(first: int) -> Iterator[Picture]:
    """Every family of items drawn by seed from all of dev."""
    paths = sorted(path for path in (folder().parent / "dev").rglob("*.*") if path.suffix in (".jpg", ".png"))
    items = np.sort(np.random.default_rng(SEED).choice(len(paths), EDITED_ITEMS, replace=False)).tolist()
    pairs = [(item, number) for item in items for number in range(len(FAMILIES))]
    names = list(FAMILIES)
    for item, number in pairs[first : first + PIECE]:
        pixels = decoded(paths[item].read_bytes())
        yield item, number, edited(pixels, names[number], seed=SEED, image=str(item)).pixels


PARTS: dict[str, tuple[int, Callable[[int], Iterator[Picture]]]] = {
    "absent": (5000, _half(reference=False, skip=0)),
    "spare": (3000, _half(reference=True, skip=IN_REFERENCE)),
    "dev": (2000, _dev),
    "edits": (EDITED_ITEMS * len(FAMILIES), _edits),
    "train": (8250, _train),
}


def make(out: Path, seconds: float) -> None:
    """Embed the pieces that are missing."""
    models, began = embedders(), time.monotonic()
    for name, (most, draw) in PARTS.items():
        for first in range(0, most, PIECE):
            path = out / f"{name}-{first:05}.npz"
            if path.exists():
                continue
            if time.monotonic() - began > seconds:
                sys.exit(f"stopped after {seconds:g} s: run it again")
            pictures = list(draw(first))
            if not pictures:
                break
            rows = embed_raw((pixels for *_, pixels in pictures), models)
            facts: dict[str, Any] = {
                "item": [item for item, *_ in pictures],
                "family": [family for _, family, _ in pictures],
            }
            scales = [_scale(pixels, models[0].input_size) for *_, pixels in pictures]
            facts |= dict(zip(MODELS, rows, strict=True))
            np.savez(path, scale=scales, **facts)
            print(f"{time.monotonic() - began:6.1f} s {path.name}", flush=True)


def _scale(pixels: Pixels, size: tuple[int, int]) -> float:
    """What a unit of the embedding is worth in RMSE levels (both networks are 1-Lipschitz; both read 64 × 64)."""
    norm = resize_operator((pixels.shape[0], pixels.shape[1]), size).norm.value
    return 255.0 / (norm * float(np.sqrt(pixels.size)))


def main() -> None:
    """Embed what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=240.0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    make(args.out, args.seconds)


if __name__ == "__main__":
    main()
