"""Made kinds: pictures that are no photographs, drawn by Pillow alone, the same on every call.

How near unrelated pictures of a kind come to one another differs from kind to kind: pages lie close together,
photographs far apart. An index that holds one page among photographs cannot know that; so the gap of a row is taken to
these pictures too (``indexer.reference``). They are small, a few thousandths of a second each, and stand for layouts,
not for contents: no two share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from zlib import crc32

import numpy as np
import numpy.typing as npt

from . import kinds_charts, kinds_drawn, kinds_paper, kinds_screen
from .kinds_sheet import Sheet

Pixels = npt.NDArray[np.uint8]

KINDS: dict[str, Callable[[np.random.Generator], Sheet]] = {
    "page": kinds_paper.page,
    "form": kinds_paper.form,
    "table": kinds_paper.table,
    "receipt": kinds_paper.receipt,
    "slide": kinds_paper.slide,
    "chart": kinds_charts.chart,
    "map": kinds_charts.street_map,
    "label": kinds_paper.label,
    "blank sheet": kinds_paper.blank,
    "web page": kinds_screen.web,
    "app screen": kinds_screen.app,
    "chat": kinds_screen.chat,
    "code": kinds_screen.code,
    "desktop": kinds_screen.desktop,
    "icon": kinds_drawn.icon,
    "line art": kinds_drawn.line_art,
    "comic": kinds_drawn.comic,
    "pattern": kinds_drawn.pattern,
    "gradient": kinds_drawn.gradient,
    "sky": kinds_drawn.sky,
    "night": kinds_drawn.night,
    "product": kinds_drawn.product,
    "dense page": kinds_paper.dense_page,
    "blots": kinds_drawn.blots,
}
"""How each kind is drawn."""

OF_LARGE_SETS = ("dense page", "blots")
"""Kinds for sets that hold photographs and hundreds of each kind: pages lie closest together, and blots, which stand
for photographs, tell what is no page."""


def draw_kind(kind: str, number: int) -> Pixels:
    """One picture of a kind.

    Args:
        kind: a key of :data:`KINDS`.
        number: which; another number is another layout.

    Returns:
        (H, W, 3) uint8, 56 to 160 pixels a side.
    """
    return KINDS[kind](np.random.default_rng([crc32(kind.encode()), number])).pixels()


def made_kinds(count: int, *, first: int = 0) -> Iterator[tuple[str, Pixels]]:
    """So many pictures, the kinds taking turns, without those of large sets.

    Args:
        count: how many.
        first: number of the first of each kind.
    """
    names = [kind for kind in KINDS if kind not in OF_LARGE_SETS]
    for place in range(count):
        kind = names[place % len(names)]
        yield kind, draw_kind(kind, first + place // len(names))
