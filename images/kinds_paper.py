"""Made kinds on paper: pages, forms, tables, receipts, slides, labels, blank sheets."""

from __future__ import annotations

import itertools

import numpy as np
from PIL import Image

from .kinds_charts import draw_columns, wide_sheet
from .kinds_sheet import BLACK, WHITE, Colour, Sheet

_PAPERS: tuple[Colour, ...] = (WHITE, WHITE, WHITE, (250, 248, 240), (236, 228, 208), (225, 225, 225))
_INKS: tuple[Colour, ...] = (BLACK, BLACK, (40, 40, 45), (90, 90, 95), (20, 30, 90))


def _upright(rng: np.random.Generator) -> Sheet:
    tall = int(rng.integers(120, 161))
    return Sheet(rng, int(tall * rng.uniform(0.66, 0.8)), tall, _PAPERS[int(rng.integers(len(_PAPERS)))])


def page(rng: np.random.Generator) -> Sheet:
    """Text in one to three columns, perhaps with a heading and a figure."""
    sheet = _upright(rng)
    ink, size, bars = sheet.pick(_INKS), sheet.between(0.012, 0.04), sheet.chance(0.5)
    margin, top = sheet.between(0.05, 0.15), sheet.between(0.05, 0.14)
    if sheet.chance(0.6):
        tall = size * sheet.between(1.4, 3.0)
        sheet.text(
            margin + (sheet.between(0, 0.3) if sheet.chance(0.5) else 0), top, tall, ink, letters=sheet.count(6, 22)
        )
        top += tall * sheet.between(1.5, 3.0)
    columns, foot = sheet.count(1, 3), sheet.between(0.86, 0.96) if sheet.chance(0.8) else sheet.between(0.3, 0.8)
    wide, leading = (1 - 2 * margin + 0.03) / columns, sheet.between(1.15, 2.0)
    figure = sheet.count(0, columns - 1) if sheet.chance(0.35) else -1
    for column in range(columns):
        left, above = margin + column * wide, top
        right = left + wide - 0.03
        if column == figure:
            above = top + sheet.between(0.12, 0.35)
            sheet.photograph((left, top, right, above - 0.03))
        sheet.writing((left, above, right, foot), size, ink, leading=leading, bars=bars)
    return sheet


def dense_page(rng: np.random.Generator) -> Sheet:
    """A full block of text in one or two columns and nothing else: dark words as seen from afar, drawn larger."""
    sheet = Sheet(rng, 4 * int(rng.integers(110, 125)), 4 * int(rng.integers(140, 161)), _PAPERS[int(rng.integers(6))])
    pitch, dark, ink = sheet.between(0.011, 0.036), sheet.between(0.35, 0.75), sheet.pick(_INKS[:3])
    left, top = sheet.between(0.04, 0.17), sheet.between(0.04, 0.13)
    bottom, word = 1 - sheet.between(0.04, 0.13), pitch * sheet.between(0.5, 3.5)
    columns, ragged = sheet.count(1, 2), sheet.chance(0.6) * sheet.between(0.02, 0.3)
    wide = (1 - 2 * left + 0.04) / columns
    for column in range(columns):
        start, end = left + column * wide, left + (column + 1) * wide - 0.04
        for y in np.arange(top, bottom - pitch, pitch).tolist():
            stop, x = end - ragged * (end - start) * sheet.between(0, 1), start
            while x < stop:
                reach = min(x + word * sheet.between(0.3, 1.7), end)
                sheet.rectangle((x, y, reach, y + dark * pitch), ink)
                x = reach + 0.35 * pitch
    sheet.show(sheet.image.reduce(4))
    return sheet


def form(rng: np.random.Generator) -> Sheet:
    """Labels, fields to fill in, boxes to tick."""
    sheet = _upright(rng)
    ink, top, margin = sheet.pick(_INKS), sheet.between(0.05, 0.1), sheet.between(0.04, 0.1)
    if sheet.chance(0.7):
        shade = sheet.colour(60, 230) if sheet.chance(0.5) else None
        sheet.rectangle((margin, top, 1 - margin, top + 0.07), shade, ink)
        sheet.text(margin + 0.03, top + 0.015, 0.035, ink, letters=sheet.count(8, 22))
        top += 0.1
    tall = sheet.between(0.03, 0.07)
    while top + tall < 0.95:
        fields = sheet.count(1, 4)
        edges = np.linspace(margin, 1 - margin, fields + 1)
        for left, right in itertools.pairwise(edges):
            _field(sheet, (float(left), top, float(right) - 0.015, top + tall * 0.8), ink)
        top += tall * sheet.between(1.0, 1.6)
    return sheet


