"""docs/benchmarks/write_triplets.py: synthetic triplets that the loader of NIGHTS reads back as they are."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_two_afc import draw_photos

import retr
from retr.datasets.distortions import PAIRINGS
from retr.datasets.nights import load_nights
from retr.datasets.synthetic import synthetic

SCRIPTS = Path(retr.__file__).parent / "docs" / "benchmarks"


def test_the_layout_is_that_of_nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    photos, out = draw_photos(tmp_path / "photos"), tmp_path / "out"
    monkeypatch.syspath_prepend(str(SCRIPTS))
    words = [str(photos), str(out), "--count", "15", "--held-out", "4", "--side", "32", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", ["write_triplets.py", *words])
    importlib.import_module("write_triplets").main()
    made = synthetic(photos, side=32, count=15, kinds=tuple(PAIRINGS), seed=3)
    read = [*load_nights(out, split="val", min_votes=10).triplets, *load_nights(out, split="train").triplets]
    assert len(load_nights(out, split="val", min_votes=10).triplets) == 4
    assert len(read) == len(made) == 15
    for files, triplet in zip(read, (made[number] for number in range(15)), strict=True):
        assert files.preference == triplet.preference
        for path, pixels in zip(files.files, triplet.images, strict=True):
            assert np.array_equal(np.asarray(Image.open(path)), pixels)
