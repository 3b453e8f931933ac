"""Triplets written to disk in the layout of BAPPS, for other programs and for later: PNG, and one ``.npy`` each."""

from __future__ import annotations

import io
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..core.errors import UsageError
from ..core.files import canonical_json, sync_directory, write_atomically
from ..images.edits import Pixels
from .bapps import SPLITS
from .pixels import LazyTriplets
from .rows import RejectedRow
from .triplets import Triplet

FORMAT = "retr.triplets/1"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        folder: the root, as :func:`retr.datasets.bapps.load_bapps` takes it.
        facts: JSON file that says where every triplet is from.
        count: triplets written.
        rejects: triplets that could not be made.
    """

    folder: Path
    facts: Path
    count: int
    rejects: tuple[RejectedRow, ...]


def write_as_bapps(
    triplets: LazyTriplets, folder: Path, *, split: str = "val", wrote: Callable[[int], None] | None = None
) -> Written:
    """Write ``2afc/<split>/<group>/{ref,p0,p1}/NNNNNN.png`` and ``judge/NNNNNN.npy``; nothing is overwritten.

    The split appears in one step when all of it is there: a kill leaves a folder that begins with ``.writing``.

    Args:
        triplets: groups become kinds; the layout's name stands for an empty group.
        folder: the root; made if absent.
        split: train or val.
        wrote: told how many are written so far.

    Raises:
        UsageError: for another split, where the split is there already, or where no triplet can be made.
    """
    if split not in SPLITS:
        raise UsageError(f"BAPPS has no split {split!r}; choose {' or '.join(SPLITS)}")
    target = folder / "2afc" / split
    if target.exists():
        raise UsageError(f"{target} is there already; name another folder")
    part = folder / f".writing-{os.getpid()}"
    part.mkdir(parents=True)
    try:
        names, rejects = _write_all(triplets, part, wrote)
        if not names:
            raise UsageError(f"not one of {len(triplets)} triplets can be made; the first: {rejects[0]}")
        target.parent.mkdir(exist_ok=True)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    sync_directory(target.parent)
    facts = folder / f"triplets-{split}.json"
    told = {"format": FORMAT, "split": split, "triplets": triplets.describe(), "names": names}
    write_atomically(facts, canonical_json(told))
    return Written(folder, facts, len(names), rejects)


def _write_all(
    triplets: LazyTriplets, folder: Path, wrote: Callable[[int], None] | None
) -> tuple[dict[str, str], tuple[RejectedRow, ...]]:
    """(``<kind>/<stem>`` → name of the triplet, rejects)."""
    numbers: Counter[str] = Counter()
    names: dict[str, str] = {}
    rejects: list[RejectedRow] = []
    for outcome in triplets.outcomes():
        if isinstance(outcome, RejectedRow):
            rejects.append(outcome)
            continue
        kind = outcome.group or triplets.layout
        stem = f"{numbers[kind]:06d}"
        _write_one(outcome, folder / kind, stem)
        numbers[kind] += 1
        names[f"{kind}/{stem}"] = outcome.name
        if wrote is not None:
            wrote(len(names))
    return names, tuple(rejects)


def _write_one(triplet: Triplet[Pixels], kind: Path, stem: str) -> None:
    for part, pixels in zip(("ref", "p0", "p1"), triplet.images, strict=True):
        (kind / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(kind / part / f"{stem}.png")
    (kind / "judge").mkdir(exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, np.array([triplet.preference], dtype=np.float32))
    (kind / "judge" / f"{stem}.npy").write_bytes(buffer.getvalue())
