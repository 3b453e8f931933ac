"""Families beyond the twenty: what else people do to a picture before they post it. uint8 → uint8.

| family | geometric | distribution of its parameters |
|---|---|---|
| `upside` | yes | none: top to bottom |
| `quarter` | yes | turned by 90, 180 or 270 degrees |
| `rotation-45` | yes | 20…45° either way about the centre, size kept, corners black, white or grey |
| `crop-30` | yes | keeps 30…50 % of the width and, drawn apart, 30…50 % of the height, anywhere |
| `picture-in-picture` | yes | 30…70 % of each side of a larger canvas, anywhere, over a drawn sky, pattern or gradient |
| `collage` | yes | one of four tiles; the other three are drawn skies, patterns and gradients |
| `caption` | yes | a white or black band with one or two lines of text above or below, 15…30 % of the height |
| `screen` | yes | photographed from a screen: a perspective that moves each corner by up to 8 % of its side, on black; light falls off by up to 25 % towards one side; stripes of 2…6 levels |
| `halftone` | no | dots whose size follows the ink, 3…6 px apart, in grey or in colour |
| `stickers` | no | 3–6 drawn emoji or badges, each 10…25 % of the short side, anywhere |
| `remap` | no | two colours in place of black and white, by the luma: a duotone; mixed with the picture, 60…100 % of it |
| `sharpen` | no | unsharp mask, radius 1…3 px, 100…300 % |
| `twice` | no | JPEG twice, quality 30…70 and 10…50, moved by 1…7 px between both, by a crop at the top left |
| `blur-part` | no | Gaussian blur of 3…8 % of the short side in a window of 25…50 % of each side, anywhere |

They are no part of the twenty means that earlier figures are of: ``retr bench-copies --families more`` asks for them, in a
table of their own.
"""  # noqa: E501 - one row per family

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from .copy_edits_colour import Drawn, Pixels
from .jpeg import through_jpeg
from .kinds import draw_kind

_BACKGROUNDS = ("sky", "pattern", "gradient")
_WORDS = ("WHEN", "YOU", "FINALLY", "SEE", "IT", "MONDAY", "AGAIN", "NOBODY", "EVER")


