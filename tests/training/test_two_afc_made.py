"""Triplets made of photographs to train on: those that a benchmark would make, parted by photograph, made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_two_afc import draw_photos
from tiny_recipe import Watcher

from retr.core.errors import UsageError
from retr.datasets.synthetic import synthetic
from retr.datasets.triplets import Triplet
from retr.embedding.model_file import read_header
from retr.training import two_afc_made
from retr.training.context import RunContext
from retr.training.loop import run_training
from retr.training.recipes import build_recipe, plan_and_options
from retr.training.two_afc import TwoAFCRecipe
from retr.training.two_afc_made import MadeTriplets, open_made

TINY = "retr_s:image=16,widths=16+32,depths=1+1,dim=16"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw_photos(tmp_path_factory.mktemp("photos"), 12)
    Image.new("RGB", (48, 48), (90, 90, 90)).save(folder / "flat.png")
    return folder


def wanted(photos: Path, **changes: Any) -> MadeTriplets:
    usual: dict[str, Any] = {"folder": photos, "side": 32, "count": 40, "kinds": ("blur", "jpeg"), "seed": 0}
    return MadeTriplets(**{**usual, **changes})


class TestTriplets:
    def test_they_are_those_of_the_data_set(self, photos: Path, tmp_path: Path) -> None:
        made = open_made(wanted(photos), "train", cache=tmp_path, workers=2)
        every = synthetic(photos, side=32, count=26, kinds=("blur", "jpeg"), seed=0)
        expected = {one.name: one for one in every.outcomes() if isinstance(one, Triplet)}
        names = [place.name for place in wanted(photos).planned("train").places if place.name in expected]
        assert len(names) == len(made) > 0
        for name, row, preference in zip(names, made.rows, made.preference, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(made.stored[row], expected[name].images, strict=True))
            assert preference == expected[name].preference

    def test_no_photograph_serves_both_splits(self, photos: Path) -> None:
        train, val = (wanted(photos).planned(split) for split in ("train", "val"))
        names = [{place.name.partition("/")[2] for place in part.places} for part in (train, val)]
        assert not names[0] & names[1]
        assert [len(part) for part in names] == [12, 1]
        assert len(train) + len(val) == 26

    def test_the_counts_add_up(self, photos: Path, tmp_path: Path) -> None:
        parts = [open_made(wanted(photos), split, cache=tmp_path, workers=1).describe() for split in ("train", "val")]
        assert sum(part["rejected"].get("no-effect", 0) for part in parts) > 0
        assert all(part["seen"] == part["triplets"] + sum(part["rejected"].values()) for part in parts)

    def test_they_are_made_once_and_again_when_a_photograph_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = draw_photos(tmp_path)
        first = open_made(wanted(folder), "train", cache=tmp_path / "c", workers=1)
        with monkeypatch.context() as patch:
            patch.setattr(two_afc_made, "_make_all", None)
            again = open_made(wanted(folder), "train", cache=tmp_path / "c", workers=1)
        assert np.array_equal(first.stored, again.stored)
        assert first.describe() == again.describe()
        for path in folder.glob("*.png"):
            Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
        changed = open_made(wanted(folder), "train", cache=tmp_path / "c", workers=1)
        assert not np.array_equal(first.stored, changed.stored)

    def test_a_small_network_gets_them_shrunk(self, photos: Path, tmp_path: Path) -> None:
        assert open_made(wanted(photos, side=16), "train", cache=tmp_path, workers=1).stored.shape[1:] == (16, 16, 3)

    @pytest.mark.parametrize(
        ("changes", "split", "message"),
        [
            ({}, "test", "no split 'test'; choose train or val"),
            ({"kinds": ("haze",)}, "train", "called haze"),
            ({"folder": Path("nowhere")}, "train", "nowhere is not a folder of photographs"),
        ],
    )
    def test_what_cannot_be_is_refused(self, photos: Path, changes: dict[str, Any], split: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            wanted(photos, **changes).planned(split)

    def test_too_few_photographs_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="holds no photograph"):
            wanted(tmp_path).planned("train")
        draw_photos(tmp_path, 1)
        with pytest.raises(UsageError, match="holds one photograph, and train needs another"):
            wanted(tmp_path).planned("train")
        Image.new("RGB", (48, 48)).save(tmp_path / "0.png")
        with pytest.raises(UsageError, match=r"not one of 2 triplets .* can be made"):
            open_made(wanted(tmp_path), "val", cache=tmp_path / "c", workers=1)


def test_a_network_learns_from_them(photos: Path, tmp_path: Path) -> None:
    settings = {"student": TINY, "kinds": "blur", "steps": 3, "batch": 8, "accelerator": "cpu"}
    plan, options = plan_and_options("2afc", settings)
    sources = (Path(f"synthetic:{photos}"),)
    context = RunContext(sources=sources, cache=tmp_path / "cache", workers=1, plan=plan, holdout=5)
    built = build_recipe("2afc", options, context)
    assert isinstance(built, TwoAFCRecipe)
    report = run_training(built, plan, folder=tmp_path / "run", resume=False, observer=Watcher())
    assert report.steps == 3
    header = read_header(tmp_path / "run" / "best.safetensors")
    assert header["name"].startswith("2afc-")
    assert header["training"]["options"]["data"]["layout"] == "synthetic"
