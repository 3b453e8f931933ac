"""From a folder to its 2AFC loader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..core.errors import UsageError
from . import bapps, clic, nights, pieapp
from .triplets import TripletSet, only_unanimous

_IS: dict[str, Callable[[Path], bool]] = {
    nights.LAYOUT: nights.is_nights,
    bapps.LAYOUT: bapps.is_bapps,
    pieapp.LAYOUT: pieapp.is_pieapp,
    clic.LAYOUT: clic.is_clic,
}
LAYOUTS = tuple(_IS)
"""Every 2AFC layout that can be read."""
SPLITS: dict[str, tuple[str, ...]] = {
    nights.LAYOUT: nights.SPLITS,
    bapps.LAYOUT: bapps.SPLITS,
    pieapp.LAYOUT: pieapp.SPLITS,
    clic.LAYOUT: clic.SPLITS,
}
EVALUATION_SPLIT = {nights.LAYOUT: "test", bapps.LAYOUT: "val", pieapp.LAYOUT: "test", clic.LAYOUT: "val"}
"""What the papers evaluate on."""


def identify(folder: Path) -> str:
    """Which layout a folder has, told by what lies in it and not by its name.

    Raises:
        UsageError: where it has none, or is no folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give the root of a 2AFC data set")
    found = [name for name, test in _IS.items() if test(folder)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{folder} looks like {' and '.join(found)}; name the layout")
    raise UsageError(
        f"{folder} is no 2AFC data set: NIGHTS has a data.csv with {', '.join(nights.COLUMNS)}; "
        "BAPPS has 2afc/{train,val}/<kind>/{ref,p0,p1,judge}; "
        "PieAPP has labels/test/ref_N_pairwise_labels.csv; "
        f"CLIC 2021 has {' or '.join(clic.TABLES)} with four columns and no header"
    )


def load_triplets(
    folder: Path,
    *,
    split: str = "",
    layout: str = "auto",
    min_votes: int = nights.MIN_VOTES,
    kinds: tuple[str, ...] = (),
    clear: float = pieapp.CLEAR,
    unanimous: bool = False,
) -> TripletSet:
    """Read one split of a 2AFC data set.

    Args:
        folder: its root.
        split: one of the layout's :data:`SPLITS`; where empty, the one the papers evaluate on.
        layout: one of LAYOUTS, or auto.
        min_votes: NIGHTS only: rows with fewer judges are skipped.
        kinds: BAPPS only: the kinds of distortion to read; all where empty.
        clear: PieAPP only: pairs are kept where more than this share of people agree.
        unanimous: skip triplets that not all people judged alike.

    Raises:
        UsageError: for a folder, layout, split or kind that is not there.
    """
    name = identify(folder) if layout == "auto" else layout
    if name not in _IS:
        raise UsageError(f"unknown layout {name!r}; choose auto, {', '.join(LAYOUTS)}")
    split = split or EVALUATION_SPLIT[name]
    loaders: dict[str, Callable[[], TripletSet]] = {
        nights.LAYOUT: lambda: nights.load_nights(folder, split=split, min_votes=min_votes),
        bapps.LAYOUT: lambda: bapps.load_bapps(folder, split=split, kinds=kinds),
        pieapp.LAYOUT: lambda: pieapp.load_pieapp(folder, split=split, clear=clear),
        clic.LAYOUT: lambda: clic.load_clic(folder, split=split),
    }
    data = loaders[name]()
    return only_unanimous(data) if unanimous else data