def upside(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Top to bottom."""
    del drawn
    return pixels[::-1].copy()


def draw_quarter(rng: np.random.Generator) -> Drawn:
    """How many quarters, counter-clockwise."""
    return {"quarters": int(rng.integers(1, 4))}


def quarter(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Turned."""
    return np.rot90(pixels, drawn["quarters"]).copy()


def draw_far_rotation(rng: np.random.Generator) -> Drawn:
    """20…45° either way, and the level of the corners."""
    degrees = float(rng.uniform(20, 45)) * (1 if rng.random() < 0.5 else -1)
    return {"degrees": degrees, "corner": (0, 255, 128)[int(rng.integers(3))]}


def draw_small_crop(rng: np.random.Generator) -> Drawn:
    """As ``copy_edits_place.draw_crop``, keeping less."""
    kept, place = rng.uniform(0.3, 0.5, 2), rng.random(2)
    return {"height": float(kept[0]), "width": float(kept[1]), "down": float(place[0]), "across": float(place[1])}


def _draw_background(rng: np.random.Generator) -> Drawn:
    return {"kind": _BACKGROUNDS[int(rng.integers(len(_BACKGROUNDS)))], "number": int(rng.integers(2**20))}


def _background(drawn: Mapping[str, Any], height: int, width: int) -> Image.Image:
    return Image.fromarray(draw_kind(drawn["kind"], drawn["number"])).resize((width, height))


def draw_picture_in_picture(rng: np.random.Generator) -> Drawn:
    """The share of the canvas, the place on it, and the canvas."""
    place = rng.random(2)
    shown = {"share": float(rng.uniform(0.3, 0.7)), "down": float(place[0]), "across": float(place[1])}
    return {**shown, "canvas": _draw_background(rng)}


def picture_in_picture(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """On a larger canvas, at its own size."""
    height, width = pixels.shape[:2]
    tall, wide = math.ceil(height / drawn["share"]), math.ceil(width / drawn["share"])
    canvas = np.array(_background(drawn["canvas"], tall, wide))
    top, left = round(drawn["down"] * (tall - height)), round(drawn["across"] * (wide - width))
    canvas[top : top + height, left : left + width] = pixels
    return canvas


def draw_collage(rng: np.random.Generator) -> Drawn:
    """Which tile is the picture, and the others."""
    return {"tile": int(rng.integers(4)), "others": [_draw_background(rng) for _ in range(3)]}


def collage(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Two by two, each as large as the picture."""
    height, width = pixels.shape[:2]
    tiles = [np.array(_background(one, height, width)) for one in drawn["others"]]
    tiles.insert(drawn["tile"], pixels)
    return np.concatenate([np.concatenate(tiles[:2], axis=1), np.concatenate(tiles[2:], axis=1)])


def draw_caption(rng: np.random.Generator) -> Drawn:
    """The band and its words."""
    words = [_WORDS[int(place)] for place in rng.integers(len(_WORDS), size=6)]
    lines = [" ".join(words[:3]), " ".join(words[3:])][: int(rng.integers(1, 3))]
    above, dark = bool(rng.random() < 0.5), bool(rng.random() < 0.3)
    return {"share": float(rng.uniform(0.15, 0.3)), "above": above, "dark": dark, "lines": lines}


def caption(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """A band with text, which the picture grows by."""
    height, width = pixels.shape[:2]
    tall = max(1, math.ceil(drawn["share"] * height))
    band = Image.new("RGB", (width, tall), (0, 0, 0) if drawn["dark"] else (255, 255, 255))
    pen, ink = ImageDraw.Draw(band), (255, 255, 255) if drawn["dark"] else (0, 0, 0)
    step = tall / len(drawn["lines"])
    for number, line in enumerate(drawn["lines"]):
        font = ImageFont.load_default(max(4.0, min(0.7 * step, 1.5 * width / len(line))))
        pen.text((width / 2, (number + 0.5) * step), line, fill=ink, font=font, anchor="mm")
    parts = [np.array(band), pixels] if drawn["above"] else [pixels, np.array(band)]
    return np.concatenate(parts)


def draw_screen(rng: np.random.Generator) -> Drawn:
    """How far each corner moves inwards (across, down), as a share; the light; the stripes."""
    corners = [[float(value) for value in pair] for pair in rng.uniform(0.0, 0.08, (4, 2))]
    light = {"falls": float(rng.uniform(0.05, 0.25)), "towards": float(rng.uniform(0, 2 * math.pi))}
    return {"corners": corners, **light, "stripes": float(rng.uniform(2, 6)), "period": float(rng.uniform(3, 9))}


def screen(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Seen from aside, unevenly lit, with the stripes of two grids that meet."""
    height, width = pixels.shape[:2]
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    square = ((0, 0), (width, 0), (width, height), (0, height))
    moved = [
        (x + sx * across * width, y + sy * down * height)
        for (x, y), (sx, sy), (across, down) in zip(square, signs, drawn["corners"], strict=True)
    ]
    solved = _perspective(moved, square)
    flat = Image.fromarray(pixels)
    seen = flat.transform((width, height), Image.Transform.PERSPECTIVE, solved, Image.Resampling.BILINEAR)
    down, across = np.mgrid[0:height, 0:width]
    way = math.cos(drawn["towards"]) * across / width + math.sin(drawn["towards"]) * down / height
    light = 1.0 - drawn["falls"] * (way - way.min()) / max(1e-9, float(np.ptp(way)))
    stripes = drawn["stripes"] * np.sin(2 * math.pi * (across + 0.3 * down) / drawn["period"])
    lit = np.asarray(seen) * light[..., None] + stripes[..., None]
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def _perspective(source: list[tuple[float, float]], target: tuple[tuple[int, int], ...]) -> list[float]:
    """Pillow's eight numbers of the map that takes the four points of ``source`` to those of ``target``."""
    rows, right = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.linalg.solve(np.array(rows, dtype=np.float64), np.array(right, dtype=np.float64)).tolist()


def draw_halftone(rng: np.random.Generator) -> Drawn:
    """The distance of the dots in pixels, and whether colours stay."""
    return {"pitch": int(rng.integers(3, 7)), "colour": bool(rng.random() < 0.5)}


def halftone(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Dots of ink on white, by the mean of each cell."""
    pitch, (height, width) = drawn["pitch"], pixels.shape[:2]
    cells = (max(1, width // pitch), max(1, height // pitch))
    small = Image.fromarray(pixels).resize(cells, Image.Resampling.BOX)
    coarse = np.asarray(small.resize((width, height), Image.Resampling.NEAREST), dtype=np.float64) / 255
    if not drawn["colour"]:
        coarse = np.repeat(coarse.mean(axis=2, keepdims=True), 3, axis=2)
    down, across = np.mgrid[0:height, 0:width]
    away = np.hypot((down % pitch) - (pitch - 1) / 2, (across % pitch) - (pitch - 1) / 2)
    radius = pitch * np.sqrt((1.0 - coarse) / math.pi)
    return np.where(away[..., None] <= radius, 0, 255).astype(np.uint8)


def draw_remap(rng: np.random.Generator) -> Drawn:
    """The colours in place of black and of white, and how much of them."""
    dark, light = rng.integers(0, 120, 3), rng.integers(136, 256, 3)
    return {"dark": dark.tolist(), "light": light.tolist(), "share": float(rng.uniform(0.6, 1.0))}


def remap(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """A duotone, mixed with the picture."""
    luma = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float64)[..., None] / 255
    toned = (1.0 - luma) * np.array(drawn["dark"]) + luma * np.array(drawn["light"])
    return np.rint(drawn["share"] * toned + (1.0 - drawn["share"]) * pixels).astype(np.uint8)


def draw_sharpen(rng: np.random.Generator) -> Drawn:
    """Radius in pixels and strength in percent."""
    return {"radius": float(rng.uniform(1, 3)), "percent": int(rng.integers(100, 301))}


def sharpen(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """An unsharp mask."""
    mask = ImageFilter.UnsharpMask(drawn["radius"], drawn["percent"], 0)
    return np.array(Image.fromarray(pixels).filter(mask))


def draw_twice(rng: np.random.Generator) -> Drawn:
    """Both qualities, and how many pixels are cut off in between."""
    first, second = int(rng.integers(30, 71)), int(rng.integers(10, 51))
    return {"first": first, "second": second, "moved": int(rng.integers(1, 8))}


def twice(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """JPEG, a grid that no longer fits, and JPEG again."""
    once = through_jpeg(pixels, quality=drawn["first"])
    moved = min(drawn["moved"], min(pixels.shape[:2]) - 1)
    return through_jpeg(np.ascontiguousarray(once[moved:, moved:]), quality=drawn["second"])


def draw_blur_part(rng: np.random.Generator) -> Drawn:
    """σ as a share of the short side, and the window."""
    kept, place = rng.uniform(0.25, 0.5, 2), rng.random(2)
    window = {"height": float(kept[0]), "width": float(kept[1]), "down": float(place[0]), "across": float(place[1])}
    return {"sigma_share": float(rng.uniform(0.03, 0.08)), **window}


def blur_part(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """What somebody makes unreadable: a face, a plate."""
    height, width = pixels.shape[:2]
    tall, wide = max(1, round(drawn["height"] * height)), max(1, round(drawn["width"] * width))
    top, left = round(drawn["down"] * (height - tall)), round(drawn["across"] * (width - wide))
    sigma = max(0.5, drawn["sigma_share"] * min(height, width))
    blurred, out = np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma))), pixels.copy()
    out[top : top + tall, left : left + wide] = blurred[top : top + tall, left : left + wide]
    return out
