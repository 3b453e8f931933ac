"""Views of a query: linear maps of its pixels whose window depends on the query's size alone (THEORY T10).

A view is named by its steps, joined by ``+`` and done from left to right:

| step | meaning |
|---|---|
| `original` | the query itself |
| `flip` | left to right |
| `upside` | top to bottom |
| `quarter-left`, `quarter-right`, `half-turn` | turned by 90, 90 and 180 degrees |
| `crop-HxW-at-DxA` | the window of ``images.views`` of that name: the same one of an image of the same size |

All of them pick some of the query's values and change none. So each is linear, its norm is at most 1, it rounds
nothing, and what is proved of it is ρ of its *own* size, which is larger than that of the whole query. Nothing here
looks at the pixels: a window found from them would move with what an adversary does, and prove nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..core.errors import UsageError
from .views import window

if TYPE_CHECKING:  # to read what a snapshot says of views needs no torch
    from torch import Tensor

    Pick = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class QueryView:
    """A view of a query.

    Attributes:
        name: as in answers, records and snapshots.
        pick: (b, 3, H, W) → (b, 3, h, w), which of the values, and where.
        found: whether the window is found in the pixels, of one image at a time (``images.found_views``): such a view
            is no linear map, and proves nothing.
    """

    name: str
    pick: Pick
    found: bool = False


def parse_query_view(name: str) -> QueryView:
    """The view of a query that a name describes.

    Raises:
        UsageError: for a step that is none of those above.
    """
    if name == "original":
        return ORIGINAL
    steps = tuple(_step(text) for text in name.split("+"))
    return QueryView(name, steps[0] if len(steps) == 1 else partial(_in_turn, steps=steps))


def _original(x: Tensor) -> Tensor:
    return x


def _in_turn(x: Tensor, *, steps: tuple[Pick, ...]) -> Tensor:
    for step in steps:
        x = step(x)
    return x


def _cut(x: Tensor, *, keep: tuple[float, float], place: tuple[float, float]) -> Tensor:
    rows, columns = window((x.shape[-2], x.shape[-1]), keep=keep, place=place)
    return x[..., rows, columns]


def _crop(height: str, width: str, down: str, across: str) -> Pick:
    return partial(_cut, keep=(int(height) / 100, int(width) / 100), place=(int(down) / 100, int(across) / 100))


def _flip(x: Tensor) -> Tensor:
    return x.flip(-1)


def _upside(x: Tensor) -> Tensor:
    return x.flip(-2)


def _turned(x: Tensor, *, quarters: int) -> Tensor:
    return x.rot90(quarters, (-2, -1))


_PERCENT, _KEPT = r"(\d{1,2}|100)", r"([1-9]\d?|100)"
_STEPS: dict[str, Callable[..., Pick]] = {
    "original": lambda: _original,
    "flip": lambda: _flip,
    "upside": lambda: _upside,
    "quarter-left": lambda: partial(_turned, quarters=1),
    "quarter-right": lambda: partial(_turned, quarters=-1),
    "half-turn": lambda: partial(_turned, quarters=2),
    f"crop-{_KEPT}x{_KEPT}-at-{_PERCENT}x{_PERCENT}": _crop,
}


def _step(text: str) -> Pick:
    for pattern, build in _STEPS.items():
        found = re.fullmatch(pattern, text)
        if found:
            return build(*found.groups())
    raise UsageError(f"{text!r} is no step of a query's view; see images/query_views.py for those there are")


ORIGINAL = QueryView("original", _original)
"""The query itself."""
