"""Writes synthetic triplets in the layout of NIGHTS, for ``retr train 2afc`` where nobody was asked.

    python docs/benchmarks/write_triplets.py PHOTOS OUT [--count 6000] [--held-out 500] [--side 64] [--seed 1]
    retr train 2afc OUT -o run

The triplets are those of ``--data synthetic:PHOTOS`` (:mod:`retr.datasets.synthetic`): all pairings of distortions, the
right answer known by construction and written as ten votes of ten.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from PIL import Image

from retr.datasets.distortions import PAIRINGS
from retr.datasets.synthetic import synthetic

COLUMNS = ("id", "left_vote", "right_vote", "votes", "split", "is_imagenet", "ref_path", "left_path", "right_path")
VOTES = 10


def main() -> None:
    """Make, save, list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--held-out", type=int, default=500, help="of them, in the split val")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    made = synthetic(options.photos, side=options.side, count=options.count, kinds=tuple(PAIRINGS), seed=options.seed)
    for part in ("ref", "distort"):
        (options.out / part).mkdir(parents=True, exist_ok=True)
    with (options.out / "data.csv").open("w", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS)
        rows.writeheader()
        for number in range(len(made)):
            triplet = made[number]
            paths = (f"ref/{number:06d}.png", f"distort/{number:06d}_0.png", f"distort/{number:06d}_1.png")
            for path, pixels in zip(paths, triplet.images, strict=True):
                Image.fromarray(pixels).save(options.out / path)
            right = round(triplet.preference)
            split = "val" if number < options.held_out else "train"
            rows.writerow(
                dict(zip(COLUMNS, (number, 1 - right, right, VOTES, split, False, *paths), strict=True)),
            )


if __name__ == "__main__":
    main()
