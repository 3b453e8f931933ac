"""Blocks of rows whose gaps are measured at a time, and what a block learns.

Blocks hold whole items, since what is set aside is set aside for all of an item's rows, in all channels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.memory import give_back
from ..core.parallel import in_order, sharing_cores
from ..core.progress import Progress, begin
from . import neighbours
from .gaps import KIND, Gaps
from .items import Keys
from .neighbours import rounded_down, torch_is_here
from .reference import Reference
from .vectors import Float32, Ids, RowStore

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """One channel: its rows, its reference set, and what is known so far, which a scan changes in place."""

    store: RowStore
    reference: Reference
    known: Gaps

    @property
    def certain(self) -> float:
        """See :class:`reference.Reference`."""
        return self.reference.certain


@dataclass(frozen=True)
class Block:
    """Rows of some items, item after item.

    Attributes:
        rows: global numbers.
        starts: (items,) where each item's rows begin.
        keys: (items,) their names, ascending.
    """

    rows: Ids
    starts: Ids
    keys: Keys

    def of_rows(self, of_items: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(rows, …) of (items, …): what holds for an item holds for its rows."""
        return np.repeat(of_items, np.diff(np.append(self.starts, len(self.rows))), axis=0)

    @property
    def items(self) -> Ids:
        """(rows,) the place of each row's item in ``keys``."""
        return self.of_rows(np.arange(len(self.keys)))


def blocks(rows: Ids, keys: Keys, others: int) -> Iterator[Block]:
    """Cut rows into blocks of whole items, in the order of their names.

    Args:
        rows: (m,) global numbers.
        keys: (m,) the name of each row's item.
        others: how many rows each will be compared with.
    """
    order = np.lexsort((rows, keys))
    rows, keys = rows[order], keys[order]
    names, starts = np.unique(keys, return_index=True)
    most, first = max(1, min(neighbours.BLOCK // max(1, others), _ROWS)), 0
    ends = np.append(starts[1:], len(rows))
    while first < len(names):
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + most, "right")))
        cut = slice(int(starts[first]), int(ends[last - 1]))
        yield Block(rows[cut], starts[first:last] - starts[first], names[first:last])
        first = last


_ROWS = 2**13
"""Rows of a block, which are copied, however few they are compared with."""


def measure_blocks(work: Callable[[Block], Block], wanted: Iterator[Block], progress: Progress) -> None:
    """Measure some blocks at a time: each writes of its own rows alone. What that leaves free is given back."""
    workers = min(_MOST_CORES, os.cpu_count() or 1) if torch_is_here() else 1  # numpy's products are of all cores
    with (
        sharing_cores(workers) as first,
        closing(in_order(work, wanted, workers=workers, ahead=2, first=first)) as measured,
    ):
        for block in measured:
            progress.advance(len(block.keys))
    give_back()


_MOST_CORES = 8
"""Blocks at a time, whose products have to be held."""


def begin_items(progress: Progress, title: str, keys: Keys) -> None:
    """Tell how many items there are; what was done before has left free memory, which is given back."""
    give_back()
    if len(keys):  # of nothing there is nothing to say
        begin(progress, title, len(np.unique(keys)))


def least_of(rows: int, left: Ids, right: Ids, far: npt.NDArray[np.float64]) -> tuple[Float32, Ids]:
    """Per row the least distance, rounded down, and of equals the first of the others; inf where there is none."""
    single = rounded_down(far)
    order = np.lexsort((right, single, left))
    found, first = np.unique(left[order], return_index=True)
    best, place = np.full(rows, np.inf, dtype=np.float32), np.zeros(rows, dtype=np.int64)
    best[found], place[found] = single[order][first], right[order][first]
    return best, place


def lower(side: Side, rows: Ids, far: Float32, limit: Keys) -> None:
    """Of equally near things a reference vector limits before an item, and of items the one with the first name."""
    gap, held = side.known.gap[rows], side.known.limit[rows]
    earlier = (held != b"") & (np.char.startswith(held, KIND.encode()) | (held <= limit))
    nearer = (far < gap) | ((far == gap) & (limit != b"") & ~earlier & (held != b""))
    side.known.gap[rows[nearer]], side.known.limit[rows[nearer]] = far[nearer], limit[nearer]
