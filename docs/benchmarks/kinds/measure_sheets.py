"""Which of dev's images are taken for sheets, and what that costs the verdict.

    python docs/benchmarks/kinds/measure_sheets.py PHOTOGRAPHS

PHOTOGRAPHS is what ``embed_photographs.py`` wrote. Receipts and screenshots are sheets in truth; the verdict is that of
an index as it comes, in float32, also where only those were cut, and by the size of the gallery.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from choose_shares import verdicts
from photographs import folder
from rule import Gallery, angles, joined, read, references, rows_of

IN_TRUTH = ("receipts_sroie", "screens_msterminal")
DISCERNS = "retr_s"


def sources() -> npt.NDArray[np.str_]:
    """The source of each of dev's images, in the order of ``embed_photographs.py``."""
    paths = sorted(path for path in (folder().parent / "dev").rglob("*.*") if path.suffix in (".jpg", ".png"))
    return np.array([path.parent.name for path in paths])


def words(values: list[float]) -> str:
    """Clean / certified at RMSE 1 / 5, in percent."""
    return " / ".join(f"{value:.1f}" for value in values)


def taken(gallery: Gallery, of: npt.NDArray[np.str_], sets: Mapping) -> None:
    """By source, how many are taken for sheets, and of what kind the nearest vector of those is."""
    one, vectors = sets[DISCERNS]
    kinds = np.array(one.kinds)[one.kind[angles(gallery.rows[DISCERNS], vectors).argmin(axis=1)]]
    for source in sorted(set(of)):
        mine = of == source
        common = ", ".join(f"{kind} {n}" for kind, n in Counter(kinds[mine & gallery.sheets]).most_common(4))
        print(f"{source}: {100 * gallery.sheets[mine].mean():.1f} % of {mine.sum()} ({common})")


def main() -> None:
    """Print all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    place, sets, of = parser.parse_args().photographs, references(), sources()
    dev, spare, train = (rows_of(read(place, f"{part}-*.npz")) for part in ("dev", "spare", "train"))
    edits, limits = read(place, "edits-*.npz"), {name: one.share for name, (one, _) in sets.items()}
    gallery, real = Gallery.of(dev, sets), np.isin(of, IN_TRUTH)
    taken(gallery, of, sets)
    for title, sheets in (("as it is", gallery.sheets), ("only sheets in truth", gallery.sheets & real)):
        print(f"{title}: {words(verdicts(replace(gallery, sheets=sheets), edits, limits))}")
    parts = {"sheets in truth": real, "photographs taken for sheets": gallery.sheets & ~real}
    for title, those in (parts | {"others": ~gallery.sheets & ~real}).items():
        asked = those[edits["item"].astype(np.int64)]
        some = {key: part[asked] for key, part in edits.items()}
        print(f"{title}, {100 * asked.mean():.0f} % of the copies: {words(verdicts(gallery, some, limits))}")
    for stored in ([dev], [dev, spare], [dev, spare, train]):
        larger = Gallery.of(joined(stored), sets)
        print(f"{len(larger.sheets)} rows: {words(verdicts(larger, edits, limits))}")


if __name__ == "__main__":
    main()
