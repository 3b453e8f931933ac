"""BAPPS, its JND part: pairs of 64-pixel patches, and whether people could tell them apart (arXiv 1801.03924).

``jnd/val/<kind>/{p0,p1}/NNNNNN.png`` and ``same/NNNNNN.npy``: one number in [0, 1], the share of people who took the
two for the same image. The three files of a pair have one stem. Kinds are ``traditional`` and ``cnn``; any name does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from .rows import RowSet
from .shares import read_share
from .stems import kinds_below, read_kinds

LAYOUT = "bapps-jnd"
SPLITS = ("val",)
PARTS = ("p0", "p1", "same")


@dataclass(frozen=True, slots=True)
class JndPair:
    """Two images, and how many people saw no difference.

    Attributes:
        name: ``<kind>/<stem>``, unique in the split.
        first: image file.
        second: image file.
        same: share of people who took them for the same image, in [0, 1].
        group: the kind of distortion.
    """

    name: str
    first: Path
    second: Path
    same: float
    group: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.same <= 1.0:
            raise ValueError(f"a judgement is a share between 0 and 1, got {self.same!r}")

    def facts(self, folder: Path) -> list[Any]:
        """What a digest is taken over."""
        return [self.name, *(path.relative_to(folder).as_posix() for path in (self.first, self.second)), self.same]


JndSet = RowSet[JndPair]
"""One split of pairs, with accounts."""


def is_jnd(folder: Path) -> bool:
    """Whether a folder has this layout: below ``jnd`` (or itself), ``val`` has a kind with all three parts."""
    return any(kinds_below(_root(folder) / split, PARTS) for split in SPLITS)


def load_jnd(folder: Path, *, split: str = "val", kinds: tuple[str, ...] = ()) -> JndSet:
    """Read one split. Images are looked for and not opened; judgements are read, never unpickled.

    Args:
        folder: holds ``jnd``, or is it.
        split: val.
        kinds: only these kinds of distortion; all of them where empty.

    Raises:
        UsageError: for an unknown split or kind, or a folder of another layout.
    """
    if split not in SPLITS:
        raise UsageError(f"BAPPS-JND has no split {split!r}; choose {', '.join(SPLITS)}")
    folder = folder.resolve()
    place = _root(folder) / split
    if not kinds_below(place, PARTS):
        raise UsageError(f"{folder} has no jnd/{split}/<kind> with {', '.join(PARTS)}: it is no BAPPS-JND data set")
    kept, skipped, rejects = read_kinds(folder, place, PARTS, kinds, partial(_pair, folder))
    return JndSet(LAYOUT, folder, split, kept, skipped, rejects)


def _root(folder: Path) -> Path:
    return folder / "jnd" if (folder / "jnd").is_dir() else folder


def _pair(folder: Path, name: str, kind: str, files: Mapping[str, Path]) -> JndPair:
    same = read_share(folder, files["same"])
    return JndPair(name, files["p0"], files["p1"], same, group=kind)
