"""Edited copies found straight after ``retr index``, and after ``retr calibrate``, in a corpus with near-duplicates.

    python docs/benchmarks/kinds/measure_start.py WORK [--items 292] [--negatives 2400]

The corpus: photographs of the measuring half, of which 5 % are there twice (another format, size or quality) and three
are bursts of three. 56 edited copies of 14 others are looked up in the index as it comes and after calibration on
negatives of the same half, at a false-match rate of 1e-3; then the absent ones that are left, for false matches.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from photographs import decoded, photographs
from PIL import Image
from scanning import encoded, halved, lit, turned

import retr

Pixels = npt.NDArray[np.uint8]
FPR = 1e-3


def cut(pixels: Pixels, share: float) -> Pixels:
    """The middle of a picture."""
    height, width = pixels.shape[:2]
    top, left = round(height * (1 - share) / 2), round(width * (1 - share) / 2)
    return pixels[top : height - top, left : width - left]


EDITS: dict[str, Callable[[Pixels], Pixels]] = {
    "cut to 90 %, JPEG 85": lambda pixels: encoded(cut(pixels, 0.9), 85),
    "half size, JPEG 50": lambda pixels: encoded(halved(pixels), 50),
    "darker, JPEG 60": lambda pixels: encoded(lit(pixels, (0.1, 0.1), 0.75), 60),
    "turned 2°, JPEG 70": lambda pixels: encoded(turned(pixels, 2.0), 70),
}


def corpus(work: Path, pictures: Sequence[Pixels]) -> Path:
    """Write photographs, duplicates of 5 % of them, and bursts of three."""
    folder = work / "corpus"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{number:04}.png")
    for number in range(14, 14 + len(pictures) // 20):
        Image.fromarray(encoded(pictures[number], 85)).save(folder / f"{number:04}_again.png")
    for number in (100, 101, 102):
        for shot, share in enumerate((0.97, 0.94)):
            Image.fromarray(encoded(cut(pictures[number], share), 90)).save(folder / f"{number:04}_burst{shot}.png")
    return folder


def found(index: retr.Index, pictures: Sequence[Pixels]) -> dict[str, int]:
    """How many copies of the first 14 are found, by edit."""
    return {
        name: sum(_names(index, edit(pixels), f"{number:04}.png") for number, pixels in enumerate(pictures[:14]))
        for name, edit in EDITS.items()
    }


def _names(index: retr.Index, pixels: Pixels, name: str) -> bool:
    answer = index.query(pixels, k=1)
    return answer.verdict == "copy" and Path(str(answer.matches[0].path)).name == name


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--items", type=int, default=292)
    parser.add_argument("--negatives", type=int, default=2400)
    parser.add_argument("--absent", type=int, default=400)
    args = parser.parse_args()
    needed = args.items + args.negatives + args.absent
    pictures = [decoded(one) for _, one in islice(photographs(reference=False), needed)]
    stored, others = pictures[: args.items], pictures[args.items :]
    negatives, absent = others[: args.negatives], others[args.negatives :]
    folder, place = corpus(args.work, stored), args.work / "index"
    shutil.rmtree(place, ignore_errors=True)
    retr.build(folder, place)
    rates = {"as it comes": _measure(place, stored, absent)}
    retr.open(place).calibrate(_written(args.work, negatives), fpr=FPR)
    rates["calibrated"] = _measure(place, stored, absent)
    print(
        "| | " + " | ".join(EDITS) + f" | of 56 | false matches of {len(absent)} |\n|---|" + "---|" * (len(EDITS) + 2)
    )
    for name, (copies, false) in rates.items():
        print(f"| {name} | " + " | ".join(map(str, copies.values())) + f" | {sum(copies.values())} | {false} |")


def _measure(place: Path, stored: Sequence[Pixels], absent: Sequence[Pixels]) -> tuple[dict[str, int], int]:
    index = retr.open(place)
    return found(index, stored), sum(index.query(pixels, k=1).verdict == "copy" for pixels in absent)


def _written(work: Path, negatives: Sequence[Pixels]) -> list[str]:
    folder = work / "negatives"
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:04}.png" for number in range(len(negatives))]
    for path, pixels in zip(paths, negatives, strict=True):
        Image.fromarray(pixels).save(path)
    return [str(path) for path in paths]


if __name__ == "__main__":
    main()
