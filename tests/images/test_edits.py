"""Every benign edit is seeded, keeps dtype and bounds, changes a photo, and does what its name says."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from retr.images import edits as edits_module
from retr.images.decode import load
from retr.images.edits import EDITS
from retr.images.jpeg import through_jpeg
from retr.images.policy import DecodePolicy

SIZES = [(1, 1), (1, 2), (3, 5), (2, 40), (40, 2), (33, 71), (120, 90)]
KEEPS_SIZE = {"identity", "jpeg", "blur", "noise", "brightness", "contrast", "saturation", "greyscale", "text", "emoji"}
KEEPS_SIZE |= {"rotation", "flip"}


def picture(bad_file_module, height=120, width=160) -> np.ndarray:
    return np.asarray(bad_file_module.photo(height, width))


def edited(name: str, pixels: np.ndarray, seed: int = 0) -> np.ndarray:
    return EDITS[name].apply(pixels, np.random.default_rng(seed))


@pytest.mark.parametrize("name", EDITS)
class TestEveryEdit:
    def test_determined_by_its_seed(self, bad_file_module, name):
        pixels = picture(bad_file_module, 200, 260)
        first = [edited(name, pixels, seed) for seed in range(6)]
        again = [edited(name, pixels, seed) for seed in range(6)]
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        if name not in {"identity", "greyscale", "flip"}:
            assert any(not np.array_equal(first[0], other) for other in first[1:])

    @pytest.mark.parametrize("size", SIZES)
    def test_any_size(self, name, size):
        pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        pixels.setflags(write=False)
        for seed in range(8):
            found = edited(name, pixels, seed)
            assert found.dtype == np.uint8
            assert found.ndim == 3
            assert found.shape[2] == 3
            assert min(found.shape) >= 1
            assert found.flags.c_contiguous
            if name in KEEPS_SIZE:
                assert found.shape == pixels.shape

    def test_leaves_its_input_alone(self, bad_file_module, name):
        pixels = picture(bad_file_module).copy()
        before = pixels.copy()
        found = edited(name, pixels)
        assert np.array_equal(pixels, before)
        assert not np.shares_memory(found, pixels)

    def test_changes_a_picture_unless_it_is_the_identity(self, bad_file_module, name):
        pixels = picture(bad_file_module)
        for seed in range(8):
            assert np.array_equal(edited(name, pixels, seed), pixels) == (name == "identity")

    def test_changes_a_photo(self, photos, name):
        path = sorted((photos / "dev").rglob("*.jpg"))[0]
        pixels = load(path, policy=DecodePolicy()).pixels
        assert np.array_equal(edited(name, pixels), pixels) == (name == "identity")

    def test_is_in_the_table(self, name):
        geometric = "yes" if EDITS[name].geometric else "no"
        assert f"| `{name}` | {geometric} |" in (edits_module.__doc__ or "")


def test_the_geometric_ones():
    assert {name for name, edit in EDITS.items() if edit.geometric} == {"border", "crop", "rotation", "flip"}
    assert all(name == edit.name for name, edit in EDITS.items())


def test_greyscale_has_equal_channels(bad_file_module):
    found = edited("greyscale", picture(bad_file_module))
    assert (found == found[..., :1]).all()


def test_flip_twice_is_nothing(bad_file_module):
    pixels = picture(bad_file_module)
    assert np.array_equal(edited("flip", edited("flip", pixels)), pixels)


def test_crop_is_a_window(bad_file_module):
    pixels = picture(bad_file_module)
    for seed in range(10):
        height, width = edited("crop", pixels, seed).shape[:2]
        assert 0.69 < height / 120 < 0.91
        assert 0.69 < width / 160 < 0.91


def test_border_keeps_the_picture_inside(bad_file_module):
    pixels = picture(bad_file_module)
    for seed in range(10):
        found = edited("border", pixels, seed)
        down, across = (found.shape[0] - 120) // 2, (found.shape[1] - 160) // 2
        assert np.array_equal(found[down:-down, across:-across], pixels)
        assert (found[0] == found[0, 0]).all()


def test_resize_reaches_its_short_side(bad_file_module):
    pixels = picture(bad_file_module, 300, 400)
    for seed in range(10):
        height, width = edited("resize", pixels, seed).shape[:2]
        assert 64 <= height <= 128
        assert width == pytest.approx(height * 4 / 3, abs=1)


def test_enlarged_brightness_is_brighter_or_darker(bad_file_module):
    pixels = picture(bad_file_module)
    means = [edited("brightness", pixels, seed).mean() / pixels.mean() for seed in range(30)]
    assert min(means) < 0.9
    assert max(means) > 1.1
    assert all(abs(mean - 1) > 0.05 for mean in means)


def test_noise_has_the_stated_strength(bad_file_module):
    pixels = np.full((200, 200, 3), 128, np.uint8)
    spreads = [edited("noise", pixels, seed).std() for seed in range(20)]
    assert 3.9 < min(spreads) < max(spreads) < 16.2


def test_overlays_leave_most_of_the_picture(bad_file_module):
    pixels = picture(bad_file_module, 240, 320)
    for name in ("text", "emoji"):
        shares = [(edited(name, pixels, seed) != pixels).any(axis=2).mean() for seed in range(12)]
        assert 0.001 < min(shares) < max(shares) < 0.3


def test_jpeg_of_a_large_image_is_made_without_pillows_alarm(bad_file_module, monkeypatch):
    """Pillow warns of images beyond a limit of its own and refuses those of twice its size, our own files too."""
    pixels = picture(bad_file_module)
    expected = through_jpeg(pixels, quality=40)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels.shape[0] * pixels.shape[1] // 3)
    assert np.array_equal(through_jpeg(pixels, quality=40), expected)


def test_through_jpeg_is_what_pillow_opens(bad_file_module):
    pixels, buffer = picture(bad_file_module), BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=30, subsampling="4:2:0")
    assert np.array_equal(through_jpeg(pixels, quality=30), np.array(Image.open(buffer)))
