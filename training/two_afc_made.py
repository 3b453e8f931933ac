"""Triplets made of photographs, to train on where nobody was asked: ``retr train 2afc synthetic:FOLDER``.

Made once and kept in the cache; a photograph serves training or evaluation, never both.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.files import digest_json, sync_directory
from ..core.progress import Progress
from ..datasets.pixels import LazyTriplets, resized
from ..datasets.rows import RowError
from ..datasets.synthetic import SMALLEST_SIDE, count_possible, synthetic
from .two_afc_data import TripletPixels

SPLITS = ("train", "val")
HELD_OUT = 0.1
"""Share of the photographs, drawn by their names, that serve evaluation."""
_AT_ONCE = 64

Made = npt.NDArray[np.uint8] | str
"""(3, S, S, 3) pixels, or why there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeTriplets:
    """Which triplets to make.

    Attributes:
        folder: photographs, at any depth.
        side: S of the network's input; they are made at :data:`SMALLEST_SIDE` at least, and shrunk.
        count: of both splits together, at most; fewer where there are too few photographs.
        kinds: pairings of distortions; all those of one kind where empty.
        seed: of everything random.
    """

    folder: Path
    side: int
    count: int
    kinds: tuple[str, ...]
    seed: int

    def planned(self, split: str) -> LazyTriplets:
        """The triplets of a split, not yet made.

        Raises:
            UsageError: for a split that there is not, or a folder without photographs for it.
        """
        if split not in SPLITS:
            raise UsageError(f"synthetic triplets have no split {split!r}; choose {' or '.join(SPLITS)}")
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder} is not a folder of photographs")
        count = min(self.count, count_possible(self.folder, self.kinds))
        if count < 1:
            raise UsageError(f"{self.folder} holds no photograph to make triplets of")
        side = max(self.side, SMALLEST_SIDE)
        every = synthetic(self.folder, side=side, count=count, kinds=self.kinds, seed=self.seed)
        held_out = _held_out({_photo(place.name) for place in every.places}, self.seed)
        chosen = [i for i, place in enumerate(every.places) if (_photo(place.name) in held_out) == (split == "val")]
        if not chosen:
            raise UsageError(f"{self.folder} holds one photograph, and {split} needs another one")
        return every.select(chosen)


def open_made(
    wanted: MadeTriplets, split: str, *, cache: Path, workers: int, progress: Progress | None = None
) -> TripletPixels:
    """The pixels of a split, from the cache where they were made before.

    Args:
        wanted: which triplets.
        split: one of :data:`SPLITS`.
        cache: folder for ``made-….npz``.
        workers: threads that make them.
        progress: told of every triplet made; not called when the cache holds.

    Raises:
        UsageError: as :meth:`MadeTriplets.planned`; not one triplet can be made.
    """
    triplets = wanted.planned(split)
    key = digest_json({"triplets": triplets.digest, "side": wanted.side, "photos": _stamps(wanted.folder, triplets)})
    file = cache / f"made-{key[:16]}.npz"
    if not file.exists():
        _write(file, _make_all(triplets, wanted.side, workers, progress))
    with np.load(file, allow_pickle=False) as stored:
        pixels, kept, rejected = stored["pixels"], stored["kept"], json.loads(str(stored["rejected"]))
    if not len(kept):
        raise UsageError(f"not one of {len(triplets)} triplets of {wanted.folder} can be made: {rejected}")
    preference = np.array([triplets.places[place].preference for place in kept], dtype=np.float32)
    facts = {
        "layout": triplets.layout,
        "split": split,
        "sha256": triplets.digest,
        "side": wanted.side,
        "seen": len(triplets),
        "skipped": {},
        "rejected": rejected,
    }
    rows = np.arange(3 * len(kept), dtype=np.int64).reshape(-1, 3)
    return TripletPixels(pixels.reshape(-1, *pixels.shape[2:]), rows, preference, facts)


def _photo(name: str) -> str:
    """Path of the photograph of a triplet: it serves several kinds, all of them in one split."""
    return name.partition("/")[2]


def _held_out(photos: Set[str], seed: int) -> set[str]:
    """Those with the lowest lots, at least one."""
    drawn = sorted(photos, key=lambda photo: digest_json(["held-out", seed, photo]))
    return set(drawn[: max(1, round(HELD_OUT * len(drawn)))])


def _stamps(folder: Path, triplets: LazyTriplets) -> list[list[Any]]:
    """Names, sizes and times of change of the photographs."""
    photos = sorted({_photo(place.name) for place in triplets.places})
    found = ((photo, (folder / photo).stat()) for photo in photos)
    return [[photo, status.st_size, status.st_mtime_ns] for photo, status in found]


def _make_all(triplets: LazyTriplets, side: int, workers: int, progress: Progress | None) -> Sequence[Made]:
    if progress is not None:
        progress.start(len(triplets), 0)
    made: list[Made] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="make") as pool:
        for start in range(0, len(triplets), _AT_ONCE):
            numbers = triplets.numbers[start : start + _AT_ONCE]
            made += pool.map(lambda number: _make(triplets, number, side), numbers)
            if progress is not None:
                progress.advance(len(numbers))
    return made


def _make(triplets: LazyTriplets, number: int, side: int) -> Made:
    try:
        return np.stack([resized(image, side) for image in triplets.make(number).images])
    except RowError as error:
        return error.reason


def _write(file: Path, made: Sequence[Made]) -> None:
    """The file appears whole or not at all."""
    kept = [place for place, one in enumerate(made) if not isinstance(one, str)]
    rejected = dict(sorted(Counter(one for one in made if isinstance(one, str)).items()))
    pixels = np.stack([made[place] for place in kept]) if kept else np.zeros((0, 3, 1, 1, 3), np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as handle:
            np.savez(handle, pixels=pixels, kept=np.array(kept, dtype=np.int64), rejected=json.dumps(rejected))
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    sync_directory(file.parent)
