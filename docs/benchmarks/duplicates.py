"""How well planted copies are grouped: ``python docs/benchmarks/duplicates.py PHOTOGRAPHS WORK [ORIGINALS] [OTHERS]``.

Takes photographs of a folder, edits some of them in several ways (``images.edits``, drawn by a seed), and looks for
duplicates among all of it: by ``retr dupes`` at the thresholds that a new index has, and by perceptual hashes at the
distances that are customary. The truth is known: two files belong together if they come from one photograph. Pairs are
counted. Prints a table in Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from retr.core.progress import Silent
from retr.images.decode import load
from retr.images.edits import EDITS
from retr.images.policy import DecodePolicy
from retr.indexer.build import build_index
from retr.indexer.options import IndexOptions
from retr.indexer.sources import list_entries
from retr.retrieval.duplicates import find_duplicates
from retr.retrieval.engine import Engine

SIDE = 512
COPIES = 4
Pairs = set[tuple[str, str]]


def plant(photographs: Path, folder: Path, originals: int, others: int) -> None:
    """Photographs, made no larger than 512 pixels, and four copies of the first ones, each by another edit."""
    folder.mkdir(parents=True)
    entries = list_entries(photographs, exclude=folder)
    random = np.random.default_rng(0)
    chosen = [entries[place] for place in random.permutation(len(entries))[: originals + others]]
    for number, entry in enumerate(chosen):
        image = Image.fromarray(load(Path(entry.name), policy=DecodePolicy()).pixels)
        image.thumbnail((SIDE, SIDE))
        image.save(folder / f"{number:05}.png")
        for name in random.permutation(list(EDITS))[:COPIES] if number < originals else ():
            edited = EDITS[name].apply(np.asarray(image), random)
            Image.fromarray(np.ascontiguousarray(edited)).save(folder / f"{number:05}-{name}.png")


def truth(names: Iterable[str]) -> Pairs:
    """Pairs of files that come from one photograph."""
    return {pair for pair in combinations(sorted(names), 2) if pair[0][:5] == pair[1][:5]}


def by_retr(index: Path) -> Pairs:
    """Pairs of files that are in one group."""
    found = find_duplicates(Engine.open(index, device="cpu"))
    groups = [sorted(Path(one.path).name for one in group.members) for group in found.groups]
    return {pair for group in groups for pair in combinations(group, 2)}


def by_hash(folder: Path, function: Callable[[Image.Image], imagehash.ImageHash], most: int) -> Pairs:
    """Pairs of files whose hashes differ in so many bits at most."""
    names = sorted(path.name for path in folder.iterdir())
    bits = np.array([function(Image.open(folder / name)).hash.ravel() for name in names])
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    return {(names[i], names[j]) for i, j in np.argwhere(apart <= most) if i < j}


def row(words: str, found: Pairs, true: Pairs) -> str:
    """One line of the table."""
    right = len(found & true)
    return (
        f"| {words} | {len(found)} | {100 * right / max(1, len(found)):.1f} | {100 * right / max(1, len(true)):.1f} |"
    )


def main() -> None:
    """Plant, index, count."""
    photographs, work = Path(sys.argv[1]), Path(sys.argv[2])
    originals, others = (int(word) for word in [*sys.argv[3:], "40", "160"][:2])
    folder, index = work / "images", work / "index"
    if not folder.exists():
        plant(photographs, folder, originals, others)
    build_index(str(folder), index, IndexOptions(workers=2), Silent())
    true = truth(path.name for path in folder.iterdir())
    print("| system | pairs found | precision, % | recall, % |\n|---|---|---|---|")
    print(row("`retr dupes`, thresholds of a new index", by_retr(index), true), flush=True)
    for most in (4, 10):
        print(row(f"pHash, at most {most} bits of 64", by_hash(folder, imagehash.phash, most), true), flush=True)
        print(row(f"dHash, at most {most} bits of 64", by_hash(folder, imagehash.dhash, most), true), flush=True)
    print(f"\n{len(true)} pairs among {len(list(folder.iterdir()))} files.")


if __name__ == "__main__":
    main()
