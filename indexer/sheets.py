"""Sheets: rows of pages, forms, screens and the like, whose gaps count as small.

Two contents of one layout come nearer to each other than a reference set can tell that lacks the layout. But what kind
a picture is of, a set tells nearly without fail. So a row is a *sheet* where in a channel that *discerns* kinds the
nearest vector of the set is of one that comes in layouts (``Reference.open`` names the others); in every channel its
reference gap then counts as no larger than ``Reference.sheet``. Where no channel discerns, each has a say.
Only sets that state such a number take part: those of packaged models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .gaps import KIND, Gaps
from .items import Keys
from .neighbours import rounded_down
from .reference import Reference
from .vectors import Ids


def sheets(references: Sequence[Reference], nearest: Sequence[Keys]) -> npt.NDArray[np.bool_]:
    """Which rows are sheets.

    Args:
        references: of the channels that state what a sheet is, one at least.
        nearest: (m,) for each of them, ``kind:`` and the kind of each row's nearest vector; empty where there is none.
    """
    telling = [pair for pair in zip(references, nearest, strict=True) if pair[0].discerns]
    of_layouts = [_comes_in_layouts(*pair) for pair in telling or zip(references, nearest, strict=True)]
    return np.logical_or.reduce(of_layouts)


def _comes_in_layouts(reference: Reference, kinds: Keys) -> npt.NDArray[np.bool_]:
    others = np.array([b"", *(f"{KIND}{name}".encode() for name in reference.open)], dtype="S64")
    return ~np.isin(kinds, others)


def cut_sheets(references: Sequence[Reference], known: Sequence[Gaps], nearest: Sequence[Keys], rows: Ids) -> None:
    """Lower the gaps of rows that are sheets, in place.

    Args:
        references: one for each channel.
        known: their gaps so far, reference gaps among them.
        nearest: (m,) per channel, as for :func:`sheets`.
        rows: (m,) global numbers.
    """
    stated = [channel for channel, one in enumerate(references) if one.sheet is not None]
    if not stated:
        return
    found = sheets([references[channel] for channel in stated], [nearest[channel] for channel in stated])
    for channel in stated:
        most = rounded_down(np.array([references[channel].sheet]))[0]
        wide = rows[found & (known[channel].reference[rows] > most)]
        known[channel].reference[wide] = known[channel].gap[wide] = most
        known[channel].limit[rows[found]] = nearest[channel][found]
