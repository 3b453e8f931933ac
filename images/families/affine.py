"""Brightness, contrast, saturation, fading, overlays: base + f·(p − base), then clipped, then rounded to 8 bits.

For one pixel value p and a base that does not depend on f, this moves one way as f grows, so the extremes over [a, b]
are at a and b. The base is a constant of the *query*: black, a level, its mean, its own grey, a colour or an overlay.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .family import Cell, Continuous, Enclosure, Levels, Pixels, Point, between, to_8_bits

ROUNDED = "in float64, clipped, rounded to 8 bits"
LUMA = np.array([299.0, 587.0, 114.0]) / 1000.0
"""ITU-R 601."""


def affine(
    name: str, program: str, pixels: Pixels, *, base: Levels, span: tuple[float, float], names: str = "factor"
) -> Continuous:
    """The family base + f·(p − base) over f in ``span``; f = 1 is the image itself.

    Args:
        name: of the family.
        program: what the base is.
        pixels: the query.
        base: (3,) or (H, W, 1), in levels.
        span: of f.
        names: what f is called.
    """
    values, spread = _values(pixels, base)
    origin = np.broadcast_to(base.flat[0] if values.ndim == 1 else base, values.shape).astype(np.float64)
    away = values.astype(np.float64) - origin

    def moved(factor: float) -> Levels:
        return origin + factor * away

    def enclose(cell: Cell) -> Enclosure:
        first, last = (moved(end) for end in cell[0])
        found = between(np.minimum(first, last), np.maximum(first, last))
        return Enclosure(spread(found.centre), spread(found.half))

    def member(point: Point) -> Pixels:
        return spread(to_8_bits(moved(point[0])))

    identity = min(max(1.0, span[0]), span[1])
    return Continuous(name, f"{program}, {ROUNDED}", (span,), (identity,), enclose, member, (names,))


def _values(pixels: Pixels, base: Levels) -> tuple[Pixels, Callable[[np.ndarray], np.ndarray]]:
    """The values to be moved, and from results to pixels: all levels once, where the base is one level."""
    if np.ptp(base) > 0.0:
        return pixels, lambda moved: moved
    return np.arange(256, dtype=np.uint8), lambda table: table.take(pixels)


def brightness(pixels: Pixels, *, span: tuple[float, float]) -> Continuous:
    """f·p."""
    return affine("brightness", "brightness 1: f·p", pixels, base=np.zeros(3), span=span)


def contrast(pixels: Pixels, *, span: tuple[float, float], level: float = 128.0) -> Continuous:
    """About a fixed level."""
    program = f"contrast 1: {level:g} + f·(p − {level:g})"
    return affine("contrast", program, pixels, base=np.full(3, level), span=span)


def contrast_mean(pixels: Pixels, *, span: tuple[float, float]) -> Continuous:
    """About the mean grey of the query, which is a constant: that of the image that is edited, before any change."""
    mean = float((pixels.reshape(-1, 3).astype(np.float64) @ LUMA).mean())
    program = f"contrast-mean 1: m + f·(p − m), m = {mean:.6g}, the mean grey of the query"
    return affine("contrast-mean", program, pixels, base=np.full(3, mean), span=span)


def saturation(pixels: Pixels, *, span: tuple[float, float]) -> Continuous:
    """About each pixel's own grey."""
    grey = (pixels.astype(np.float64) @ LUMA)[..., None]
    return affine("saturation", "saturation 1: y + f·(p − y), y = ITU-R 601 luma", pixels, base=grey, span=span)


def fade(pixels: Pixels, *, colour: tuple[int, int, int], span: tuple[float, float], name: str = "fade") -> Continuous:
    """Towards one colour: p + a·(colour − p), a in ``span``."""
    words = "#{:02x}{:02x}{:02x}".format(*colour)
    goal = np.asarray(colour, dtype=np.float64)
    return _towards(name, f"fade 1: p + a·({words} − p)", pixels, np.broadcast_to(goal, pixels.shape), span)


def overlay(
    pixels: Pixels, *, drawn: Pixels, alpha: Levels, place: tuple[int, int], span: tuple[float, float], name: str
) -> Continuous:
    """Opacity of a picture at a given place: p + a·A·(o − p), a in ``span``.

    Args:
        pixels: the query.
        drawn: (h, w, 3) the picture o.
        alpha: (h, w) its own opacity A, 0…1.
        place: row and column of its upper left corner, may be outside; what does not fit is cut.
        span: of a.
        name: of the family.
    """
    goal = pixels.astype(np.float64)
    top, left = place
    rows = slice(max(0, top), min(pixels.shape[0], top + drawn.shape[0]))
    columns = slice(max(0, left), min(pixels.shape[1], left + drawn.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        own = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        under = goal[rows, columns]
        goal[rows, columns] = under + alpha[own][..., None] * (drawn[own].astype(np.float64) - under)
    program = f"overlay 1: p + a·A·(o − p), {drawn.shape[1]}×{drawn.shape[0]} at {left},{top}"
    return _towards(name, program, pixels, goal, span)


def _towards(name: str, program: str, pixels: Pixels, goal: Levels, span: tuple[float, float]) -> Continuous:
    """Fade as p + a·(goal − p): each value moves straight from the query's to the goal's."""
    start = pixels.astype(np.float64)
    way = goal - start

    def moved(amount: float) -> Levels:
        return start + amount * way

    def enclose(cell: Cell) -> Enclosure:
        first, last = (moved(end) for end in cell[0])
        return between(np.minimum(first, last), np.maximum(first, last))

    identity = min(max(0.0, span[0]), span[1])
    return Continuous(
        name,
        f"{program}, {ROUNDED}",
        (span,),
        (identity,),
        enclose,
        lambda point: to_8_bits(moved(point[0])),
        ("amount",),
    )
