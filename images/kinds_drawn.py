"""Made kinds that are drawn: icons, line art, comics, patterns, gradients, skies, nights, products on white."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from .kinds_sheet import BLACK, WHITE, Colour, Sheet


def _near_square(rng: np.random.Generator, paper: Colour = WHITE) -> Sheet:
    return Sheet(rng, int(rng.integers(96, 151)), int(rng.integers(96, 151)), paper)


def icon(rng: np.random.Generator) -> Sheet:
    """A sign of few shapes on one colour, as a transparent icon comes out of decoding, or on a tile."""
    papers: tuple[Colour, ...] = (WHITE, WHITE, BLACK, (240, 240, 240), (60, 60, 60))
    sheet = Sheet(rng, 128, 128, papers[int(rng.integers(len(papers)))])
    ink = sheet.colour()
    if sheet.chance(0.5):
        edge = sheet.between(0, 0.15)
        box = (edge, edge, 1 - edge, 1 - edge)
        sheet.ellipse(box, ink) if sheet.chance(0.4) else sheet.rounded(box, sheet.between(0, 0.2), ink)
        ink = WHITE if sheet.chance(0.7) else sheet.colour()
    for _ in range(sheet.count(1, 5)):
        _sign(sheet, ink, (0.5 + sheet.between(-0.2, 0.2), 0.5 + sheet.between(-0.2, 0.2)), sheet.between(0.08, 0.4))
        ink = sheet.colour() if sheet.chance(0.4) else ink
    if sheet.chance(0.25):
        sheet.text(
            sheet.between(0.05, 0.5), sheet.between(0.1, 0.7), sheet.between(0.15, 0.5), ink, letters=sheet.count(1, 6)
        )
    return sheet


def _sign(sheet: Sheet, ink: Colour, centre: tuple[float, float], reach: float) -> None:
    x, y = centre
    tall = reach * sheet.between(0.4, 1)
    box, style = (x - reach, y - tall, x + reach, y + tall), sheet.count(0, 5)
    if style == 0:
        sheet.ellipse(box, ink)
    elif style == 1:
        sheet.ellipse(box, None, ink, sheet.count(3, 14))
    elif style == 2:
        sheet.rounded(box, sheet.between(0, 0.08), ink)
    elif style == 3:
        sheet.rectangle(box, None, ink, sheet.count(3, 12))
    elif style == 4:
        count, inner = sheet.count(3, 8), sheet.between(0.4, 1)
        turns = np.arange(2 * count) * np.pi / count + sheet.between(0, 1)
        radii = np.where(np.arange(2 * count) % 2, reach * inner, reach)
        ends = zip((x + radii * np.cos(turns)).tolist(), (y + radii * np.sin(turns)).tolist(), strict=True)
        sheet.polygon(list(ends), ink)
    else:
        points = (np.array(centre) + sheet.rng.uniform(-reach, reach, (sheet.count(2, 5), 2))).tolist()
        sheet.line([(u, v) for u, v in points], ink, sheet.count(4, 16))


def line_art(rng: np.random.Generator) -> Sheet:
    """Strokes of one ink: curves, hatching, outlines."""
    sheet = _near_square(rng, ((255, 255, 255), (250, 245, 235), (30, 30, 30))[int(rng.integers(3))])
    ink = BLACK if sheet.image.getpixel((0, 0)) != (30, 30, 30) else WHITE
    wide = sheet.count(1, 3)
    for _ in range(sheet.count(3, 25)):
        start, count = sheet.rng.uniform(0, 1, 2), sheet.count(5, 40)
        turns = sheet.between(0, 7) + np.cumsum(sheet.rng.normal(sheet.between(-0.2, 0.2), 0.25, count))
        steps = sheet.between(0.01, 0.05) * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        path = (start + np.cumsum(steps, axis=0)).tolist()
        sheet.line([(x, y) for x, y in path], ink, wide)
        if sheet.chance(0.3):
            x, y, reach = sheet.between(0, 1), sheet.between(0, 1), sheet.between(0.03, 0.3)
            sheet.ellipse((x - reach, y - reach, x + reach, y + reach), None, ink, wide)
    return sheet


def comic(rng: np.random.Generator) -> Sheet:
    """Frames with flat figures and balloons."""
    sheet = _near_square(rng, WHITE if rng.random() < 0.8 else (245, 235, 210))
    rows, gap, grey = sheet.count(1, 4), sheet.between(0.01, 0.03), sheet.chance(0.35)
    heights = np.r_[0, np.cumsum(sheet.rng.dirichlet(np.full(rows, 8.0)))]
    for top, bottom in zip(heights[:-1].tolist(), heights[1:].tolist(), strict=True):
        widths = np.r_[0, np.cumsum(sheet.rng.dirichlet(np.full(sheet.count(1, 4), 8.0)))]
        for left, right in zip(widths[:-1].tolist(), widths[1:].tolist(), strict=True):
            _frame(sheet, (left + gap, top + gap, right - gap, bottom - gap))
    if grey:
        sheet.show(sheet.image.convert("L").convert("RGB"))
    return sheet


def _frame(sheet: Sheet, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    wide, tall = right - left, bottom - top
    sheet.rectangle(box, sheet.colour(120, 255), BLACK, 2)
    sheet.rectangle((left, bottom - tall * sheet.between(0.1, 0.4), right, bottom), sheet.colour(), BLACK)
    for _ in range(sheet.count(1, 3)):
        x, reach = left + wide * sheet.between(0.2, 0.8), min(wide, tall) * sheet.between(0.1, 0.2)
        y = bottom - tall * sheet.between(0.4, 0.6)
        sheet.polygon([(x - reach, bottom), (x, y), (x + reach, bottom)], sheet.colour(), BLACK)
        sheet.ellipse((x - reach, y - reach, x + reach, y + reach), sheet.colour(140, 250), BLACK)
    if sheet.chance(0.7):
        x, y = left + wide * sheet.between(0.05, 0.4), top + tall * sheet.between(0.03, 0.15)
        balloon = (x, y, x + 0.5 * wide, y + 0.28 * tall)
        sheet.ellipse(balloon, WHITE, BLACK)
        sheet.writing((x + 0.1 * wide, y + 0.08 * tall, x + 0.45 * wide, y + 0.25 * tall), 0.03, BLACK)


def pattern(rng: np.random.Generator) -> Sheet:
    """Stripes, checks, dots, waves, tiles."""
    sheet = _near_square(rng, tuple(rng.integers(0, 256, 3).tolist()))
    inks, step, style = [sheet.colour() for _ in range(sheet.count(1, 3))], sheet.between(0.03, 0.25), sheet.count(0, 4)
    if style == 4:
        y, x = np.mgrid[0 : sheet.height, 0 : sheet.width]
        turn, wave = sheet.between(0, np.pi), 2 * np.pi / (step * sheet.width)
        field = np.sin(wave * (x * np.cos(turn) + y * np.sin(turn))) * np.cos(sheet.between(0, 1) * wave * y)
        share = (0.5 + 0.5 * field)[..., None]
        one, two = np.array(sheet.colour()), np.array(inks[0])
        sheet.show(Image.fromarray((one * share + two * (1 - share)).astype(np.uint8)))
        return sheet
    fat = step * sheet.between(0.3, 0.9)
    for row, y in enumerate(np.arange(0, 1, step).tolist()):
        if style == 0:
            sheet.rectangle((0, y, 1, y + fat), inks[row % len(inks)])
            continue
        for column, x in enumerate(np.arange(0, 1, step).tolist()):
            ink, shift = inks[(row + column) % len(inks)], 0.5 * step * (row % 2) if style == 1 else 0.0
            if style == 2 and (row + column) % 2:
                continue
            box = (x + shift, y, x + shift + (step if style == 2 else fat), y + (step if style == 2 else fat))
            sheet.ellipse(box, ink) if style == 1 else sheet.rectangle(box, ink)
    if sheet.chance(0.4):
        sheet.show(sheet.image.rotate(sheet.between(0, 90), Image.Resampling.BILINEAR, fillcolor=inks[0]))
    return sheet


def gradient(rng: np.random.Generator) -> Sheet:
    """One colour passing into others, straight or from a point."""
    sheet = _near_square(rng)
    y, x = np.mgrid[0 : 1 : sheet.height * 1j, 0 : 1 : sheet.width * 1j]
    if sheet.chance(0.35):
        share = np.hypot(x - sheet.between(0, 1), y - sheet.between(0, 1))
    else:
        turn = sheet.between(0, 2 * np.pi)
        share = x * np.cos(turn) + y * np.sin(turn)
    share = (share - share.min()) / np.ptp(share)
    stops = sheet.rng.uniform(0, 255, (sheet.count(2, 4), 3))
    places = np.linspace(0, 1, len(stops))
    layers = [np.interp(share, places, stops[:, channel]) for channel in range(3)]
    sheet.show(Image.fromarray(np.stack(layers, axis=-1).astype(np.uint8)))
    return sheet


def sky(rng: np.random.Generator) -> Sheet:
    """Clouds over a horizon or none."""
    sheet = _near_square(rng)
    height, width = sheet.height, sheet.width
    top, low = sheet.rng.uniform((20, 60, 120), (150, 190, 255)), sheet.rng.uniform((130, 130, 120), (255, 235, 255))
    share = np.linspace(0, 1, height)[:, None, None] ** sheet.between(0.5, 2)
    picture = np.broadcast_to(top * (1 - share) + low * share, (height, width, 3))
    cloud = _clouds(sheet.rng, height, width)[..., None] * sheet.between(0, 1)
    picture = picture * (1 - cloud) + sheet.rng.uniform(180, 255) * cloud
    sheet.show(Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)))
    if sheet.chance(0.5):
        horizon, count = sheet.between(0.6, 0.95), sheet.count(4, 30)
        hills = (horizon + 0.5 * sheet.between(0, 0.3) * sheet.rng.normal(0, 0.5, count)).tolist()
        xs = np.linspace(0, 1, count).tolist()
        sheet.polygon([(0, 1), *zip(xs, hills, strict=True), (1, 1)], sheet.colour(0, 110))
    return sheet


def _clouds(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    total = np.zeros((height, width))
    for octave in (3, 6, 12, 24):
        field = Image.fromarray(rng.random((octave, octave), dtype=np.float32))
        total += np.asarray(field.resize((width, height), Image.Resampling.BICUBIC)) / octave
    total -= np.quantile(total, rng.uniform(0.2, 0.8))
    return np.clip(total / max(1e-6, float(total.max())), 0, 1)


def night(rng: np.random.Generator) -> Sheet:
    """Next to black, with lights, a moon, or lit windows."""
    sheet = _near_square(rng, tuple(rng.integers(0, 30, 3).tolist()))
    for _ in range(sheet.count(0, 60)):
        x, y, reach = sheet.between(0, 1), sheet.between(0, 1), sheet.between(0.002, 0.02)
        sheet.ellipse((x - reach, y - reach, x + reach, y + reach), sheet.colour(120, 255))
    if sheet.chance(0.4):
        x, y, reach = sheet.between(0.1, 0.9), sheet.between(0.1, 0.9), sheet.between(0.03, 0.2)
        sheet.ellipse((x - reach, y - reach, x + reach, y + reach), sheet.colour(180, 255))
    if sheet.chance(0.5):
        for x in np.arange(0, 1, sheet.between(0.1, 0.25)).tolist():
            top = sheet.between(0.3, 0.9)
            sheet.rectangle((x, top, x + 0.2, 1), sheet.colour(0, 50))
            for _ in range(sheet.count(0, 12)):
                u, v = x + sheet.between(0, 0.18), sheet.between(top, 1)
                sheet.rectangle((u, v, u + 0.02, v + 0.02), sheet.colour(150, 255))
    if sheet.chance(0.6):
        sheet.show(sheet.image.filter(ImageFilter.GaussianBlur(sheet.between(0.5, 3))))
    return sheet


def product(rng: np.random.Generator) -> Sheet:
    """One shaded thing on white, with a soft shadow."""
    sheet = _near_square(rng, WHITE if rng.random() < 0.8 else (240, 240, 240))
    wide, tall = sheet.between(0.1, 0.42), sheet.between(0.1, 0.42)
    x, y = 0.5 + sheet.between(-0.08, 0.08), 0.5 + sheet.between(-0.08, 0.08)
    sheet.ellipse((x - wide, y + 0.8 * tall, x + wide, y + 1.15 * tall), (205, 205, 205))
    sheet.show(sheet.image.filter(ImageFilter.GaussianBlur(4)))
    for part in range(sheet.count(1, 4)):
        shrink = 0.75**part
        box = (x - wide * shrink, y - tall * shrink, x + wide * shrink, y + tall * shrink)
        shapes = (sheet.ellipse, sheet.rectangle, lambda b, fill: sheet.rounded(b, 0.06, fill))
        shapes[sheet.count(0, 2)](box, sheet.colour(10, 240))
        wide, tall, y = wide * sheet.between(0.4, 1), tall * sheet.between(0.4, 1), y + tall * sheet.between(-0.4, 0.2)
    if sheet.chance(0.4):
        sheet.text(x - 0.15, y, sheet.between(0.05, 0.12), sheet.colour(), letters=sheet.count(3, 9))
    shade = np.linspace(sheet.between(0.8, 1), sheet.between(1, 1.2), sheet.width)[None, :, None]
    body = np.asarray(sheet.image).astype(np.float64)
    lit = np.where(body.min(axis=-1, keepdims=True) < 236, np.clip(body * shade, 0, 255), body)
    sheet.show(Image.fromarray(lit.astype(np.uint8)))
    return sheet


def blots(rng: np.random.Generator) -> Sheet:
    """Soft blots of colour and nothing else, with grain or without: what photographs look like from afar."""
    sheet = _near_square(rng)
    grid = sheet.rng.integers(0, 256, (sheet.count(3, 9), sheet.count(3, 9), 3), dtype=np.uint8)
    grid = (128 + sheet.between(0.4, 1) * (grid.astype(np.float64) - 128)).astype(np.uint8)
    soft = Image.fromarray(grid).resize((sheet.width, sheet.height), Image.Resampling.BICUBIC)
    grain = sheet.rng.normal(0, sheet.between(0, 12), (sheet.height, sheet.width, 1))
    sheet.show(Image.fromarray(np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8)))
    return sheet
