"""Made kinds on screens: web pages, app screens, chats, code, consoles, desktops."""

from __future__ import annotations

import numpy as np

from .kinds_sheet import BLACK, WHITE, Colour, Sheet

_LIGHT: tuple[Colour, ...] = (WHITE, WHITE, (245, 245, 247), (240, 242, 245), (250, 247, 240))
_DARK: tuple[Colour, ...] = ((18, 18, 18), (32, 33, 36), (13, 17, 23), (40, 44, 52), (0, 0, 0))


def _themed(rng: np.random.Generator, width: int, height: int) -> tuple[Sheet, Colour, Colour]:
    """A sheet, its ink, and the colour of cards on it."""
    dark = bool(rng.random() < 0.3)
    papers = _DARK if dark else _LIGHT
    sheet = Sheet(rng, width, height, papers[int(rng.integers(len(papers)))])
    return sheet, (225, 225, 228) if dark else (30, 32, 36), (44, 46, 52) if dark else (228, 230, 235)


def _landscape(rng: np.random.Generator) -> tuple[Sheet, Colour, Colour]:
    wide = int(rng.integers(130, 161))
    return _themed(rng, wide, int(wide * rng.uniform(0.55, 0.8)))


def _portrait(rng: np.random.Generator) -> tuple[Sheet, Colour, Colour]:
    tall = int(rng.integers(140, 161))
    return _themed(rng, int(tall * rng.uniform(0.45, 0.6)), tall)


def web(rng: np.random.Generator) -> Sheet:
    """A head, perhaps a side bar and a hero, then cards or an article."""
    sheet, ink, card = _landscape(rng)
    accent, top = sheet.colour(20, 230), 0.0
    if sheet.chance(0.8):
        top = sheet.between(0.06, 0.13)
        sheet.rectangle((0, 0, 1, top), accent if sheet.chance(0.5) else card)
        for x in np.linspace(sheet.between(0.02, 0.5), 0.9, sheet.count(2, 6)).tolist():
            sheet.text(x, 0.3 * top, 0.4 * top, ink, letters=sheet.count(3, 7))
    left, right = 0.03, 0.97
    if sheet.chance(0.35):
        wide = sheet.between(0.15, 0.28)
        left, right = (left + wide, right) if sheet.chance(0.6) else (left, right - wide)
        edge = 0.0 if left > 0.1 else right + 0.02
        sheet.rectangle((edge, top, edge + wide, 1), card)
        sheet.writing((edge + 0.02, top + 0.04, edge + wide - 0.02, 0.95), 0.035, ink, leading=2.2)
    if sheet.chance(0.4):
        tall = sheet.between(0.15, 0.4)
        box = (left, top + 0.03, right, top + tall)
        sheet.photograph(box) if sheet.chance(0.5) else sheet.rectangle(box, accent)
        sheet.text(left + 0.05, top + 0.4 * tall, 0.09, WHITE, letters=sheet.count(8, 18))
        top += tall
    (_cards if sheet.chance(0.6) else _article)(sheet, (left, top + 0.04, right, 0.99), ink, card)
    return sheet


def _cards(sheet: Sheet, box: tuple[float, float, float, float], ink: Colour, card: Colour) -> None:
    left, top, right, bottom = box
    columns, rows, gap = sheet.count(2, 5), sheet.count(1, 4), sheet.between(0.01, 0.03)
    wide, tall, share = (right - left) / columns, (bottom - top) / rows, sheet.between(0.3, 0.8)
    framed, pictures = sheet.chance(0.6), sheet.chance(0.7)
    for cell in range(columns * rows):
        x, y = left + cell % columns * wide, top + cell // columns * tall
        end = (x + wide - gap, y + tall - gap)
        if framed:
            sheet.rounded((x, y, *end), 0.01, card)
        if pictures:
            sheet.photograph((x, y, end[0], y + share * tall))
        below = y + share * tall if pictures else y + 0.01
        sheet.writing((x + 0.01, below + 0.01, end[0], end[1]), 0.032, ink)


