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
from ..datasets.triplets import TripletSet
from .data import ImageStore, Progress, open_store


@dataclass(frozen=True, eq=False)
class TripletPixels:
    """The triplets of a split whose three images can be decoded.

    Attributes:
        data: the split as it lies on disk.
        store: its images.
        rows: (n, 3) rows of the store: reference, left, right.
        preference: (n,) float32, share of people for the right one.
        undecodable: triplets left out because an image of theirs is unacceptable.
    """

    data: TripletSet
    store: ImageStore
    rows: npt.NDArray[np.int64]
    preference: npt.NDArray[np.float32]
    undecodable: int

    def __len__(self) -> int:
        return len(self.rows)

    def pixels(self, which: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """(3·b, S, S, 3): all references, then all left ones, then all right ones."""
        return self.store.pixels[self.rows[which].T.reshape(-1)]

    def describe(self) -> dict[str, Any]:
        """Plain JSON for the training record; the counts add up to ``seen``."""
        rejected = Counter(self.data.reject_counts())
        if self.undecodable:
            rejected["undecodable"] += self.undecodable
        return {
            "layout": self.data.layout,
            "split": self.data.split,
            "sha256": self.data.digest(),
            "pixels_sha256": self.store.digest,
            "side": self.store.side,
            "seen": self.data.seen,
            "triplets": len(self),
            "skipped": dict(self.data.skipped),
            "rejected": dict(sorted(rejected.items())),
        }


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
    return TripletPixels(data, store, rows, preference, len(data.triplets) - len(kept))


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
