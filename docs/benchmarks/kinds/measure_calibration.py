"""What calibration for 1e-3 leaves of the verdict, over many draws of the negatives.

    python docs/benchmarks/kinds/measure_calibration.py PHOTOGRAPHS

PHOTOGRAPHS is what ``embed_photographs.py`` wrote. Stored are ``dev`` and the spare photographs; negatives are drawn
from the measuring half, as they come or without known copies; it has the same sources as the spare ones. What is left
counts false matches. The rule is the engine's (``retrieval.calibrate``), in float32.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from choose_shares import verdicts_within
from embed_photographs import IN_REFERENCE
from embed_rows import MODELS
from photographs import photographs
from rule import Gallery, angles, joined, read, references, rows_of
from write_reference import SHEET

from retr.retrieval.conformal import set_offsets
from retr.retrieval.near_pairs import FEW, LIKELY

Float64 = npt.NDArray[np.float64]
FPR, DRAWS, SETTING = 1e-3, 200, 2237
LISTED = Path(__file__).resolve().parents[1] / "known_copies.csv"


def copies_among(absent: list[str], stored: set[str]) -> npt.NDArray[np.bool_]:
    """Which absent photographs have a known copy among the stored ones; both by file name in ``distractors``."""
    with LISTED.open(newline="") as source:
        pairs = [(row["image"], row["copy_of"]) for row in csv.DictReader(source)]
    ours = [(a.rsplit("/", 1)[1], b.rsplit("/", 1)[1]) for a, b in pairs if b.startswith("distractors/")]
    spoilt = {a for a, b in [*ours, *((b, a) for a, b in ours)] if b in stored}
    return np.array([name in spoilt for name in absent])


class Negatives:
    """How near absent photographs come to the rows of a gallery.

    Attributes:
        levels: (n, c) least offset that would accept each; inf where the share alone refuses it.
        left_out: (n,) all but certain copies, and pictures of the reference set.
        likely: (n,) likely copies, which are left out while they are few.
        gaps: per model (rows,) those of the gallery, sheets cut.
    """

    def __init__(self, gallery: Gallery, absent: Mapping[str, npt.NDArray], sets: Mapping) -> None:
        cut = {name: np.minimum(gallery.gaps[name], SHEET[name]) for name in MODELS}
        self.gaps = {name: np.where(gallery.sheets, cut[name], gallery.gaps[name]) for name in MODELS}
        self.left_out = np.zeros(len(absent[MODELS[0]]), dtype=np.bool_)
        self.likely = np.zeros_like(self.left_out)
        self.levels = np.full((len(self.left_out), len(MODELS)), np.inf)
        for number, name in enumerate(MODELS):
            one, vectors = sets[name]
            far = angles(absent[name], gallery.rows[name])
            self.left_out |= (far <= one.certain * self.gaps[name]).any(axis=1)
            wide = self.gaps[name] > one.sheet
            self.likely |= (far[:, wide] <= LIKELY * self.gaps[name][wide]).any(axis=1)
            within = one.certain * np.minimum(one.near, one.farthest)
            self.left_out |= (angles(absent[name], vectors) <= within).any(axis=1)
            beyond = np.where(far <= one.share * self.gaps[name], far - 0.5 * self.gaps[name], np.inf)
            self.levels[:, number] = beyond.min(axis=1)
        self.likely &= ~self.left_out

    def without_copies(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of some negatives that count."""
        left = numbers[~self.left_out[numbers]]
        few = self.likely[left].sum() <= FEW * len(numbers)
        return left[~self.likely[left]] if few else left

    def reaches(self, offsets: tuple[float | None, ...], sets: Mapping) -> dict[str, Float64]:
        """Per model (rows,) the angle within which each row accepts."""
        found = {name: sets[name][0].share * self.gaps[name] for name in MODELS}
        for name, offset in zip(MODELS, offsets, strict=True):
            if offset is not None:
                found[name] = np.maximum(0.0, np.minimum(found[name], offset + 0.5 * self.gaps[name]))
        return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    folder = parser.parse_args().photographs
    sets = references()
    dev, spare, absent = (rows_of(read(folder, f"{part}-*.npz")) for part in ("dev", "spare", "absent"))
    edits, gallery = read(folder, "edits-*.npz"), Gallery.of(joined([dev, spare]), sets)
    names = [Path(name).name for name, _ in photographs(reference=False)]
    stored = {Path(name).name for name, _ in islice(photographs(reference=True), IN_REFERENCE, None)}
    near, known = Negatives(gallery, absent, sets), copies_among(names, stored)
    print(
        f"{len(gallery.sheets)} rows, {len(names)} absent photographs, {known.sum()} with a known copy in the gallery"
    )
    print(f"verdict without calibration: {_words(verdicts_within(gallery, edits, near.reaches((None, None), sets)))}")
    for title, out in (("as they come", np.zeros_like(known)), ("known copies left out", known)):
        found = np.array([draw(number, near, out, gallery, edits, sets) for number in range(DRAWS)])
        low, middle, high = np.quantile(found, (0.05, 0.5, 0.95), axis=0)
        print(f"{title}: median {_words(middle[:3])}, 5 % {_words(low[:3])}, 95 % {_words(high[:3])} of {DRAWS} draws;")
        print(f"  false matches of the others {100 * found[:, 3].mean():.3f} % in the mean")


def draw(
    seed: int, near: Negatives, out: npt.NDArray[np.bool_], gallery: Gallery, edits: Mapping, sets: Mapping
) -> list[float]:
    """One draw: the verdict, clean and certified at RMSE 1 and 5, in percent, and the rate of false matches."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(~out))
    setting, others = order[:SETTING], order[SETTING:]
    offsets, _ = set_offsets(near.levels[near.without_copies(setting)], fpr=FPR)
    limits = [np.inf if offset is None else offset for offset in offsets]
    counted = near.without_copies(others)  # presumed copies are outside of what is promised
    wrong = (near.levels[counted] < limits).any(axis=1).mean()
    return [*verdicts_within(gallery, edits, near.reaches(offsets, sets)), float(wrong)]


def _words(values: npt.ArrayLike) -> str:
    return " / ".join(f"{value:.1f}" for value in np.asarray(values))


if __name__ == "__main__":
    main()