def _field(sheet: Sheet, box: tuple[float, float, float, float], ink: Colour) -> None:
    left, top, right, bottom = box
    style = sheet.count(0, 3)
    if style == 0:
        sheet.rectangle(box, None, ink)
    elif style == 1:
        sheet.line([(left, bottom), (right, bottom)], ink)
    elif style == 2:
        sheet.rectangle((left, top, left + 0.03, top + 0.022), BLACK if sheet.chance(0.4) else None, ink)
        left += 0.05
    sheet.text(left + 0.005, top, 0.022, ink, letters=sheet.count(3, max(4, int((right - left) * 40))))
    if style < 2 and sheet.chance(0.6):
        sheet.text(left + 0.02, top + 0.4 * (bottom - top), 0.026, (20, 30, 120), letters=sheet.count(3, 12))


def table(rng: np.random.Generator) -> Sheet:
    """Rows and columns of short entries, with lines or stripes."""
    sheet = _upright(rng) if rng.random() < 0.5 else wide_sheet(rng)
    ink, rows, columns = sheet.pick(_INKS), sheet.count(5, 24), sheet.count(2, 8)
    left, top, right, bottom = (
        sheet.between(0, 0.1),
        sheet.between(0, 0.2),
        sheet.between(0.9, 1),
        sheet.between(0.8, 1),
    )
    edges = np.sort(np.r_[left, right, sheet.rng.uniform(left + 0.05, right - 0.05, columns - 1)])
    tall, head, stripe = (bottom - top) / rows, sheet.colour(40, 230), sheet.colour(215, 250)
    ruled, striped = sheet.chance(0.6), sheet.chance(0.4)
    for row in range(rows):
        y = top + row * tall
        shade = head if row == 0 else stripe if striped and row % 2 else None
        if shade:
            sheet.rectangle((left, y, right, y + tall), shade)
        for x, end in itertools.pairwise(edges):
            letters = int(min(sheet.count(1, 10), max(1, (end - x) * sheet.width / (0.3 * tall * sheet.height))))
            sheet.text(float(x) + 0.01, y + 0.15 * tall, 0.6 * tall, ink, letters=letters)
        if ruled:
            sheet.line([(left, y), (right, y)], ink)
    if ruled and sheet.chance(0.7):
        for x in edges:
            sheet.line([(float(x), top), (float(x), bottom)], ink)
    return sheet


def receipt(rng: np.random.Generator) -> Sheet:
    """A narrow slip, centred head, prices at the right; sometimes on a table top."""
    tall = int(rng.integers(140, 161))
    sheet = Sheet(rng, int(tall * rng.uniform(0.35, 0.75)), tall)
    left, right = 0.0, 1.0
    if sheet.chance(0.5):
        sheet.rectangle((0, 0, 1, 1), sheet.colour(30, 160))
        left, right = sheet.between(0.05, 0.25), sheet.between(0.75, 0.95)
        sheet.rectangle((left, sheet.between(0, 0.05), right, sheet.between(0.95, 1)), sheet.colour(225, 255))
    ink, size, y = sheet.pick(_INKS), sheet.between(0.02, 0.035), sheet.between(0.04, 0.12)
    for _ in range(sheet.count(2, 4)):
        sheet.text((left + right) / 2 - sheet.between(0.1, 0.25), y, size * 1.3, ink, letters=sheet.count(6, 14))
        y += 1.7 * size
    end = sheet.between(0.6, 0.95)
    while y < end:
        sheet.text(left + 0.05, y, size, ink, letters=sheet.count(4, 16))
        sheet.text(right - 0.2, y, size, ink, letters=sheet.count(3, 5))
        y += size * sheet.between(1.2, 1.8)
        if sheet.chance(0.1):
            sheet.line([(left + 0.04, y), (right - 0.04, y)], ink)
            y += size
    return sheet


