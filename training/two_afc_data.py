"""Pixels of triplets: a data set's images are decoded once into a store, and triplets name rows of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.files import sha256_bytes
from ..core.progress import Progress
from ..datasets.triplets import TripletSet
from .data import ImageStore, open_store


@dataclass(frozen=True, eq=False)
class TripletPixels:
    """The triplets of a split whose three images can be had, at one size.

    Attributes:
        stored: (m, S, S, 3) uint8, their images.
        rows: (n, 3) rows of them: reference, left, right.
        preference: (n,) float32, share of people for the right one.
        facts: plain JSON: which data, and the counts of what was seen, skipped and rejected.
    """

    stored: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    preference: npt.NDArray[np.float32]
    facts: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.rows)

    def pixels(self, which: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """(3·b, S, S, 3): all references, then all left ones, then all right ones."""
        return self.stored[self.rows[which].T.reshape(-1)]

    def describe(self) -> dict[str, Any]:
        """Plain JSON for the training record; the counts add up to ``seen``."""
        return {**self.facts, "triplets": len(self)}


def open_triplets(
    data: TripletSet, *, side: int, cache: Path, workers: int, progress: Progress | None = None
) -> TripletPixels:
    """Decode the images of a split, or take them from the cache.

    The folder that all images of the split lie in is decoded as a whole; splits that share it share the store.

    Raises:
        UsageError: where no triplet is left.
    """
    if not data.triplets:
        raise UsageError(f"{data.folder} has no usable triplet in {data.split}: {_counts(data)}")
    folder = Path(os.path.commonpath([path.parent for triplet in data.triplets for path in triplet.files]))
    place = cache / f"triplets-{sha256_bytes(os.fsencode(folder))[:12]}"
    store = open_store([folder], side=side, cache=place, workers=workers, progress=progress)
    row_of = {name: row for row, name in enumerate(store.names)}
    rows, kept = _rows(data, folder, row_of)
    if not kept:
        raise UsageError(f"{data.folder}: no triplet of {data.split} has three images that can be decoded")
    preference = np.array([data.triplets[index].preference for index in kept], dtype=np.float32)
    return TripletPixels(store.pixels, rows, preference, _facts(data, store, len(data.triplets) - len(kept)))


def _facts(data: TripletSet, store: ImageStore, undecodable: int) -> dict[str, Any]:
    rejected = Counter(data.reject_counts())
    if undecodable:
        rejected["undecodable"] += undecodable
    return {
        "layout": data.layout,
        "split": data.split,
        "sha256": data.digest(),
        "pixels_sha256": store.digest,
        "side": store.side,
        "seen": data.seen,
        "skipped": dict(data.skipped),
        "rejected": dict(sorted(rejected.items())),
    }


def _rows(data: TripletSet, folder: Path, row_of: Mapping[str, int]) -> tuple[npt.NDArray[np.int64], list[int]]:
    rows, kept = [], []
    for index, triplet in enumerate(data.triplets):
        found = [row_of.get(path.relative_to(folder).as_posix()) for path in triplet.files]
        if None not in found:
            rows.append(found)
            kept.append(index)
    return np.array(rows, dtype=np.int64).reshape(-1, 3), kept


def _counts(data: TripletSet) -> str:
    counts = {**data.skipped, **data.reject_counts()}
    return ", ".join(f"{count} × {reason}" for reason, count in counts.items()) or "the split is empty"
