"""Made kinds that show data: charts and maps."""

from __future__ import annotations

import numpy as np

from .kinds_sheet import BLACK, WHITE, Box, Colour, Sheet


def wide_sheet(rng: np.random.Generator, paper: Colour = WHITE) -> Sheet:
    """An empty sheet wider than high."""
    wide = int(rng.integers(120, 161))
    return Sheet(rng, wide, int(wide * rng.uniform(0.5, 0.8)), paper)


def chart(rng: np.random.Generator) -> Sheet:
    """Axes with columns, lines, dots, or a pie."""
    sheet = wide_sheet(rng, WHITE if rng.random() < 0.75 else (25, 28, 35))
    ink = BLACK if sheet.image.getpixel((0, 0)) == WHITE else (220, 220, 220)
    box = (sheet.between(0.06, 0.16), sheet.between(0.06, 0.2), sheet.between(0.8, 0.97), sheet.between(0.8, 0.92))
    if sheet.chance(0.6):
        sheet.text(sheet.between(0.1, 0.4), 0.01, sheet.between(0.05, 0.08), ink, letters=sheet.count(8, 24))
    style = sheet.count(0, 4)
    if style == 0:
        _pie(sheet)
        return sheet
    _axes(sheet, box, ink)
    (draw_columns, _curves, _dots, _area)[style - 1](sheet, box, ink)
    return sheet


def _axes(sheet: Sheet, box: Box, ink: Colour) -> None:
    left, top, right, bottom = box
    for share in np.linspace(0, 1, sheet.count(3, 8)) if sheet.chance(0.6) else ():
        y = top + float(share) * (bottom - top)
        sheet.line([(left, y), (right, y)], (150, 150, 150))
        sheet.text(left - 0.06, y - 0.02, 0.04, ink, letters=2)
    if sheet.chance(0.3):
        sheet.rectangle(box, None, ink)
    sheet.line([(left, top), (left, bottom), (right, bottom)], ink)


def draw_columns(sheet: Sheet, box: Box, ink: Colour) -> None:
    """Columns of a diagram inside a box."""
    del ink
    left, top, right, bottom = box
    count, colours = sheet.count(3, 18), [sheet.colour() for _ in range(sheet.count(1, 3))]
    step, fat = (right - left) / count, sheet.between(0.4, 0.95)
    for number, height in enumerate(sheet.rng.uniform(0.05, 1, count).tolist()):
        x = left + number * step
        sheet.rectangle((x, bottom - height * (bottom - top), x + fat * step, bottom), colours[number % len(colours)])


def _walk(sheet: Sheet, count: int) -> list[float]:
    steps = np.cumsum(sheet.rng.normal(size=count))
    return ((steps - steps.min()) / max(1e-9, float(np.ptp(steps)))).tolist()


def _curves(sheet: Sheet, box: Box, ink: Colour) -> None:
    del ink
    left, top, right, bottom = box
    for _ in range(sheet.count(1, 5)):
        heights = _walk(sheet, sheet.count(5, 60))
        xs = np.linspace(left, right, len(heights)).tolist()
        points = [(x, bottom - h * (bottom - top)) for x, h in zip(xs, heights, strict=True)]
        sheet.line(points, sheet.colour(0, 220), sheet.count(1, 3))


def _area(sheet: Sheet, box: Box, ink: Colour) -> None:
    del ink
    left, top, right, bottom = box
    for scale in (1.0, 0.6, 0.3)[: sheet.count(1, 3)]:
        heights = _walk(sheet, sheet.count(5, 40))
        xs = np.linspace(left, right, len(heights)).tolist()
        points = [(x, bottom - scale * h * (bottom - top)) for x, h in zip(xs, heights, strict=True)]
        sheet.polygon([(left, bottom), *points, (right, bottom)], sheet.colour(40, 240))


def _dots(sheet: Sheet, box: Box, ink: Colour) -> None:
    del ink
    left, top, right, bottom = box
    for _ in range(sheet.count(1, 3)):
        colour, centre = sheet.colour(0, 220), sheet.rng.uniform(0.2, 0.8, 2)
        spots = np.clip(centre + sheet.rng.normal(0, sheet.between(0.05, 0.25), (sheet.count(10, 60), 2)), 0, 1)
        for x, y in spots.tolist():
            u, v = left + x * (right - left), top + y * (bottom - top)
            sheet.ellipse((u - 0.008, v - 0.011, u + 0.008, v + 0.011), colour)


def _pie(sheet: Sheet) -> None:
    side = sheet.between(0.5, 0.8) * sheet.height
    x, y = sheet.between(0.3, 0.6) * sheet.width, 0.55 * sheet.height
    ends = np.cumsum(np.r_[0, sheet.rng.dirichlet(np.ones(sheet.count(2, 8)))]) * 360
    box = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        sheet.pen.pieslice(box, start, end, fill=sheet.colour(20, 240))
    if sheet.chance(0.4):
        hole = side * sheet.between(0.2, 0.35)
        sheet.pen.ellipse((x - hole, y - hole, x + hole, y + hole), fill=sheet.image.getpixel((0, 0)))


def street_map(rng: np.random.Generator) -> Sheet:
    """Land, water, parks, streets of several widths."""
    sheet = wide_sheet(rng, ((242, 239, 233), (250, 250, 245), (225, 230, 220), (40, 44, 52))[int(rng.integers(4))])
    for colour in ((170, 211, 223), (200, 230, 190), (220, 215, 210), (205, 235, 176)):
        for _ in range(sheet.count(0, 3)):
            centre, turns = sheet.rng.uniform(0, 1, 2), np.sort(sheet.rng.uniform(0, 2 * np.pi, 8))
            radii = sheet.rng.uniform(0.05, 0.35, 8)
            corners = np.stack([centre[0] + radii * np.cos(turns), centre[1] + radii * np.sin(turns)], axis=1)
            sheet.polygon([(x, y) for x, y in corners.tolist()], colour)
    tilt = sheet.between(0, np.pi)
    for width, most in ((1, 40), (2, 14), (4, 5)):
        ink = sheet.pick(((255, 255, 255), (255, 214, 120), (240, 160, 110), (150, 150, 150)))
        for _ in range(sheet.count(most // 4, most)):
            turn = tilt + (np.pi / 2) * sheet.count(0, 1) + sheet.between(-0.15, 0.15)
            x, y, reach = sheet.between(0, 1), sheet.between(0, 1), sheet.between(0.1, 1.2)
            end = (x + reach * float(np.cos(turn)), y + reach * float(np.sin(turn)))
            sheet.line([(x, y), end], ink, width)
    for _ in range(sheet.count(0, 10)):
        sheet.text(sheet.between(0, 0.9), sheet.between(0, 0.95), 0.04, (70, 70, 70), letters=sheet.count(4, 12))
    return sheet
