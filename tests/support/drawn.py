"""Small drawn pictures, and progress that nobody watches; importable by every test (see pyproject, pythonpath)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


class Quiet:
    """Progress that nobody watches."""

    def start(self, total: int, done: int = 0) -> None:
        self.total, self.done = total, done

    def advance(self, count: int = 1) -> None:
        self.done += count


class Killed(BaseException):
    """Ends a run from within, as a signal would."""


class Watcher(Quiet):
    """Progress that remembers what it was told, and may end the run after so many units of what counts.

    Args:
        units: after how many it raises :class:`Killed`; None for never.
        of: how the words for what counts begin.

    Attributes:
        counted: units that counted.
        before: units of the last stretch that needed no work.
    """

    def __init__(self, units: int | None = None, of: str = "") -> None:
        self.units, self.of = units, of
        self.said: list[str] = []
        self.counted = 0

    def start(self, total: int, done: int = 0) -> None:
        super().start(total, done)
        self.before = done

    def doing(self, text: str) -> None:
        self.said.append(text)

    def advance(self, count: int = 1) -> None:
        super().advance(count)
        if count and "".join(self.said[-1:]).startswith(self.of):
            self.counted += count
            if self.units is not None and self.counted >= self.units:
                raise Killed


class Stretches(Quiet):
    """Progress that remembers every stretch: ``told`` holds [title, total, through]."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []
        self.title = ""

    def doing(self, text: str) -> None:
        self.title = text

    def start(self, total: int, done: int = 0) -> None:
        super().start(total, done)
        self.told.append((self.title, total, done))

    def advance(self, count: int = 1) -> None:
        super().advance(count)
        self.told[-1] = (*self.told[-1][:2], self.done)


def draw(path: Path, seed: int) -> Path:
    """A smooth random picture of 30 to 60 pixels a side."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse.resize((30 + seed % 31, 40), Image.Resampling.BICUBIC).save(path)
    return path
