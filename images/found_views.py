"""Views of a query that a companion may look at: those of ``images.query_views``, and windows that are found.

| step | meaning |
|---|---|
| `found-trim` | without uniform edges |
| `found-panel-N` | the Nth clearest rectangle with straight edges on all sides |

Where nothing is found, the view is the query itself. What is found depends on the pixels, so that such a view proves
nothing (``images.found_windows``): no certified channel may have one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .found_windows import panels, trimmed
from .query_views import QueryView, parse_query_view

if TYPE_CHECKING:
    from torch import Tensor

    from .found_windows import Float32, Window
    from .query_views import Pick

    Windows = dict[str, Window | None]

MOST_PANELS = 3
TRIM, PANEL = "found-trim", "found-panel-"
_PANELS = tuple(f"{PANEL}{number}" for number in range(1, MOST_PANELS + 1))


def placed(views: Sequence[QueryView], pixels: npt.NDArray[np.uint8] | npt.NDArray[np.float64]) -> Iterator[QueryView]:
    """The views of one image, with windows where they are found; without those for which nothing is.

    Args:
        views: of :func:`parse_look`, in any order.
        pixels: (H, W, 3) uint8 levels, or float64 in [0, 1].
    """
    found: Windows = {}
    if any(view.found for view in views):
        grey = pixels.mean(axis=2, dtype=np.float32) * np.float32(1.0 if pixels.dtype == np.uint8 else 255.0)
        found = _windows(grey)
    for view in views:
        window = found.get(step_found(view))
        if not view.found:
            yield view
        elif window is not None:
            yield put(view, window)


def windows_in(x: Tensor) -> Windows:
    """What is found in one image: (1, 3, H, W) of levels, or in [0, 1]."""
    return _windows(_grey(x))


def _windows(grey: Float32) -> Windows:
    return {TRIM: trimmed(grey)} | dict(zip_longest(_PANELS, panels(grey, MOST_PANELS)))


def step_found(view: QueryView) -> str:
    """The step of a view that finds its window; its first."""
    return view.name.partition("+")[0]


def put(view: QueryView, window: Window | None) -> QueryView:
    """A view that looks for its window, put where the window was found; on the whole image where none was."""
    pick, rest = partial(_within, window=window), view.name.partition("+")[2]
    return QueryView(view.name, partial(_then, find=pick, rest=parse_query_view(rest).pick) if rest else pick, True)


def parse_look(name: str) -> QueryView:
    """The view that a name describes.

    Raises:
        UsageError: for a step that there is not.
    """
    first, _, rest = name.partition("+")
    if first != TRIM and first not in _PANELS:
        return parse_query_view(name)
    find: Pick = _trim if first == TRIM else partial(_panel, number=_PANELS.index(first))
    return QueryView(name, find if not rest else partial(_then, find=find, rest=parse_query_view(rest).pick), True)


def _then(x: Tensor, *, find: Pick, rest: Pick) -> Tensor:
    return rest(find(x))


def _trim(x: Tensor) -> Tensor:
    return _within(x, trimmed(_grey(x)))


def _panel(x: Tensor, *, number: int) -> Tensor:
    found = panels(_grey(x), MOST_PANELS)
    return _within(x, found[number] if number < len(found) else None)


def _within(x: Tensor, window: Window | None) -> Tensor:
    return x if window is None else x[(..., *window)]


def _grey(x: Tensor) -> Float32:
    """(H, W) levels of one image of levels, or in [0, 1]."""
    assert len(x) == 1, "windows are found in one image at a time"
    grey = x.detach()[0].float().mean(0).cpu().numpy()
    return grey * np.float32(255.0 if x.is_floating_point() else 1.0)
