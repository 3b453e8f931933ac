"""What a companion looks at: views of a query, and which stored views each of them meets.

A companion proves nothing, so its windows may be found in the pixels (``images.found_windows``). False matches grow
with the number of views as they do for certified channels, so each class accepts within a *part* of a row's reach, and
calibration sets the offset of all of them together (``images.view_pairs``). What each class brings was measured on
pictures apart: docs/benchmarks/companions.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .light_views import LIGHT
from .query_views import ORIGINAL
from .view_pairs import PairRule

_WHOLE = ("original",)
CROPS = tuple(LIGHT.split()[1:8])
"""Crops of an item that are stored with ``light``, where a companion sees them too."""


@dataclass(frozen=True, slots=True)
class Look:
    """Views that are compared for one reason.

    Attributes:
        name: of the class; views: of the query; stored: views of an item.
        part: of its reach that a row accepts within; reason: why these fit.
    """

    name: str
    views: tuple[str, ...]
    stored: tuple[str, ...]
    part: float
    reason: str


LOOKS = (
    Look("whole", _WHOLE, _WHOLE, 1.0, "both as they are"),
    Look("uncovered", ("found-trim", "found-panel-1"), _WHOLE, 1.0, "a frame, a letterbox, a window, a caption"),
    Look("panels", ("found-panel-2", "found-panel-3"), _WHOLE, 0.85, "other rectangles: a picture among others"),
    Look("mirror", ("flip", "found-trim+flip", "found-panel-1+flip"), _WHOLE, 0.85, "mirrored, also in a frame"),
    Look(
        *("quarters", ("upside", "quarter-left", "quarter-right", "half-turn"), _WHOLE, 0.85),
        "the query stands on its side or on its head",
    ),
    Look("inside", ("crop-80x80-at-50x50",), _WHOLE, 0.9, "the item lies in the middle of the query"),
    Look(
        *("tiles", tuple(f"crop-50x50-at-{d}x{a}" for d in (0, 100) for a in (0, 100)), _WHOLE, 0.85),
        "the item is one of four",
    ),
    Look("crops", _WHOLE, CROPS, 0.8, "the query is a window of the item"),
    Look("uncovered crops", ("found-panel-1",), CROPS, 0.85, "a window of the item, inside something else"),
)
"""17 views of a query; with crops of items, 33 pairs."""
MEASURED_FOR = "efficientnet-lite0"
"""The companion whose false matches set the parts; others look so where a user asks for it."""
_LOOKED_AT = ("none", "light")
"""Sets of stored views that a companion is asked so; beside others it compares the query as it is with every row."""


def looks_for(views: str, stored: Sequence[str]) -> tuple[PairRule, ...]:
    """The rules of a companion.

    Args:
        views: name of the set of stored views.
        stored: their names.
    """
    if views not in _LOOKED_AT:
        return ()
    return tuple(
        PairRule(one.name, view, held, parts=(one.part,), least=(0.0,))
        for one in LOOKS
        for view in one.views
        if (held := tuple(name for name in one.stored if name in stored))
    )


def seen_by(looks: Sequence[PairRule], stored: Sequence[str]) -> int:
    """How many of the stored views, from the first, a companion must see: the others stand for no test of it."""
    asked = {name for rule in looks for name in rule.gallery} or {ORIGINAL.name}
    return 1 + max(place for place, name in enumerate(stored) if name in asked)
