"""The recipe ``copies`` from end to end on drawn images: it learns, resumes, and writes a certified model."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import retr
from retr.core.errors import UsageError
from retr.embedding.model_file import load_model
from retr.training.context import RunContext
from retr.training.copies_recipe import CopiesOptions, build_copies
from retr.training.loop import run_training
from retr.training.plan import TrainPlan

SMALL = {"image": 16, "patch": 2, "widths": (12, 48), "depths": (1, 1), "dim": 32, "source_side": 24}


class Silent:
    """Nobody watches."""

    def start(self, total, done):
        pass

    def stepped(self, step, loss, images_per_second):
        pass

    def evaluated(self, step, metrics):
        pass

    def note(self, text):
        pass


@pytest.fixture(scope="module")
def photos_folder(tmp_path_factory) -> Path:
    folder, rng = tmp_path_factory.mktemp("drawn"), np.random.default_rng(4)
    for number in range(96):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        coarse.resize((60, 48), Image.Resampling.BICUBIC).save(folder / f"{number:03d}.png")
    return folder


def recipe_of(folder: Path, tmp_path: Path, plan: TrainPlan, **options):
    context = RunContext(sources=(folder,), cache=tmp_path / "cache", workers=1, plan=plan, holdout=16)
    return build_copies(CopiesOptions(**{**SMALL, **options}), context)


def plan_of(**numbers) -> TrainPlan:
    return TrainPlan(**{"steps": 40, "batch": 32, "warmup": 5, "ema": 0.9, "log_every": 10, **numbers})


@pytest.fixture(scope="module")
def first(photos_folder, tmp_path_factory) -> Path:
    """A finished run of four steps, for others to begin with."""
    folder = tmp_path_factory.mktemp("first")
    recipe = recipe_of(photos_folder, folder, plan_of(steps=4))
    run_training(recipe, plan_of(steps=4), folder=folder / "first", resume=False, observer=Silent())
    return folder / "first"


@pytest.mark.parametrize("options", [{}, {"score": "euclidean"}, {"queue": 64, "gallery_edits": 0.5}])
def test_it_learns(photos_folder, tmp_path, options):
    recipe = recipe_of(photos_folder, tmp_path, plan_of(), **options)
    batches = [recipe.batch(step) for step in range(1000, 1003)]

    def loss() -> float:
        recipe.load_state({"queue": torch.zeros(0, SMALL["dim"])})  # the same rivals before and after
        with torch.enable_grad():
            return sum(float(recipe.losses(recipe.network, batch)["ranking"]) for batch in batches)

    before = loss()
    run_training(recipe, plan_of(), folder=tmp_path / "run", resume=False, observer=Silent())
    recipe.network.eval()
    assert loss() < 0.97 * before


def test_the_model_file_is_certified_and_says_how_it_was_made(photos_folder, tmp_path):
    report = run_training(
        recipe_of(photos_folder, tmp_path, plan_of()), plan_of(), folder=tmp_path, resume=False, observer=Silent()
    )
    embedder = load_model(tmp_path / "best.safetensors")
    assert embedder.lipschitz is not None
    assert embedder.lipschitz.value <= 1.0 + 1e-6
    levels = [report.metrics[name] for name in ("recall", "certified_1", "certified_5")]
    shares = [value for value in levels if value is not None]
    assert len(shares) == 3
    assert shares == sorted(shares, reverse=True)


def test_a_resumed_run_is_the_same_run(photos_folder, tmp_path):
    options = {"queue": 40, "gallery_edits": 0.5}
    whole = recipe_of(photos_folder, tmp_path, plan_of(steps=12), **options)
    run_training(whole, plan_of(steps=12), folder=tmp_path / "whole", resume=False, observer=Silent())
    first = recipe_of(photos_folder, tmp_path, plan_of(steps=12), **options)
    run_training(first, plan_of(steps=12, minutes=0.0), folder=tmp_path / "cut", resume=False, observer=Silent())
    second = recipe_of(photos_folder, tmp_path, plan_of(steps=12), **options)
    run_training(second, plan_of(steps=12), folder=tmp_path / "cut", resume=True, observer=Silent())
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    assert torch.equal(whole.state()["queue"], second.state()["queue"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon": 0.0},
        {"temperature": -1.0},
        {"threshold": 0.0},
        {"queue": -1},
        {"gallery_edits": 1.5},
        {"source_side": 8},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError):
        CopiesOptions(**{**SMALL, **wrong})


def test_too_few_images_are_refused(photos_folder, tmp_path):
    with pytest.raises(UsageError, match="batch of 200"):
        recipe_of(photos_folder, tmp_path, plan_of(batch=200))


def test_a_run_can_begin_with_the_weights_of_another(photos_folder, tmp_path, first):
    second = recipe_of(photos_folder, tmp_path, plan_of(steps=4), start=first)
    fresh = recipe_of(photos_folder, tmp_path, plan_of(steps=4))
    name = next(iter(fresh.network.state_dict()))
    assert not torch.equal(second.network.state_dict()[name], fresh.network.state_dict()[name])
    assert second.describe()["start"]["run"] == "first"
    with pytest.raises(UsageError, match="another network"):
        recipe_of(photos_folder, tmp_path, plan_of(steps=4), start=first, dim=16)
    with pytest.raises(UsageError, match="is not there"):
        recipe_of(photos_folder, tmp_path, plan_of(steps=4), start=tmp_path / "nowhere")


def test_a_deeper_network_begins_as_the_shallower_one(photos_folder, tmp_path, first):
    same = recipe_of(photos_folder, tmp_path, plan_of(steps=4), start=first)
    deeper = recipe_of(photos_folder, tmp_path, plan_of(steps=8), start=first, depths=(3, 2))
    x = torch.rand(5, 3, 16, 16)
    torch.testing.assert_close(deeper.network(x), same.network(x), rtol=0, atol=1e-5)
    added = "body.stage1.block1.layer.skew"
    before = deeper.network.state_dict()[added].clone()
    run_training(deeper, plan_of(steps=8), folder=tmp_path / "deeper", resume=False, observer=Silent())
    assert not torch.equal(deeper.network.state_dict()[added], before)
    bound = load_model(tmp_path / "deeper" / "best.safetensors").lipschitz
    assert bound is not None
    assert bound.value <= 1.0 + 1e-6


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"widths": (12, 48, 64), "depths": (1, 1, 1), "image": 32}, "another network|depths"),
        ({"depths": (2, 1), "layer": "mix"}, "only a network of orthogonal layers"),
        ({"depths": (2, 1), "centring": "all"}, "only a network of orthogonal layers"),
    ],
)
def test_other_networks_do_not_begin_as_a_shallower_one(photos_folder, tmp_path, first, options, why):
    with pytest.raises(UsageError, match=why):
        recipe_of(photos_folder, tmp_path, plan_of(steps=1), start=first, **{"source_side": 32, **options})


def test_a_shallower_network_does_not_begin_as_a_deeper_one(photos_folder, tmp_path):
    first = recipe_of(photos_folder, tmp_path, plan_of(steps=1), depths=(2, 1))
    run_training(first, plan_of(steps=1, warmup=0), folder=tmp_path / "first", resume=False, observer=Silent())
    with pytest.raises(UsageError, match="cannot begin as one of depths"):
        recipe_of(photos_folder, tmp_path, plan_of(steps=1), start=tmp_path / "first")


def test_the_page_names_every_option():
    page = (Path(retr.__file__).parent / "docs" / "train-copies.md").read_text(encoding="utf-8")
    assert [f.name for f in fields(CopiesOptions) if f"`{f.name}`" not in page] == []
