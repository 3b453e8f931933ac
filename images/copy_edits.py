"""The twenty edit families of the copy benchmark: parameters are drawn, recorded, then applied. uint8 → uint8.

| family | geometric | distribution of its parameters |
|---|---|---|
| `identity` | no | none: the same pixels |
| `jpeg` | no | quality uniform in 10…60, 4:2:0 chroma |
| `blur` | no | Gaussian, σ uniform in 0.4…1.5 % of the short side, at least 0.5 px |
| `noise` | no | Gaussian per value, σ uniform in 4…20 levels |
| `brightness` | no | factor uniform in 0.6…0.85 or, as often, in 1.15…1.5 |
| `contrast` | no | about the mean grey; factor as for brightness |
| `gamma` | no | exponent uniform in 0.5…0.8 or, as often, in 1.25…2 |
| `saturation` | no | about each pixel's grey; factor uniform in 0…0.6 or, as often, in 1.4…2 |
| `greyscale` | no | none: ITU-R 601 luma in all three channels |
| `text` | no | 1–2 lines of 1–4 words, 8…16 % of the height each, one of four inks with a contrasting outline, anywhere |
| `logo` | no | 1–3 drawn emoji or logos, each 12…30 % of the short side, anywhere |
| `bar` | no | one opaque bar from edge to edge, across or down, 8…25 % of the height or width thick, black, white or random, anywhere |
| `border` | yes | as often a frame of 3…12 % of each side, or a letterbox of 6…20 % at two opposite sides; black, white or random |
| `screenshot` | yes | inside a drawn window: title bar 6…12 % of the height, foot 0…12 %, margins 0…8 % of the width, light or dark |
| `flip` | yes | none: left to right |
| `rotation` | yes | 2…20° either way about the centre, size kept, corners black, white or grey |
| `crop` | yes | keeps 50…95 % of the width and, drawn apart, 50…95 % of the height, anywhere |
| `aspect` | no | width ÷ height times 0.6…0.85 or, as often, 1.18…1.67; area kept |
| `downscale` | no | longest side to 64…128 px, or to ¾ of it where that is less; aspect kept, Lanczos |
| `two` | yes | two different families out of the eighteen between `identity` and `two`, one after the other |

A family is geometric when content leaves its place in the frame, the frame being stretched to a square. What is drawn
depends on the seed, the image and the family alone (:func:`edit_seed`). Sides never fall below 1 px.
"""  # noqa: E501 - one row per family

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import UsageError
from ..core.files import digest_json
from . import copy_edits_colour as colour
from . import copy_edits_draw as draw
from . import copy_edits_more as more
from . import copy_edits_place as place
from .copy_edits_colour import Pixels

Parameters = Mapping[str, Any]
"""What was drawn: JSON values."""


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of edit.

    Attributes:
        name: its key in :data:`FAMILIES`.
        geometric: whether content leaves its place in the frame.
        draw: rng → parameters, as JSON values.
        apply: ((H, W, 3) uint8, parameters) → (H', W', 3) uint8; deterministic; the input is left alone.
    """

    name: str
    geometric: bool
    draw: Callable[[np.random.Generator], dict[str, Any]]
    apply: Callable[[Pixels, Parameters], Pixels]


@dataclass(frozen=True, slots=True, eq=False)
class Edited:
    """An edited image and what was drawn for it."""

    pixels: Pixels
    parameters: dict[str, Any]


def edit_seed(seed: int, image: str, family: str) -> int:
    """A seed per image and family, the same whatever else is edited."""
    return int(digest_json(["copy-edit", seed, image, family])[:15], 16)


def edited(pixels: Pixels, family: str, *, seed: int, image: str) -> Edited:
    """Edit an image by one family.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        family: a key of :data:`FAMILIES` or of :data:`MORE`.
        seed: of the run.
        image: names the image; its pixels' digest, so that paths play no part.

    Raises:
        UsageError: no such family.
    """
    chosen = find_family(family)
    parameters = chosen.draw(np.random.default_rng(edit_seed(seed, image, family)))
    return Edited(np.ascontiguousarray(chosen.apply(pixels, parameters)), parameters)


def find_family(name: str) -> Family:
    """Look a family up, of the twenty or of those beyond.

    Raises:
        UsageError: naming those there are.
    """
    found = FAMILIES.get(name) or MORE.get(name)
    if found is None:
        raise UsageError(f"no edit family is called {name!r}; choose from {', '.join([*FAMILIES, *MORE])}")
    return found


def _draw_two(rng: np.random.Generator) -> dict[str, Any]:
    names = [name for name in FAMILIES if name not in ("identity", "two")]
    first, second = (names[int(index)] for index in rng.choice(len(names), 2, replace=False))
    return {"steps": [{"family": name, **FAMILIES[name].draw(rng)} for name in (first, second)]}


def _apply_two(pixels: Pixels, parameters: Parameters) -> Pixels:
    for drawn in parameters["steps"]:
        pixels = FAMILIES[drawn["family"]].apply(pixels, drawn)
    return pixels


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("identity", False, colour.draw_nothing, colour.identity),
        Family("jpeg", False, colour.draw_jpeg, colour.jpeg),
        Family("blur", False, colour.draw_blur, colour.blur),
        Family("noise", False, colour.draw_noise, colour.noise),
        Family("brightness", False, colour.draw_factor, colour.brightness),
        Family("contrast", False, colour.draw_factor, colour.contrast),
        Family("gamma", False, colour.draw_gamma, colour.gamma),
        Family("saturation", False, colour.draw_saturation, colour.saturation),
        Family("greyscale", False, colour.draw_nothing, colour.greyscale),
        Family("text", False, draw.draw_text, draw.text),
        Family("logo", False, draw.draw_logo, draw.logo),
        Family("bar", False, draw.draw_bar, draw.bar),
        Family("border", True, place.draw_border, place.border),
        Family("screenshot", True, draw.draw_screenshot, draw.screenshot),
        Family("flip", True, colour.draw_nothing, place.flip),
        Family("rotation", True, place.draw_rotation, place.rotation),
        Family("crop", True, place.draw_crop, place.crop),
        Family("aspect", False, place.draw_aspect, place.aspect),
        Family("downscale", False, place.draw_downscale, place.downscale),
        Family("two", True, _draw_two, _apply_two),
    )
}
"""Every family by name, in the order that tables show them."""

MORE: dict[str, Family] = {
    family.name: family
    for family in (
        Family("upside", True, colour.draw_nothing, more.upside),
        Family("quarter", True, more.draw_quarter, more.quarter),
        Family("rotation-45", True, more.draw_far_rotation, place.rotation),
        Family("crop-30", True, more.draw_small_crop, place.crop),
        Family("picture-in-picture", True, more.draw_picture_in_picture, more.picture_in_picture),
        Family("collage", True, more.draw_collage, more.collage),
        Family("caption", True, more.draw_caption, more.caption),
        Family("screen", True, more.draw_screen, more.screen),
        Family("halftone", False, more.draw_halftone, more.halftone),
        Family("stickers", False, draw.draw_stickers, draw.logo),
        Family("remap", False, more.draw_remap, more.remap),
        Family("sharpen", False, more.draw_sharpen, more.sharpen),
        Family("twice", False, more.draw_twice, more.twice),
        Family("blur-part", False, more.draw_blur_part, more.blur_part),
    )
}
"""Families beyond the twenty, in a table of their own (``images.copy_edits_more``)."""
