"""The measuring kinds: each one layout to choose constants with and another to report, with many contents."""

from __future__ import annotations

from collections.abc import Iterator

import measuring_drawn as drawn
import measuring_paper as paper
import numpy as np
import numpy.typing as npt
from browser import photograph_html

Pixels = npt.NDArray[np.uint8]
SIZES = {
    (480, 640): paper.UPRIGHT | drawn.UPRIGHT,
    (640, 440): paper.WIDE | drawn.WIDE,
    (300, 600): paper.TALL,
    (400, 400): drawn.SQUARE,
}
KINDS = {kind: drawer for kinds in SIZES.values() for kind, drawer in kinds.items()}
SEED = 18_000
LAYOUTS = {"choose": 1, "report": 2}


def contents(half: str, size: tuple[int, int], count: int) -> Iterator[tuple[str, list[Pixels]]]:
    """Every kind of one size with pictures of one layout; number 0 of each is the one that is stored.

    Args:
        half: ``choose`` or ``report``: another layout, other contents.
        size: a key of SIZES.
        count: of pictures per kind.
    """
    cells = [cell for kind in SIZES[size] for cell in _cells(kind, half, count)]
    pictures = photograph_html(cells, size)
    for place, kind in enumerate(SIZES[size]):
        yield kind, pictures[place * count : (place + 1) * count]


def _cells(kind: str, half: str, count: int) -> list[str]:
    own, drawer = [SEED + LAYOUTS[half], list(KINDS).index(kind)], KINDS[kind]
    return [drawer(np.random.default_rng(own), np.random.default_rng([*own, 7, number])) for number in range(count)]
