"""Pictures of HTML by headless Chromium: many on one long page, which is cut up, for starting it costs seconds."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
SCALE = 0.5
"""Pixels of a picture per CSS pixel: letters are set small, not made smaller afterwards."""
TALLEST = 28_000
"""CSS pixels of a page: a screenshot may not be much higher than half of that."""
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--force-device-scale-factor={SCALE}")
_HEAD = "<!doctype html><meta charset=utf-8><style>*{box-sizing:border-box}body{margin:0;background:#fff}</style>"


def photograph_html(cells: Sequence[str], size: tuple[int, int]) -> list[Pixels]:
    """One picture of each piece of HTML.

    Args:
        cells: each fills a box of this size; what does not fit is cut off.
        size: width and height in CSS pixels.
    """
    width, height = size
    across = max(1, 2600 // width)
    rows = TALLEST // height
    pictures: list[Pixels] = []
    for first in range(0, len(cells), across * rows):
        pictures += _cut(cells[first : first + across * rows], width, height, across)
    return pictures


def _cut(cells: Sequence[str], width: int, height: int, across: int) -> list[Pixels]:
    places = [(place % across * width, place // across * height) for place in range(len(cells))]
    box = "<div style='position:absolute;overflow:hidden;left:{}px;top:{}px;width:{}px;height:{}px'>{}</div>"
    body = "".join(box.format(x, y, width, height, cell) for (x, y), cell in zip(places, cells, strict=True))
    page = _shoot(_HEAD + body, across * width, (len(cells) + across - 1) // across * height)
    boxes = [[round(SCALE * side) for side in (x, y, x + width, y + height)] for x, y in places]
    return [np.asarray(page.crop((left, top, right, bottom))) for left, top, right, bottom in boxes]


def _shoot(html: str, width: int, height: int) -> Image.Image:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no chromium on the path: it draws the pages and screens")
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder) / "page.html", Path(folder) / "shot.png"
        page.write_text(html)
        size = f"--window-size={width},{height}"
        command = [chromium, *_OPTIONS, f"--user-data-dir={folder}/data", size, f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=240)  # noqa: S603
        return Image.open(shot).convert("RGB")
