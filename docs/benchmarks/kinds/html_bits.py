"""Pieces that the HTML of made kinds is put together from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from words import RIGHT_TO_LEFT, paragraph, pick, words


@dataclass(frozen=True)
class Look:
    """How a page looks as a whole.

    Attributes:
        script: of its words; font: CSS family; size: of letters in px.
        ink, paper, card, accent: CSS colours.
    """

    script: str
    font: str
    size: int
    ink: str
    paper: str
    card: str
    accent: str

    def wrap(self, inner: str, style: str = "") -> str:
        """The whole cell."""
        way = "rtl" if self.script in RIGHT_TO_LEFT else "ltr"
        look = f"font:{self.size}px/1.4 {self.font};color:{self.ink};background:{self.paper};direction:{way}"
        return f"<div style='width:100%;height:100%;overflow:hidden;{look};{style}'>{inner}</div>"


def colour(rng: np.random.Generator, low: int = 0, high: int = 255) -> str:
    """Any colour between two levels."""
    return "rgb({},{},{})".format(*rng.integers(low, high + 1, 3).tolist())


def look(
    rng: np.random.Generator,
    fonts: list[str],
    scripts: list[str],
    *,
    dark: float = 0.25,
    sizes: tuple[int, int] = (9, 18),
) -> Look:
    """A look drawn by chance."""
    size, script, font = int(rng.integers(*sizes)), pick(rng, scripts), pick(rng, fonts)
    if rng.random() < dark:
        return Look(
            script, font, size, colour(rng, 190, 255), colour(rng, 5, 45), colour(rng, 45, 75), colour(rng, 60, 240)
        )
    paper = pick(rng, [*["#fff"] * 5, "#f6f6f8", "#faf7f0", colour(rng, 225, 255)])
    return Look(script, font, size, colour(rng, 0, 70), paper, colour(rng, 215, 245), colour(rng, 20, 230))


def picture(rng: np.random.Generator, style: str) -> str:
    """A stand-in for a photograph: blots of colour."""
    at = rng.integers(0, 101, (3, 2))
    blots = ",".join(
        f"radial-gradient(circle at {x}% {y}%,{colour(rng)},transparent {int(rng.integers(30, 80))}%)"
        for x, y in at.tolist()
    )
    turn = int(rng.integers(360))
    return f"<div style='background:{blots},linear-gradient({turn}deg,{colour(rng)},{colour(rng)});{style}'></div>"


def lines(rng: np.random.Generator, look: Look, count: int) -> str:
    """Paragraphs of so many words in all."""
    made = ""
    while count > 0:
        length = int(rng.integers(20, 90))
        made += f"<p style='margin:0 0 .7em'>{paragraph(rng, look.script, min(length, count))}</p>"
        count -= length
    return made


def heading(rng: np.random.Generator, look: Look, size: float, count: int) -> str:
    """A few words, large."""
    style = f"font-size:{size}em;font-weight:bold;line-height:1.2;margin:.3em 0"
    return f"<div style='{style}'>{words(rng, look.script, count)}</div>"


def some(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number, ``high`` included."""
    return int(rng.integers(low, high + 1))