def slide(rng: np.random.Generator) -> Sheet:
    """A title, points, perhaps a picture beside them."""
    paper = (WHITE, WHITE, (20, 30, 60), (240, 240, 235), (30, 30, 30), (0, 90, 120))[int(rng.integers(6))]
    sheet = wide_sheet(rng, paper)
    ink = WHITE if sum(paper) < 380 else sheet.pick(_INKS)
    if sheet.chance(0.5):
        band = sheet.colour(20, 200)
        sheet.rectangle(((0, 0, 1, 0.2), (0, 0.92, 1, 1), (0, 0, 0.06, 1), (0, 0.17, 1, 0.19))[sheet.count(0, 3)], band)
    left = sheet.between(0.06, 0.15)
    sheet.text(left, sheet.between(0.05, 0.1), sheet.between(0.09, 0.15), ink, letters=sheet.count(8, 20))
    split, side = sheet.between(0.45, 0.65), sheet.chance(0.5)
    size, y = sheet.between(0.05, 0.09), sheet.between(0.24, 0.36)
    for _ in range(sheet.count(0, 7)):
        sheet.ellipse((left, y + 0.3 * size, left + 0.015, y + 0.3 * size + 0.02), ink)
        most = max(4, int((split - left if side else 0.9 - left) * sheet.width / (0.55 * size * sheet.height)))
        sheet.text(left + 0.03, y, size, ink, letters=sheet.count(3, most))
        y += size * sheet.between(1.3, 1.8)
    if side:
        box = (split + 0.03, 0.28, 0.94, 0.86)
        if sheet.chance(0.5):
            sheet.photograph(box)
        else:
            draw_columns(sheet, box, ink)
    return sheet


def label(rng: np.random.Generator) -> Sheet:
    """A bar code or a square code, with or without an address."""
    sheet = wide_sheet(rng) if rng.random() < 0.6 else Sheet(rng, 128, 128)
    if sheet.chance(0.5):
        _bar_code(sheet)
    else:
        _square_code(sheet)
    if sheet.chance(0.5):
        sheet.writing((0.06, sheet.between(0.6, 0.8), 0.94, 0.97), sheet.between(0.05, 0.09), BLACK)
    return sheet


def _bar_code(sheet: Sheet) -> None:
    x, right, bottom = sheet.between(0.03, 0.2), sheet.between(0.8, 0.97), sheet.between(0.5, 0.9)
    module, top = sheet.between(0.005, 0.012), sheet.between(0.03, 0.2)
    while x < right:
        wide = module * sheet.count(1, 4)
        sheet.rectangle((x, top, x + wide, bottom), BLACK)
        x += wide + module * sheet.count(1, 4)


def _square_code(sheet: Sheet) -> None:
    count, side = 4 * sheet.count(5, 12) + 1, min(sheet.width, sheet.height) * sheet.between(0.5, 0.95)
    cells = sheet.rng.random((count, count)) < 0.5
    for row, column in ((0, 0), (0, count - 7), (count - 7, 0)):
        ring = np.ones((7, 7), dtype=np.bool_)
        ring[1:6, 1:6], ring[2:5, 2:5] = False, True
        cells[row : row + 7, column : column + 7] = ring
    code = Image.fromarray(np.where(cells, 0, 255).astype(np.uint8)).resize(
        (round(side), round(side)), Image.Resampling.NEAREST
    )
    sheet.image.paste(
        code, (round((sheet.width - side) * sheet.rng.random()), round((sheet.height - side) * sheet.rng.random()))
    )


def blank(rng: np.random.Generator) -> Sheet:
    """Next to nothing on a sheet: a spot, a crease, a shadow, a number."""
    sheet = _upright(rng)
    if sheet.chance(0.6):
        level, fall = sheet.between(0.75, 1.0), sheet.rng.normal(0, 0.1, 2)
        y, x = np.mgrid[0 : 1 : sheet.height * 1j, 0 : 1 : sheet.width * 1j]
        light = np.clip(255 * (level + fall[0] * x + fall[1] * y), 0, 255)
        sheet.image.paste(Image.fromarray(light.astype(np.uint8)).convert("RGB"))
    for _ in range(sheet.count(0, 3)):
        x, y = sheet.between(0, 1), sheet.between(0, 1)
        sheet.ellipse((x, y, x + sheet.between(0.005, 0.04), y + sheet.between(0.005, 0.03)), sheet.colour(60, 200))
    if sheet.chance(0.5):
        sheet.text(sheet.between(0.05, 0.85), sheet.between(0.05, 0.93), 0.03, BLACK, letters=sheet.count(1, 9))
    if sheet.chance(0.3):
        at = sheet.between(0.1, 0.9)
        sheet.line([(0, at), (1, at + sheet.between(-0.02, 0.02))], sheet.colour(180, 230))
    return sheet