def _article(sheet: Sheet, box: tuple[float, float, float, float], ink: Colour, card: Colour) -> None:
    left, top, right, bottom = box
    inset = sheet.between(0, 0.2) * (right - left)
    sheet.text(left + inset, top, 0.07, ink, letters=sheet.count(10, 22))
    if sheet.chance(0.5):
        sheet.rectangle((left + inset, top + 0.12, right - inset, top + sheet.between(0.25, 0.5)), card)
        top += 0.4
    sheet.writing((left + inset, top + 0.14, right - inset, bottom), sheet.between(0.03, 0.045), ink)


def app(rng: np.random.Generator) -> Sheet:
    """A telephone's screen: bar, list or tiles or dials, tabs."""
    sheet, ink, card = _portrait(rng)
    accent, top, foot = sheet.colour(20, 230), sheet.between(0.05, 0.13), 1 - sheet.between(0, 0.1)
    if sheet.chance(0.7):
        sheet.rectangle((0, 0, 1, top), accent if sheet.chance(0.6) else card)
    sheet.text(sheet.between(0.05, 0.35), 0.4 * top, 0.035, ink, letters=sheet.count(5, 12))
    style = sheet.count(0, 3)
    if style == 0:
        _list(sheet, (0, top, 1, foot), ink, card)
    elif style == 1:
        _cards(sheet, (0.04, top + 0.03, 1, foot), ink, card)
    elif style == 2:
        _tiles(sheet, (0.05, top + 0.04, 0.95, foot - 0.02))
    else:
        _settings(sheet, (0.05, top + 0.03, 0.95, foot), ink, card, accent)
    if foot < 0.97:
        sheet.rectangle((0, foot, 1, 1), card)
        for x in np.linspace(0.12, 0.88, sheet.count(3, 5)).tolist():
            sheet.ellipse((x - 0.035, foot + 0.015, x + 0.035, foot + 0.05), sheet.pick((accent, ink)))
    return sheet


def _list(sheet: Sheet, box: tuple[float, float, float, float], ink: Colour, card: Colour) -> None:
    left, top, right, bottom = box
    tall, round_ones, ruled = sheet.between(0.06, 0.14), sheet.chance(0.6), sheet.chance(0.6)
    while top + tall <= bottom:
        picture = (left + 0.04, top + 0.15 * tall, left + 0.04 + 1.2 * tall, top + 0.85 * tall)
        sheet.ellipse(picture, sheet.colour()) if round_ones else sheet.rectangle(picture, sheet.colour())
        start = picture[2] + 0.04
        sheet.text(start, top + 0.15 * tall, 0.032, ink, letters=sheet.count(5, 16))
        sheet.text(start, top + 0.55 * tall, 0.024, (130, 130, 135), letters=sheet.count(8, 24))
        if ruled:
            sheet.line([(start, top + tall), (right, top + tall)], card)
        top += tall


