"""Families that draw over or around an image; distributions are listed in ``images.copy_edits``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .copy_edits_colour import Drawn, Pixels, pick_colour
from .edits_overlay import WORDS

_INKS = {
    "white": ((255, 255, 255), (0, 0, 0)),
    "black": ((0, 0, 0), (255, 255, 255)),
    "yellow": ((255, 221, 0), (30, 30, 30)),
    "red": ((220, 30, 40), (255, 255, 255)),
}
"""Ink and outline."""
_SMOOTH = 4
"""Shapes are drawn this many times larger and reduced, for smooth edges."""
_BIG = 60 * _SMOOTH


def draw_text(rng: np.random.Generator) -> Drawn:
    """Words, size as a share of the height, place as a share of the room, ink."""
    lines = [_line(rng) for _ in range(int(rng.integers(1, 3)))]
    return {"lines": lines, "ink": list(_INKS)[int(rng.integers(len(_INKS)))]}


def _line(rng: np.random.Generator) -> Drawn:
    words = " ".join(WORDS[int(index)] for index in rng.integers(len(WORDS), size=int(rng.integers(1, 5))))
    return {"words": words, "size": float(rng.uniform(0.08, 0.16)), **_place(rng)}


def text(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Lines of text with an outline."""
    image = Image.fromarray(pixels)
    ink, outline = _INKS[drawn["ink"]]
    pen = ImageDraw.Draw(image)
    for line in drawn["lines"]:
        size = max(4.0, line["size"] * image.height)
        font = ImageFont.load_default(size)
        left, top, right, bottom = pen.textbbox((0, 0), line["words"], font=font)
        x = line["across"] * max(0.0, image.width - (right - left)) - left
        y = line["down"] * max(0.0, image.height - (bottom - top)) - top
        stroke = max(1, round(size / 16))
        place = round(x), round(y)
        pen.text(place, line["words"], fill=ink, font=font, stroke_width=stroke, stroke_fill=outline)
    return np.array(image)


def draw_logo(rng: np.random.Generator) -> Drawn:
    """Shapes with their size as a share of the short side, their place and their colour."""
    return {"shapes": [_shape(rng) for _ in range(int(rng.integers(1, 4)))]}


def _shape(rng: np.random.Generator, size: tuple[float, float] = (0.12, 0.3)) -> Drawn:
    kind = list(_SHAPES)[int(rng.integers(len(_SHAPES)))]
    colour = [int(c) for c in rng.integers(0, 256, 3)]
    return {"kind": kind, "size": float(rng.uniform(*size)), "colour": colour, **_place(rng)}


def draw_stickers(rng: np.random.Generator) -> Drawn:
    """As :func:`draw_logo`: more of them, and smaller."""
    return {"shapes": [_shape(rng, (0.1, 0.25)) for _ in range(int(rng.integers(3, 7)))]}


