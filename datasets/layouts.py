"""From a folder to its 2AFC loader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..core.errors import UsageError
from . import bapps, nights
from .triplets import TripletSet

_IS: dict[str, Callable[[Path], bool]] = {nights.LAYOUT: nights.is_nights, bapps.LAYOUT: bapps.is_bapps}
LAYOUTS = tuple(_IS)
"""Every 2AFC layout that can be read."""


def identify(folder: Path) -> str:
    """Which layout a folder has, told by what lies in it and not by its name.

    Raises:
        UsageError: where it has none, or is no folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give the root of a NIGHTS or BAPPS data set")
    found = [name for name, test in _IS.items() if test(folder)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{folder} looks like {' and '.join(found)}; name the layout")
    raise UsageError(
        f"{folder} is no 2AFC data set: NIGHTS has a data.csv with {', '.join(nights.COLUMNS)}; "
        "BAPPS has 2afc/{train,val}/<kind>/{ref,p0,p1,judge}"
    )


def load_triplets(
    folder: Path,
    *,
    split: str,
    layout: str = "auto",
    min_votes: int = nights.MIN_VOTES,
    kinds: tuple[str, ...] = (),
) -> TripletSet:
    """Read one split of a 2AFC data set.

    Args:
        folder: its root.
        split: train, val; NIGHTS also has test, test_imagenet and test_no_imagenet.
        layout: one of LAYOUTS, or auto.
        min_votes: NIGHTS only: rows with fewer judges are skipped.
        kinds: BAPPS only: the kinds of distortion to read; all where empty.

    Raises:
        UsageError: for a folder, layout, split or kind that is not there.
    """
    name = identify(folder) if layout == "auto" else layout
    if name == nights.LAYOUT:
        return nights.load_nights(folder, split=split, min_votes=min_votes)
    if name == bapps.LAYOUT:
        return bapps.load_bapps(folder, split=split, kinds=kinds)
    raise UsageError(f"unknown layout {name!r}; choose auto, {', '.join(LAYOUTS)}")