def _tiles(sheet: Sheet, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    columns, rows = sheet.count(2, 5), sheet.count(2, 7)
    wide, tall, fat, radius = (
        (right - left) / columns,
        (bottom - top) / rows,
        sheet.between(0.5, 0.95),
        sheet.between(0, 0.06),
    )
    for cell in range(columns * rows):
        if sheet.chance(0.9):
            x, y = left + cell % columns * wide, top + cell // columns * tall
            sheet.rounded((x, y, x + fat * wide, y + fat * tall), min(radius, 0.2 * fat * wide), sheet.colour(10, 245))


def _settings(sheet: Sheet, box: tuple[float, float, float, float], ink: Colour, card: Colour, accent: Colour) -> None:
    left, top, right, bottom = box
    while top < bottom - 0.06:
        if sheet.chance(0.2):
            tall = sheet.between(0.1, 0.25)
            sheet.rounded((left, top, right, min(bottom, top + tall)), 0.03, sheet.pick((card, accent)))
            top += tall + 0.03
            continue
        sheet.text(left, top, 0.03, ink, letters=sheet.count(5, 18))
        on = sheet.chance(0.5)
        sheet.rounded((right - 0.14, top, right, top + 0.03), 0.03, accent if on else (150, 150, 155))
        x = right - 0.06 if on else right - 0.14
        sheet.ellipse((x, top, x + 0.06, top + 0.03), WHITE)
        top += sheet.between(0.055, 0.08)


def chat(rng: np.random.Generator) -> Sheet:
    """Balloons from two sides."""
    sheet, ink, card = _portrait(rng)
    if sheet.chance(0.3):
        sheet.photograph((0, 0, 1, 1))
    mine, theirs, y = (
        sheet.colour(40, 250),
        card if sheet.chance(0.5) else sheet.colour(120, 255),
        sheet.between(0.03, 0.14),
    )
    if y > 0.06:
        sheet.rectangle((0, 0, 1, y - 0.02), sheet.colour(30, 240))
        sheet.ellipse((0.03, 0.01, 0.15, y - 0.03), sheet.colour())
    radius, size = sheet.between(0.01, 0.05), sheet.between(0.018, 0.03)
    while y < 0.9:
        own, wide, lines = sheet.chance(0.5), sheet.between(0.2, 0.75), sheet.count(1, 6)
        tall, left = (lines * 1.5 + 1) * size, 0.97 - wide if own else 0.03
        if sheet.chance(0.1):
            sheet.photograph((left, y, left + wide, y + 0.2))
            tall = 0.2
        else:
            sheet.rounded((left, y, left + wide, y + tall), radius, mine if own else theirs)
            sheet.writing(
                (left + 0.03, y + 0.5 * size, left + wide - 0.02, y + tall), size, ink if sheet.chance(0.7) else BLACK
            )
        y += tall + sheet.between(0.008, 0.03)
    return sheet


def code(rng: np.random.Generator) -> Sheet:
    """Lines indented, in colours, with or without numbers."""
    sheet, ink, card = _landscape(rng)
    colours = [ink, *(sheet.colour(60, 220) for _ in range(4))]
    size, left, y, indent = sheet.between(0.022, 0.05), sheet.between(0.01, 0.12), sheet.between(0, 0.08), 0
    if sheet.chance(0.4):
        sheet.rectangle((0, 0, sheet.between(0.1, 0.25), 1), card)
        left += 0.2
    numbered = sheet.chance(0.5)
    while y < 1:
        if numbered:
            sheet.text(left - 0.01, y, size, (130, 130, 130), letters=2)
        indent = max(0, min(6, indent + sheet.count(-1, 1)))
        x = left + 0.04 + 0.025 * indent
        for _ in range(sheet.count(0, 5)):
            letters = sheet.count(2, 12)
            sheet.text(x, y, size, sheet.pick(colours), letters=letters)
            x += (letters + 1) * 0.5 * size * sheet.height / sheet.width
        y += size * 1.45
    return sheet


def desktop(rng: np.random.Generator) -> Sheet:
    """Windows over a wallpaper, icons, a task bar."""
    sheet, ink, card = _landscape(rng)
    if sheet.chance(0.7):
        sheet.photograph((0, 0, 1, 1))
    for _ in range(sheet.count(0, 12)):
        x, y = 0.02 + 0.08 * sheet.count(0, 11), 0.03 + 0.14 * sheet.count(0, 5)
        sheet.rectangle((x, y, x + 0.045, y + 0.07), sheet.colour())
    for _ in range(sheet.count(1, 3)):
        left, top = sheet.between(0, 0.5), sheet.between(0, 0.4)
        right, bottom = left + sheet.between(0.3, 0.6), top + sheet.between(0.3, 0.6)
        sheet.rectangle((left, top, right, bottom), sheet.pick(_LIGHT + _DARK), ink)
        sheet.rectangle((left, top, right, top + 0.06), sheet.colour())
        inner = (left + 0.02, top + 0.09, right - 0.02, bottom - 0.02)
        (_article if sheet.chance(0.5) else _cards)(sheet, inner, (120, 120, 120), card)
    if sheet.chance(0.7):
        sheet.rectangle((0, 0.93, 1, 1), sheet.colour(0, 90))
    return sheet