def logo(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Emoji and logos pasted over the image."""
    image = Image.fromarray(pixels)
    for shape in drawn["shapes"]:
        side = max(1, round(shape["size"] * min(image.size)))
        canvas = Image.new("RGBA", (_BIG, _BIG), (0, 0, 0, 0))
        _SHAPES[shape["kind"]](ImageDraw.Draw(canvas), tuple(shape["colour"]))
        stamp = canvas.resize((side, side), Image.Resampling.BOX)
        place = round(shape["across"] * (image.width - side)), round(shape["down"] * (image.height - side))
        image.paste(stamp, place, stamp)
    return np.array(image)


def _smile(pen: ImageDraw.ImageDraw, colour: tuple[int, ...]) -> None:
    """A face; its own yellow, whatever the colour."""
    del colour
    pen.ellipse(_box(0, 0, 1, 1), fill=(255, 204, 50), outline=(60, 40, 20), width=_BIG // 30)
    for centre in (0.33, 0.67):
        pen.ellipse(_box(centre - 0.07, 0.27, centre + 0.07, 0.47), fill=(60, 40, 20))
    pen.chord(_box(0.22, 0.35, 0.78, 0.82), 10, 170, fill=(150, 40, 30))


def _badge(pen: ImageDraw.ImageDraw, colour: tuple[int, ...]) -> None:
    """A round logo: a ring and three stripes."""
    pen.ellipse(_box(0, 0, 1, 1), fill=colour)
    pen.ellipse(_box(0.1, 0.1, 0.9, 0.9), outline=(255, 255, 255), width=_BIG // 16)
    for top in (0.32, 0.46, 0.6):
        pen.rectangle(_box(0.28, top, 0.72, top + 0.08), fill=(255, 255, 255))


def _tile(pen: ImageDraw.ImageDraw, colour: tuple[int, ...]) -> None:
    """A square logo with round corners and a letter."""
    pen.rounded_rectangle(_box(0, 0, 1, 1), radius=_BIG // 5, fill=colour)
    pen.text((_BIG / 2, _BIG / 2), "R", fill=(255, 255, 255), font=ImageFont.load_default(0.8 * _BIG), anchor="mm")


def _star(pen: ImageDraw.ImageDraw, colour: tuple[int, ...]) -> None:
    """A five-pointed star."""
    turns = np.pi * (np.arange(10) / 5 - 0.5)
    radius = np.where(np.arange(10) % 2 == 0, 0.5, 0.2) * (_BIG - 1)
    middle = (_BIG - 1) / 2
    points = zip(middle + radius * np.cos(turns), middle + radius * np.sin(turns), strict=True)
    pen.polygon([(float(x), float(y)) for x, y in points], fill=colour)


_SHAPES: dict[str, Callable[[ImageDraw.ImageDraw, tuple[int, ...]], None]] = {
    "smile": _smile,
    "badge": _badge,
    "tile": _tile,
    "star": _star,
}


def _box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
    """Shares of the canvas as its pixels."""
    scale = _BIG - 1
    return left * scale, top * scale, right * scale, bottom * scale


def draw_bar(rng: np.random.Generator) -> Drawn:
    """Which way the bar lies, its thickness and place as shares, its colour."""
    across = bool(rng.random() < 0.5)
    thickness, place = float(rng.uniform(0.08, 0.25)), float(rng.random())
    return {"across_width": across, "thickness": thickness, "place": place, "colour": pick_colour(rng)}


def bar(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """One opaque bar from edge to edge: as large a share of the area as its thickness."""
    out = pixels.copy()
    side = out.shape[0] if drawn["across_width"] else out.shape[1]
    thick = max(1, int(drawn["thickness"] * side))
    start = round(drawn["place"] * (side - thick))
    piece = out[start : start + thick] if drawn["across_width"] else out[:, start : start + thick]
    piece[:] = np.array(drawn["colour"], dtype=np.uint8)
    return out


def draw_screenshot(rng: np.random.Generator) -> Drawn:
    """Heights of title bar and foot as shares of the image's height, margins of its width, and the theme."""
    foot = float(rng.uniform(0.05, 0.12)) if rng.random() < 0.7 else 0.0
    margin = float(rng.uniform(0.01, 0.08)) if rng.random() < 0.7 else 0.0
    return {"title": float(rng.uniform(0.06, 0.12)), "foot": foot, "margin": margin, "dark": bool(rng.random() < 0.5)}


def screenshot(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """The image inside a window: title bar with buttons and a caption, margins, a foot with icons."""
    height, width = pixels.shape[:2]
    title, foot = max(1, round(drawn["title"] * height)), round(drawn["foot"] * height)
    margin = round(drawn["margin"] * width)
    paper, ink = ((32, 33, 36), (200, 200, 205)) if drawn["dark"] else ((242, 242, 245), (90, 90, 96))
    frame = Image.new("RGB", (width + 2 * margin, height + title + foot), paper)
    _title_bar(ImageDraw.Draw(frame), frame.width, title, ink)
    if foot:
        _foot_bar(ImageDraw.Draw(frame), frame.size, foot, ink)
    frame.paste(Image.fromarray(pixels), (margin, title))
    return np.array(frame)


def _title_bar(pen: ImageDraw.ImageDraw, width: int, height: int, ink: tuple[int, int, int]) -> None:
    dot, middle = 0.22 * height, 0.5 * height
    for number, colour in enumerate(((255, 95, 86), (255, 189, 46), (39, 201, 63))):
        x = (0.8 + 0.8 * number) * height
        pen.ellipse((x - dot, middle - dot, x + dot, middle + dot), fill=colour)
    pen.text((width / 2, middle), "Photos", fill=ink, font=ImageFont.load_default(max(4.0, 0.55 * height)), anchor="mm")


def _foot_bar(pen: ImageDraw.ImageDraw, size: tuple[int, int], height: int, ink: tuple[int, int, int]) -> None:
    half, middle = 0.2 * height, size[1] - 0.5 * height
    for share in (0.15, 0.38, 0.62, 0.85):
        x = share * size[0]
        pen.rectangle((x - half, middle - half, x + half, middle + half), outline=ink)


def _place(rng: np.random.Generator) -> Drawn:
    """Shares of the room there is: 0 at the top or left."""
    return {"down": float(rng.random()), "across": float(rng.random())}
