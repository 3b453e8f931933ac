"""Small drawn pictures, and progress that nobody watches; importable by every test (see pyproject, pythonpath)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


class Quiet:
    """Progress that nobody watches."""

    def start(self, total: int, done: int) -> None:
        self.total, self.done = total, done

    def advance(self, count: int) -> None:
        self.done += count


def draw(path: Path, seed: int) -> Path:
    """A smooth random picture of 30 to 60 pixels a side."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse.resize((30 + seed % 31, 40), Image.Resampling.BICUBIC).save(path)
    return path
