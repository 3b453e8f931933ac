"""A small real index over drawn images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn import Quiet
from PIL import Image

from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.engine import Engine


def draw(seed: int, size: tuple[int, int] = (40, 32)) -> Image.Image:
    """A smooth random picture, away from black and white."""
    coarse = np.random.default_rng(seed).integers(50, 206, (5, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def make_index(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Engine, Path]]:
    """make_index(count, **options) → (engine, corpus folder with 000.png, 001.png, …); block means, if not told."""

    def make(count: int = 12, **told: object) -> tuple[Engine, Path]:
        options = {"models": ("block-means",), **told}
        home = tmp_path_factory.mktemp("audited")
        corpus = home / "corpus"
        corpus.mkdir()
        for seed in range(count):
            draw(seed).save(corpus / f"{seed:03d}.png")
        build_index(str(corpus), home / "index", IndexOptions(workers=1, **options), Quiet())  # type: ignore[arg-type]
        return Engine.open(home / "index", device="cpu"), corpus

    return make
