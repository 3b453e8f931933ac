"""Draw and embed the measuring kinds, once; the tables are made from what is kept.

    python docs/benchmarks/kinds/embed_measuring.py OUT [--seconds 240]

For every kind and half OUT gets the rows of its contents, and of ten rescans and re-encodings of each of the first ten.
Run it again and it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from embed_rows import MODELS, embed, embedders
from measuring import KINDS, LAYOUTS, SIZES, contents
from scanning import RESCANS

COUNTS = {"choose": 61, "report": 201}
"""Contents of a kind, the stored one among them."""
RESCANNED = 10
"""Contents of which rescans are made."""


def target(out: Path, half: str, kind: str) -> Path:
    """Where the rows of a kind are kept."""
    return out / f"{half}-{list(KINDS).index(kind):02}.npz"


def make(out: Path, seconds: float) -> None:
    """Every kind that is missing."""
    models, began = embedders(), time.monotonic()
    for half, size in product(LAYOUTS, SIZES):
        if all(target(out, half, kind).exists() for kind in SIZES[size]):
            continue
        if time.monotonic() - began > seconds:
            sys.exit(f"stopped after {seconds:g} s: run it again")
        for kind, pictures in contents(half, size, COUNTS[half]):
            again = [rescan(one) for one in pictures[:RESCANNED] for rescan in RESCANS.values()]
            rows, found = embed(pictures, models), embed(again, models)
            kept: dict[str, Any] = dict(zip(MODELS, rows, strict=True))
            kept |= {f"{name} again": part for name, part in zip(MODELS, found, strict=True)}
            np.savez(target(out, half, kind), **kept)
            print(f"{time.monotonic() - began:6.1f} s {half} {kind}", flush=True)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=240.0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    make(args.out, args.seconds)


if __name__ == "__main__":
    main()
