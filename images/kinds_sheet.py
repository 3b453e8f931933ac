"""A sheet to draw on, with its own chance: what the made kinds of pictures are drawn with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the sheet."""

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
_LETTERS = np.array(list("eeeeaaaiiooutnnsrrlldhcmpgbfyvkwETASIMCPRLDBN0123456789"))
_STRIP = 400
"""Letters in a strip."""


class Sheet:
    """An image, a pen and a chance; places and lengths are shares of the sheet.

    Args:
        rng: every choice is drawn from it.
        width: in pixels; height: in pixels.
        paper: colour of the empty sheet.
    """

    def __init__(self, rng: np.random.Generator, width: int, height: int, paper: Colour = WHITE) -> None:
        self.rng, self.width, self.height = rng, width, height
        self.image = Image.new("RGB", (width, height), paper)
        self.pen = ImageDraw.Draw(self.image)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8."""
        return np.asarray(self.image)

    def show(self, image: Image.Image) -> None:
        """Go on with another image of this size."""
        self.image, self.pen = image, ImageDraw.Draw(image)

    def scaled(self, box: Box) -> Box:
        """A box in pixels, its corners in order."""
        left, top, right, bottom = box
        xs, ys = sorted((left * self.width, right * self.width)), sorted((top * self.height, bottom * self.height))
        return xs[0], ys[0], xs[1], ys[1]

    def between(self, low: float, high: float) -> float:
        """A number drawn evenly."""
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """A whole number drawn evenly, ``high`` included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """True in so many of all cases."""
        return bool(self.rng.random() < share)

    def pick(self, colours: Sequence[Colour]) -> Colour:
        """One of several."""
        return colours[int(self.rng.integers(len(colours)))]

    def colour(self, low: int = 0, high: int = 255) -> Colour:
        """Any colour between two levels."""
        red, green, blue = self.rng.integers(low, high + 1, 3).tolist()
        return red, green, blue

    def rectangle(self, box: Box, fill: Colour | None, line: Colour | None = None, width: int = 1) -> None:
        """Filled, outlined or both."""
        self.pen.rectangle(self.scaled(box), fill=fill, outline=line, width=width)

    def rounded(self, box: Box, radius: float, fill: Colour | None, line: Colour | None = None) -> None:
        """With round corners, as a share of the width."""
        self.pen.rounded_rectangle(self.scaled(box), radius * self.width, fill=fill, outline=line)

    def ellipse(self, box: Box, fill: Colour | None, line: Colour | None = None, width: int = 1) -> None:
        """Inside a box."""
        self.pen.ellipse(self.scaled(box), fill=fill, outline=line, width=width)

    def line(self, points: Sequence[tuple[float, float]], fill: Colour, width: int = 1) -> None:
        """Through points."""
        self.pen.line([(x * self.width, y * self.height) for x, y in points], fill=fill, width=width)

    def polygon(self, points: Sequence[tuple[float, float]], fill: Colour, line: Colour | None = None) -> None:
        """Filled."""
        self.pen.polygon([(x * self.width, y * self.height) for x, y in points], fill=fill, outline=line)

    def text(self, left: float, top: float, size: float, ink: Colour, *, letters: int) -> None:
        """One line of made words; size: height of the letters as a share of the sheet's height."""
        strip = _strip(max(4, round(size * self.height)))
        wide = min(strip.width // 2, round(letters * strip.width / _STRIP))
        start = int(self.rng.integers(strip.width - wide))
        place = round(left * self.width), round(top * self.height)
        self.image.paste(ink, place, strip.crop((start, 0, start + wide, strip.height)))

    def writing(self, box: Box, size: float, ink: Colour, *, leading: float = 1.5, bars: bool = False) -> None:
        """Lines that fill a box, the last of a paragraph shorter: letters, or bars for words as seen from afar."""
        left, top, right, bottom = box
        letter = 0.5 * size * self.height / self.width
        full, end = max(1, int((right - left) / letter)), self.count(3, 9)
        while top + size <= bottom:
            end -= 1
            length = max(1, int(full * (self.between(0.15, 0.9) if end == 0 else self.between(0.9, 1.0))))
            if bars:
                self._bars(left, top, left + length * letter, size, ink)
            else:
                self.text(left, top, size, ink, letters=length)
            top += size * leading * (1.6 if end == 0 else 1.0)
            end = self.count(3, 9) if end == 0 else end

    def _bars(self, left: float, top: float, right: float, size: float, ink: Colour) -> None:
        letter = 0.5 * size * self.height / self.width
        while left < right:
            wide = letter * self.count(1, 9)
            self.rectangle((left, top, min(right, left + wide), top + 0.55 * size), ink)
            left += wide + letter

    def photograph(self, box: Box) -> None:
        """A stand-in for a photograph: soft blots of colour with some grain."""
        left, top, right, bottom = (round(side) for side in self.scaled(box))
        size = max(1, right - left), max(1, bottom - top)
        blots = self.rng.integers(0, 256, (self.count(2, 6), self.count(2, 7), 3), dtype=np.uint8)
        soft = np.asarray(Image.fromarray(blots).resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
        grain = self.rng.integers(-18, 19, soft.shape[:2], dtype=np.int16)[..., None]
        self.image.paste(Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8)), (left, top))


@lru_cache(maxsize=64)
def _strip(size: int) -> Image.Image:
    """A long line of words in Pillow's own letters, which every machine has: lines are cut from it, which is quick."""
    rng = np.random.default_rng(size)
    letters = _LETTERS[rng.integers(len(_LETTERS), size=_STRIP)]
    letters[rng.random(_STRIP) < 0.17] = " "
    line, font = "".join(letters.tolist()), ImageFont.load_default(size)
    strip = Image.new("L", (int(font.getlength(line)) + 1, round(1.3 * size)))
    ImageDraw.Draw(strip).text((0, 0), line, fill=255, font=font)
    return strip
