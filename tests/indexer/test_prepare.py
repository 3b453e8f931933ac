"""Views are made from a smaller copy where there are many, and stay what they are."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from retr.embedding.block_means import BlockMeans
from retr.images.decode import load
from retr.images.policy import DecodePolicy
from retr.images.views import parse_view
from retr.indexer.prepare import Recipe, reduced, resize_views

NAMES = ("original", "flip", "crop-60x70-at-0x50", "border-10x10-black", "turn-left-8-grey", "gamma-60")
VIEWS = tuple(parse_view(name) for name in NAMES)


def recipe(count: int, side: int = 8) -> Recipe:
    return Recipe(DecodePolicy(), VIEWS[:count], ((side, side),))


@pytest.fixture
def image(bad_file_module, tmp_path):
    bad_file_module.photo(300, 203).save(tmp_path / "photo.png")
    return load(tmp_path / "photo.png", policy=DecodePolicy())


def test_large_images_are_made_smaller_once(image):
    found = reduced(image.pixels, recipe(len(VIEWS)).sizes)
    short, wide = min(image.pixels.shape[:2]), max(image.pixels.shape[:2])
    assert min(found.shape[:2]) == 20
    assert max(found.shape[:2]) == round(wide * 20 / short)
    assert reduced(image.pixels, recipe(len(VIEWS), side=short).sizes) is image.pixels


@pytest.mark.parametrize("side", [16, 64])
def test_the_quicker_way_leads_to_the_same_place(image, side):
    """Few views go the way of queries. The item itself always does, and the others hardly differ."""
    [many] = resize_views(image, recipe(len(VIEWS), side)).values()
    exact = torch.cat([next(iter(resize_views(image, part(view, side)).values())) for view in VIEWS])
    assert torch.equal(many[0], exact[0])
    assert not torch.equal(many[1], exact[1])
    embedder = BlockMeans(side // 4)
    rows, expected = embedder.forward(many), embedder.forward(exact)
    assert torch.nn.functional.cosine_similarity(rows, expected).min() > 0.995


def part(view, side: int) -> Recipe:
    return Recipe(DecodePolicy(), (view,), ((side, side),))


def test_every_size_gets_every_view(image):
    found = resize_views(image, Recipe(DecodePolicy(), VIEWS, ((8, 8), (16, 12))))
    assert {size: tuple(x.shape) for size, x in found.items()} == {(8, 8): (6, 3, 8, 8), (16, 12): (6, 3, 16, 12)}
    assert Image.fromarray(image.pixels).size == (image.width, image.height)
