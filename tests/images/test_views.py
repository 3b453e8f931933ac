"""View sets: named, deterministic, safe for tiny images, and listed in the module's docstring."""

from __future__ import annotations

import numpy as np
import pytest

from retr.images import views as views_module
from retr.images.views import VIEW_SETS

STANDARD = {view.name: view for view in VIEW_SETS["standard"]}


def picture(bad_file_module) -> np.ndarray:
    return np.asarray(bad_file_module.photo(100, 150))


@pytest.mark.parametrize("name", VIEW_SETS)
def test_sets(bad_file_module, name):
    names = [view.name for view in VIEW_SETS[name]]
    pixels = picture(bad_file_module)
    assert names[0] == "original"
    assert VIEW_SETS[name][0].apply(pixels) is pixels
    assert len(set(names)) == len(names)
    row = next(line for line in (views_module.__doc__ or "").splitlines() if line.startswith(f"| `{name}` |"))
    assert [part.strip(" `") for part in row.split("|")[2].split(",")] == names


def test_sizes_of_the_sets():
    assert [view.name for view in VIEW_SETS["none"]] == ["original"]
    assert [view.name for view in VIEW_SETS["flip"]] == ["original", "flip"]
    assert 16 <= len(VIEW_SETS["standard"]) <= 24


@pytest.mark.parametrize("name", STANDARD)
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (3, 5), (2, 90), (33, 71)])
def test_any_size(name, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    pixels.setflags(write=False)
    found = STANDARD[name].apply(pixels)
    assert found.dtype == np.uint8
    assert found.ndim == 3
    assert found.shape[2] == 3
    assert min(found.shape) >= 1
    assert min(found.strides) > 0
    assert np.array_equal(found, STANDARD[name].apply(pixels.copy()))


def test_views_differ_from_one_another(bad_file_module):
    pixels = picture(bad_file_module)
    distinct = {(found.shape, found.tobytes()) for found in (view.apply(pixels) for view in STANDARD.values())}
    assert len(distinct) == len(STANDARD)


def test_windows(bad_file_module):
    pixels = picture(bad_file_module)
    assert np.array_equal(STANDARD["flip"].apply(pixels), pixels[:, ::-1])
    assert np.array_equal(STANDARD["centre-80"].apply(pixels), pixels[10:90, 15:135])
    assert np.array_equal(STANDARD["top-left-80"].apply(pixels), pixels[:80, :120])
    assert np.array_equal(STANDARD["top-right-80"].apply(pixels), pixels[:80, 30:])
    assert np.array_equal(STANDARD["bottom-left-80"].apply(pixels), pixels[20:, :120])
    assert np.array_equal(STANDARD["bottom-right-80"].apply(pixels), pixels[20:, 30:])
    assert np.array_equal(STANDARD["flip-centre-80"].apply(pixels), pixels[10:90, 15:135][:, ::-1])


def test_pads(bad_file_module):
    pixels = picture(bad_file_module)
    for name, share, level in (("pad-10-black", 0.1, 0), ("pad-20-white", 0.2, 255)):
        found = STANDARD[name].apply(pixels)
        down, across = round(100 * share), round(150 * share)
        assert found.shape == (100 + 2 * down, 150 + 2 * across, 3)
        assert np.array_equal(found[down:-down, across:-across], pixels)
        assert (found[0] == level).all()


def test_turns(bad_file_module):
    pixels = picture(bad_file_module)
    for degrees in (5, 10):
        left, right = STANDARD[f"turn-{degrees}-left"].apply(pixels), STANDARD[f"turn-{degrees}-right"].apply(pixels)
        assert left.shape == right.shape == pixels.shape
        mirrored = STANDARD[f"turn-{degrees}-left"].apply(np.ascontiguousarray(pixels[:, ::-1]))[:, ::-1]
        assert np.abs(mirrored.astype(int) - right).mean() < 3
        assert (left[0, 0] == 128).all()
