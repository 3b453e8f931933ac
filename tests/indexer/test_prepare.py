"""Views are made from a smaller copy where there are many, and stay what they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from retr.images.decode import load
from retr.images.policy import DecodePolicy
from retr.images.views import parse_view
from retr.indexer.prepare import MANY_VIEWS, Recipe, reduced, resize_views

NAMES = ("original", "flip", "crop-60x70-at-0x50", "border-10x10-black", "turn-left-8-grey", "gamma-60")
VIEWS = tuple(parse_view(name) for name in NAMES)


def recipe(count: int, side: int = 8) -> Recipe:
    return Recipe(DecodePolicy(), VIEWS[:count], ((side, side),))


@pytest.fixture
def image(bad_file_module, tmp_path):
    bad_file_module.photo(300, 203).save(tmp_path / "photo.png")
    return load(tmp_path / "photo.png", policy=DecodePolicy())


def test_large_images_are_reduced_by_a_whole_factor(image):
    short = min(image.pixels.shape[:2])
    found = reduced(image.pixels, recipe(len(VIEWS)))
    factor = short // 32
    assert factor == 6
    assert min(found.shape[:2]) == -(-short // factor)
    boxes = image.pixels[: factor * 4, : factor * 4].reshape(4, factor, 4, factor, 3).mean((1, 3))
    assert np.abs(found[:4, :4] - boxes).max() <= 0.5 + 1e-9
    assert reduced(image.pixels, recipe(MANY_VIEWS)) is image.pixels
    assert reduced(image.pixels, recipe(len(VIEWS), side=40)) is image.pixels


def test_the_item_itself_is_never_reduced_and_its_views_hardly_change(image):
    [few] = resize_views(image, recipe(MANY_VIEWS)).values()
    [many] = resize_views(image, recipe(len(VIEWS))).values()
    assert torch.equal(many[0], few[0])
    assert not torch.equal(many[1], few[1])
    assert (many[:MANY_VIEWS] - few).abs().mean() < 0.02


def test_every_size_gets_every_view(image):
    found = resize_views(image, Recipe(DecodePolicy(), VIEWS, ((8, 8), (16, 12))))
    assert {size: tuple(x.shape) for size, x in found.items()} == {(8, 8): (6, 3, 8, 8), (16, 12): (6, 3, 16, 12)}
    assert Image.fromarray(image.pixels).size == (image.width, image.height)
