"""BAPPS, its 2AFC part: 64-pixel patches, two distortions each (Zhang et al., LPIPS, arXiv 1801.03924).

``2afc/{train,val}/<kind>/{ref,p0,p1}/NNNNNN.png`` and ``judge/NNNNNN.npy``: one number in [0, 1], the share of people
who found ``p1`` nearer to ``ref``. The four files of a triplet have one stem. Kinds are ``traditional``, ``cnn`` and
``mix`` in train, six others in val; any name will do. How many people judged is not stored.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..core.errors import UsageError
from .triplets import RejectedRow, RowError, Triplet, TripletSet

LAYOUT = "bapps"
SPLITS = ("train", "val")
PARTS = ("ref", "p0", "p1", "judge")
_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_LARGEST_JUDGE = 4096
"""Bytes; a judgement is one number behind a header of 128."""


def is_bapps(folder: Path) -> bool:
    """Whether a folder has this layout: below ``2afc`` (or itself), some split has a kind with all four parts."""
    root = _root(folder)
    return any(next(_kinds(root / split), None) is not None for split in SPLITS)


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
    found = {path.name: path for path in _kinds(_root(folder) / split)}
    if not found:
        raise UsageError(f"{folder} has no 2afc/{split}/<kind> with {', '.join(PARTS)}: it is no BAPPS data set")
    unknown = [kind for kind in kinds if kind not in found]
    if unknown:
        raise UsageError(f"BAPPS {split} has no kind {', '.join(unknown)}; there are: {', '.join(found)}")
    kept: list[Triplet] = []
    rejects: list[RejectedRow] = []
    skipped = 0
    for kind, path in found.items():
        files = _by_stem(path)
        if kinds and kind not in kinds:
            skipped += len(files)
            continue
        for stem in sorted(files):
            try:
                kept.append(_triplet(f"{kind}/{stem}", kind, files[stem]))
            except RowError as error:
                rejects.append(error.at(f"{kind}/{stem}"))
    left_out = {"other-kind": skipped} if skipped else {}
    return TripletSet(LAYOUT, folder, split, tuple(kept), left_out, tuple(rejects))


def _root(folder: Path) -> Path:
    return folder / "2afc" if (folder / "2afc").is_dir() else folder


def _kinds(split: Path) -> Iterator[Path]:
    if split.is_dir():
        yield from (p for p in sorted(split.iterdir()) if all((p / part).is_dir() for part in PARTS))


def _by_stem(kind: Path) -> dict[str, dict[str, list[Path]]]:
    """Stem → part → files of that stem, over all four folders: a file without its partners is seen too."""
    table: dict[str, dict[str, list[Path]]] = {}
    for part in PARTS:
        wanted = (".npy",) if part == "judge" else _IMAGES
        for path in sorted((kind / part).iterdir()):
            if path.suffix.lower() in wanted and path.is_file() and not path.name.startswith("."):
                table.setdefault(path.stem, {}).setdefault(part, []).append(path)
    return table


def _triplet(name: str, kind: str, parts: dict[str, list[Path]]) -> Triplet:
    missing = [part for part in PARTS if part not in parts]
    if missing:
        raise RowError("missing-file", f"no file of this stem in {', '.join(missing)}")
    double = [part for part in PARTS if len(parts[part]) > 1]
    if double:
        raise RowError("ambiguous", f"more than one file of this stem in {', '.join(double)}")
    (reference,), (left,), (right,), (judge,) = (parts[part] for part in PARTS)
    return Triplet(name, reference, left, right, _judgement(judge), group=kind)


def _judgement(path: Path) -> float:
    try:
        if path.stat().st_size > _LARGEST_JUDGE:
            raise RowError("bad-judgement", f"{path.name} has over {_LARGEST_JUDGE} bytes; a judgement is one number")
        # read_array and not np.load: that would also open archives; neither may unpickle.
        value = np.lib.format.read_array(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise RowError("bad-judgement", f"{path.name} is no plain .npy array: {error}") from None
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise RowError("bad-judgement", f"{path.name} holds {value.dtype} {value.shape}, not one number")
    share = float(value.reshape(-1)[0])
    if not (math.isfinite(share) and 0.0 <= share <= 1.0):
        raise RowError("bad-judgement", f"{path.name} says {share}, not a share between 0 and 1")
    return share
