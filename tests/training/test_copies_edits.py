"""Training edits: the same draw gives the same views, each part does what it says, values stay in range."""

from __future__ import annotations

import pytest
import torch

from retr.images.resize import resize_operator
from retr.training.copies_edits import EditChances, edit_batch, to_input

SIDE = 32


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(12, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=48, mode="bicubic").clamp(0, 1)
    return (smooth * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def edit(pixels: torch.Tensor, chances: EditChances | None = None, *, seed: int = 1, aspect: float = 1.5):
    generator = torch.Generator().manual_seed(seed)
    return edit_batch(pixels, torch.full((len(pixels),), aspect), side=SIDE, generator=generator, chances=chances)


def test_the_same_generator_gives_the_same_views(pixels):
    assert torch.equal(edit(pixels), edit(pixels))
    assert not torch.equal(edit(pixels), edit(pixels, seed=2))


def test_values_and_shape(pixels):
    views = edit(pixels, EditChances(**dict.fromkeys(EditChances.__dataclass_fields__, 1.0)))
    assert views.shape == (12, 3, SIDE, SIDE)
    assert views.dtype == torch.float32
    assert float(views.min()) >= 0.0
    assert float(views.max()) <= 1.0


def test_clean_views_are_those_of_the_query_path(pixels):
    expected = resize_operator((48, 48), (SIDE, SIDE)).apply(pixels.permute(0, 3, 1, 2).double() / 255)
    assert (to_input(pixels, SIDE) - expected).abs().max() < 1e-6


def test_no_chance_is_no_edit(pixels):
    untouched = edit(pixels, EditChances.only())
    assert (untouched - to_input(pixels, SIDE)).abs().mean() < 0.01  # another filter, no other edit


def test_flip_mirrors(pixels):
    flipped = edit(pixels, EditChances.only(flip=1.0))
    assert torch.allclose(flipped.flip(3), edit(pixels, EditChances.only()), atol=1e-5)


def test_greyscale_has_one_value_per_pixel(pixels):
    grey = edit(pixels, EditChances.only(grey=1.0))
    assert torch.allclose(grey[:, 0], grey[:, 1], atol=1e-5)
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-5)


def test_blur_keeps_the_mean_and_lowers_the_contrast(pixels):
    plain, blurred = edit(pixels, EditChances.only()), edit(pixels, EditChances.only(blur=1.0))
    assert (plain.mean((2, 3)) - blurred.mean((2, 3))).abs().max() < 0.02
    assert bool((blurred.std((2, 3)) <= plain.std((2, 3)) + 1e-6).all())
    assert blurred.std() < plain.std()


@pytest.mark.parametrize("part", ["crop", "frame", "rotation", "cover", "colour", "noise"])
def test_every_part_changes_views(pixels, part):
    changed = (edit(pixels, EditChances.only(**{part: 1.0})) - edit(pixels, EditChances.only())).abs().mean((1, 2, 3))
    assert int((changed > 1e-3).sum()) >= len(pixels) // 2


def test_a_turn_keeps_proportions():
    """A disc in a wide image is an ellipse once squashed; turned in true proportions it stays the same ellipse."""
    ticks = (torch.arange(48) + 0.5) / 24 - 1
    disc = ((ticks[None] * 2) ** 2 + ticks[:, None] ** 2 < 0.6).to(torch.uint8) * 255  # a circle at width/height = 2
    pixels = disc[None, :, :, None].expand(8, -1, -1, 3).contiguous()
    turned = edit(pixels, EditChances.only(rotation=1.0), aspect=2.0)
    still = edit(pixels, EditChances.only(), aspect=2.0)
    inner = slice(8, 24)  # the corners are filled with another colour
    assert (turned - still)[:, :, inner, inner].abs().mean() < 0.03
