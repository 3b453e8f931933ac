"""BAPPS, its 2AFC part: 64-pixel patches, two distortions each (Zhang et al., LPIPS, arXiv 1801.03924).

``2afc/{train,val}/<kind>/{ref,p0,p1}/NNNNNN.png`` and ``judge/NNNNNN.npy``: one number in [0, 1], the share of people
who found ``p1`` nearer to ``ref``. The four files of a triplet have one stem. Kinds are ``traditional``, ``cnn`` and
``mix`` in train, six others in val; any name will do. How many people judged is not stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..core.errors import UsageError
from .shares import read_share
from .stems import kinds_below, read_kinds
from .triplets import Triplet, TripletSet

LAYOUT = "bapps"
SPLITS = ("train", "val")
PARTS = ("ref", "p0", "p1", "judge")


def is_bapps(folder: Path) -> bool:
    """Whether a folder has this layout: below ``2afc`` (or itself), some split has a kind with all four parts."""
    return any(kinds_below(_root(folder) / split, PARTS) for split in SPLITS)


def load_bapps(folder: Path, *, split: str, kinds: tuple[str, ...] = ()) -> TripletSet:
    """Read one split. Images are looked for and not opened; judgements are read, never unpickled.

    Args:
        folder: holds ``2afc``, or is it.
        split: train or val.
        kinds: only these kinds of distortion; all of them where empty.

    Raises:
        UsageError: for an unknown split or kind, or a folder of another layout.
    """
    if split not in SPLITS:
        raise UsageError(f"BAPPS has no split {split!r}; choose {' or '.join(SPLITS)}")
    folder = folder.resolve()
    place = _root(folder) / split
    if not kinds_below(place, PARTS):
        raise UsageError(f"{folder} has no 2afc/{split}/<kind> with {', '.join(PARTS)}: it is no BAPPS data set")
    kept, skipped, rejects = read_kinds(folder, place, PARTS, kinds, partial(_triplet, folder))
    return TripletSet(LAYOUT, folder, split, kept, skipped, rejects)


def _root(folder: Path) -> Path:
    return folder / "2afc" if (folder / "2afc").is_dir() else folder


def _triplet(folder: Path, name: str, kind: str, files: Mapping[str, Path]) -> Triplet[Path]:
    share = read_share(folder, files["judge"])
    return Triplet(name, files["ref"], files["p0"], files["p1"], share, group=kind)
