"""The folder that the documentation's examples run in, a small one; importable by every test."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import retr

DRAW = Path(retr.__file__).parent / "docs" / "examples" / "draw_corpus.py"


def _drawer() -> ModuleType:
    spec = importlib.util.spec_from_file_location(DRAW.stem, DRAW)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draw_corpus(folder: Path, *, count: int = 12, absent: int = 20) -> Path:
    """What ``docs/examples/draw_corpus.py`` draws, with fewer images."""
    draw = _drawer()
    draw.draw(folder / "corpus", range(count))
    draw.draw(folder / "absent", range(10_000, 10_000 + absent))
    draw.draw_queries(folder, (3, 7, 11))
    draw.retouched(draw.picture(7)).save(folder / "img.png")
    return folder
