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
KINDS = {kind: (drawer, size) for size, kinds in SIZES.items() for kind, drawer in kinds.items()}
SEED = 18_000
LAYOUTS = {"choose": 1, "report": 2}


def contents(kind: str, half: str, numbers: range) -> Iterator[Pixels]:
    """Pictures of one layout of a kind with other contents; number 0 is the one that is stored.

    Args:
        kind: a key of KINDS.
        half: ``choose`` or ``report``: another layout, other contents.
        numbers: which.
    """
    drawer, size = KINDS[kind]
    own = [SEED + LAYOUTS[half], list(KINDS).index(kind)]
    cells = [drawer(np.random.default_rng(own), np.random.default_rng([*own, 7, number])) for number in numbers]
    yield from photograph_html(cells, size)
