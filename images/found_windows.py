"""Windows found in what a picture shows: what is left without a uniform edge, and panels with straight edges.

They move with every change of the pixels, so nothing can be proved of what is seen in them: only a companion, which
proves nothing, may look there (THEORY T11). Frames, letterboxes, windows of programs, pictures in pictures, collages.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Window = tuple[slice, slice]
"""Rows and columns."""

_LOOK = 192
"""Longer side of what is looked at, in pixels: finer edges are found on every nth pixel."""
_EVEN = 10.0
"""Levels within which an edge counts as one colour: more than JPEG adds, less than a picture has."""
_STRAY = 0.03
"""Part of an edge's pixels, at either end of their levels, that may be of other colours."""
_STEP = 12.0
"""Levels from one pixel to the next that make an edge."""
_LINES = 9
"""Candidates for edges of panels, each way."""
_LEAST = 0.15
"""Least part of a side that a window takes."""


def trimmed(grey: Float32) -> Window | None:
    """Without the uniform edges; None where there are none, or nothing else.

    Args:
        grey: (H, W) levels.
    """
    rows, columns = slice(0, grey.shape[0]), slice(0, grey.shape[1])
    for _ in range(2):  # a frame hides from rows what it does to columns until those are gone
        rows = _inner(grey[:, columns], rows)
        columns = _inner(grey[rows].T, columns)
    whole = (rows.stop - rows.start, columns.stop - columns.start) == grey.shape
    small = _part(rows, grey.shape[0]) < _LEAST or _part(columns, grey.shape[1]) < _LEAST
    return None if whole or small else (rows, columns)


def _inner(lines: Float32, within: slice) -> slice:
    """The lines of a slice without those at both ends that are of one colour."""
    part = lines[within]
    part = part[:, :: max(1, part.shape[1] // _LOOK)]
    ranked, count = np.sort(part, axis=1), part.shape[1]
    few = round(_STRAY * (count - 1))
    even, colour = ranked[:, count - 1 - few] - ranked[:, few] <= _EVEN, ranked[:, count // 2]
    start, stop = 0, len(part)
    while start < stop and even[start] and abs(colour[start] - colour[0]) <= _EVEN:
        start += 1
    while stop > start and even[stop - 1] and abs(colour[stop - 1] - colour[-1]) <= _EVEN:
        stop -= 1
    return slice(within.start + start, within.start + stop) if stop > start else within


def panels(grey: Float32, count: int) -> list[Window]:
    """Rectangles with straight edges on all sides that are not the picture's own, the clearest first.

    Args:
        grey: (H, W) levels.
        count: at most so many, none of which is almost another.
    """
    step = max(1, -(-max(grey.shape) // _LOOK))
    seen = grey[::step, ::step]
    across = _edges(seen, axis=1)  # between columns: h w+1
    down = _edges(seen, axis=0)  # between rows: h+1 w
    found: list[tuple[int, int, int, int]] = []
    for one in _ranked(across, down):
        if all(_overlap(one, other) < 0.8 for other in found):
            found.append(one)
        if len(found) == count:
            break
    return [_window(one, step, grey.shape) for one in found]


def _edges(seen: Float32, *, axis: int) -> npt.NDArray[np.int32]:
    """How many of the first pixels of each line between neighbours are edges: summed along the line, from 0."""
    steps = np.abs(np.diff(seen, axis=axis)) > _STEP
    ends = [(1, 1) if side == axis else (0, 0) for side in range(2)]
    marked = np.pad(steps, ends)  # the picture's own ends are no edges
    sums = np.cumsum(marked, axis=1 - axis, dtype=np.int32)
    return np.pad(sums, [(1, 0) if side != axis else (0, 0) for side in range(2)])


def _lines(sums: npt.NDArray[np.int32]) -> list[int]:
    """Places with the longest edges, no two of them side by side, and both ends."""
    totals = sums[-1].astype(np.int64)
    chosen: list[int] = []
    for place in np.argsort(-totals, kind="stable").tolist():
        if totals[place] == 0 or len(chosen) == _LINES:
            break
        if all(abs(place - other) > 2 for other in chosen):
            chosen.append(place)
    return sorted({0, len(totals) - 1, *chosen})


def _ranked(across: npt.NDArray[np.int32], down: npt.NDArray[np.int32]) -> Iterator[tuple[int, int, int, int]]:
    """Rectangles (top, bottom, left, right), the best first: by the least covered of their sides."""
    height, width = across.shape[0] - 1, down.shape[1] - 1
    columns = [p for p in combinations(_lines(across), 2) if p[1] - p[0] >= _LEAST * width]
    rows = [p for p in combinations(_lines(down.T), 2) if p[1] - p[0] >= _LEAST * height]
    every = np.array([(*r, *c) for r in rows for c in columns], dtype=np.int64).reshape(-1, 4)
    top, bottom, left, right = every.T
    inner = ~((top == 0) & (bottom == height) & (left == 0) & (right == width))
    tall, wide = bottom - top, right - left
    sides = np.stack([
        np.where(top == 0, _END, (down[top, right] - down[top, left]) / wide),
        np.where(bottom == height, _END, (down[bottom, right] - down[bottom, left]) / wide),
        np.where(left == 0, _END, (across[bottom, left] - across[top, left]) / tall),
        np.where(right == width, _END, (across[bottom, right] - across[top, right]) / tall),
    ])  # fmt: skip
    score = sides.min(axis=0) + 0.1 * sides.mean(axis=0) + 0.1 * (tall * wide) / (height * width)
    for place in np.argsort(-score, kind="stable"):
        if inner[place] and sides[:, place].min() >= _CLEAR:
            yield tuple(every[place].tolist())


_END = 0.75
"""What the picture's own end counts for as the side of a panel."""
_CLEAR = 0.5
"""Least part of each side of a panel that is an edge."""


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """Shared area over joint area."""
    tall = min(one[1], other[1]) - max(one[0], other[0])
    wide = min(one[3], other[3]) - max(one[2], other[2])
    shared = max(0, tall) * max(0, wide)
    areas = sum((t[1] - t[0]) * (t[3] - t[2]) for t in (one, other))
    return shared / (areas - shared)


def _window(one: tuple[int, int, int, int], step: int, shape: tuple[int, ...]) -> Window:
    top, bottom, left, right = (step * place for place in one)
    return slice(top, min(bottom, shape[0])), slice(left, min(right, shape[1]))


def _part(side: slice, whole: int) -> float:
    return (side.stop - side.start) / whole
