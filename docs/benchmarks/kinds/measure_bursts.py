"""What bursts cost photographs that are taken for pages, or nearly so, straight after ``retr index``.

    python docs/benchmarks/kinds/measure_bursts.py PHOTOGRAPHS WORK [--shots 2] [--count 67]

PHOTOGRAPHS is what ``embed_photographs.py`` wrote. The photographs of ``dev`` that are nearest to the line between
photographs and sheets, on both sides of it, are indexed by themselves (``--shots 0``) or each with one or two more
shots: three pixels aside and 3 % brighter, two pixels to the other side and 3 % darker, as JPEG 90. Four edits of each
first shot are looked up.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measure_start import EDITS
from photographs import folder
from PIL import Image
from rule import leads, read, references, rows_of

import retr
from retr.indexer.gaps import all_of, read_neighbours
from retr.indexer.snapshot import require_current

Pixels = npt.NDArray[np.uint8]
SOURCES = ("bsds500", "cid22")
LITTLE = 0.6
"""Part of a reference gap."""
SHOTS = ((3, 2, 1.03), (-2, 1, 0.97))


def shot(pixels: Pixels, right: int, down: int, light: float) -> Pixels:
    """The picture moved by some pixels, its edge repeated, and brighter or darker."""
    height, width = pixels.shape[:2]
    wide = np.pad(pixels, ((4, 4), (4, 4), (0, 0)), "edge")
    return np.clip(wide[4 + down : 4 + down + height, 4 + right : 4 + right + width] * light, 0, 255).astype(np.uint8)


def main() -> None:
    """Print a line of the table for each channel, and what is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--shots", type=int, choices=(0, 1, 2), default=2)
    parser.add_argument("--count", type=int, default=67)
    args = parser.parse_args()
    files = sorted(path for path in (folder().parent / "dev").rglob("*.*") if path.suffix in (".jpg", ".png"))
    one, vectors = references()["retr_s"]
    lead = leads(rows_of(read(args.photographs, "dev-*.npz"))["retr_s"], one, vectors, one.votes)
    far = [abs(own) if file.parent.name in SOURCES else np.inf for own, file in zip(lead, files, strict=True)]
    chosen = np.argsort(far)[: args.count]
    corpus, place = args.work / "corpus", args.work / "index"
    for old in (corpus, place):
        shutil.rmtree(old, ignore_errors=True)
    corpus.mkdir(parents=True)
    pictures = {f"{number:04}": np.asarray(Image.open(files[number]).convert("RGB")) for number in chosen}
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(corpus / f"{name}.png")
        for number, how in enumerate(SHOTS[: args.shots]):
            Image.fromarray(shot(pixels, *how)).save(corpus / f"{name}-{number}.jpg", quality=90)
    retr.build(corpus, place)
    _tell_gaps(place)
    index = retr.open(place)
    for edit, make in EDITS.items():
        answers = ((name, index.query(make(pixels), k=1)) for name, pixels in pictures.items())
        found = sum(
            answer.verdict == "copy" and Path(str(answer.matches[0].path)).name.startswith(name)
            for name, answer in answers
        )
        print(f"{edit}: {found} of {len(pictures)} found")


def _tell_gaps(place: Path) -> None:
    snapshot = require_current(place)
    for channel in snapshot.channels:
        threshold = channel.threshold
        assert threshold is not None
        assert threshold.gaps is not None
        assert threshold.neighbours is not None
        known = all_of(snapshot, read_neighbours(place, threshold.gaps, threshold.neighbours)[0])
        presumed, left = int((known.presumed != b"").sum()), known.gap < LITTLE * known.reference
        print(f"{channel.name}: {presumed} rows are presumed copies, {int(left.sum())} have less than {LITTLE} left")


if __name__ == "__main__":
    main()
