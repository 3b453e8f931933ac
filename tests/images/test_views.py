"""Views: what each step does, names that parse to themselves, sets that keep their budgets."""

from __future__ import annotations

import numpy as np
import pytest

from retr.core.errors import UsageError
from retr.images.views import LEVELS, VIEW_ROWS, VIEW_SETS, parse_view

STEPS = {
    "original": (100, 150),
    "flip": (100, 150),
    "crop-80x60-at-0x100": (80, 90),
    "border-10x20-black": (120, 210),
    "border-0x1-white": (100, 154),
    "turn-left-7-grey": (100, 150),
    "turn-right-20-black": (100, 150),
    "window-9-0-4-dark": (109, 162),
    "window-9-8-0-light": (117, 150),
    "bar-across-16-at-50-white": (100, 150),
    "bar-down-16-at-0-black": (100, 150),
    "grey": (100, 150),
    "gamma-160": (100, 150),
    "flip+crop-50x50-at-50x50+border-10x10-grey": (60, 91),
}
EVERY = sorted({*STEPS, *(view.name for views in VIEW_SETS.values() for view in views)})


@pytest.fixture
def pixels(bad_file_module) -> np.ndarray:
    found = np.asarray(bad_file_module.photo(100, 150))
    found.setflags(write=False)
    return found


def of(name: str, pixels: np.ndarray) -> np.ndarray:
    return parse_view(name).apply(pixels)


@pytest.mark.parametrize(("name", "size"), STEPS.items())
def test_every_step_has_its_size(pixels, name, size):
    assert of(name, pixels).shape == (*size, 3)
    assert parse_view(name).name == name


@pytest.mark.parametrize("name", [" ", "flop", "flip+", "flip flip", "original\n", "gamma-0", "window-9-8-4"])
@pytest.mark.parametrize("before", ["", "flip+"])
def test_other_words_are_no_views(name, before):
    with pytest.raises(UsageError, match="no step of a view"):
        parse_view(before + name)


@pytest.mark.parametrize("name", ["crop-0x50-at-0x0", "crop-80-at-0x0", "crop-101x50-at-0x0", "border-5x5-red"])
def test_numbers_and_levels_have_ranges(name):
    with pytest.raises(UsageError, match="no step of a view"):
        parse_view(name)


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (3, 5), (2, 90), (33, 71)])
def test_any_size(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    pixels.setflags(write=False)
    for name in EVERY:
        found = of(name, pixels)
        assert found.dtype == np.uint8
        assert found.ndim == 3
        assert found.shape[2] == 3
        assert min(found.shape) >= 1
        assert min(found.strides) > 0
        assert np.array_equal(found, of(name, pixels.copy()))


def test_crops(pixels):
    assert np.array_equal(of("crop-80x80-at-50x50", pixels), pixels[10:90, 15:135])
    assert np.array_equal(of("crop-80x60-at-0x100", pixels), pixels[:80, 60:])
    assert np.array_equal(of("crop-100x50-at-0x0", pixels), pixels[:, :75])


def test_flips_and_steps_in_turn(pixels):
    assert np.array_equal(of("flip", pixels), pixels[:, ::-1])
    assert np.array_equal(of("flip+crop-80x60-at-0x100", pixels), pixels[:, ::-1][:80, 60:])
    assert np.array_equal(of("crop-80x60-at-0x0+flip", pixels), pixels[:80, :90][:, ::-1])


@pytest.mark.parametrize("level", LEVELS)
def test_surroundings(pixels, level):
    found = of(f"border-10x20-{level}", pixels)
    assert np.array_equal(found[10:-10, 30:-30], pixels)
    assert (found[0] == LEVELS[level]).all()
    assert (found[:, 0] == LEVELS[level]).all()
    shot = of(f"window-9-8-4-{level}", pixels)
    assert np.array_equal(shot[9:-8, 6:-6], pixels)
    assert (shot[:9] == LEVELS[level]).all()
    assert (shot[-8:] == LEVELS[level]).all()


def test_turns(pixels):
    left, right = of("turn-left-10-grey", pixels), of("turn-right-10-grey", pixels)
    mirrored = of("flip+turn-left-10-grey+flip", pixels)
    assert np.abs(mirrored.astype(int) - right).mean() < 3
    assert (left[0, 0] == 128).all()
    assert (of("turn-left-10-white", pixels)[0, 0] == 255).all()


def test_bars(pixels):
    found = of("bar-across-16-at-50-white", pixels)
    assert (found[42:58] == 255).all()
    assert np.array_equal(found[:42], pixels[:42])
    assert np.array_equal(found[58:], pixels[58:])
    upright = of("bar-down-20-at-100-black", pixels)
    assert (upright[:, 120:] == 0).all()
    assert np.array_equal(upright[:, :120], pixels[:, :120])


def test_light_and_colour(pixels):
    grey = of("grey", pixels)
    assert (grey == grey[..., :1]).all()
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert np.array_equal(of("gamma-100", ramp), ramp)
    assert np.array_equal(of("gamma-200", ramp)[0, :, 0], np.rint(np.arange(256) ** 2 / 255))


@pytest.mark.parametrize("name", VIEW_SETS)
def test_sets(pixels, name):
    names = [view.name for view in VIEW_SETS[name]]
    assert names[0] == "original"
    assert VIEW_SETS[name][0].apply(pixels) is pixels
    assert len(set(names)) == len(names)
    distinct = {(found.shape, found.tobytes()) for found in (view.apply(pixels) for view in VIEW_SETS[name])}
    assert len(distinct) == len(names)


def test_sets_keep_their_budgets():
    """Both channels of the default: 768 block means and 256 numbers of retr_s, one byte each."""
    assert set(VIEW_ROWS) == set(VIEW_SETS)
    assert [view.name for view in VIEW_SETS["none"]] == ["original"]
    assert [view.name for view in VIEW_SETS["flip"]] == ["original", "flip"]
    width = {"float32": 4, "float16": 2, "int8": 1}
    cost = {name: len(views) * (768 + 256) * width[VIEW_ROWS[name]] for name, views in VIEW_SETS.items()}
    assert cost["light"] <= 16 * 1024
    assert cost["standard"] <= 128 * 1024
