"""A small drawn corpus."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import draw
from PIL import Image


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Twenty pictures in three folders, one of them twice under two names, one copied as pixels only."""
    root = tmp_path / "corpus"
    for number in range(20):
        draw(root / f"{'abc'[number % 3]}" / f"{number:02}.png", number)
    (root / "a" / "same-bytes.png").write_bytes((root / "a" / "00.png").read_bytes())
    with Image.open(root / "b" / "01.png") as image:
        image.save(root / "b" / "same-pixels.bmp")
    return root
