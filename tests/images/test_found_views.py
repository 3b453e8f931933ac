"""Windows that are found in pixels: frames, letterboxes, panels, and what a companion's views of a query become."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from retr.core.errors import UsageError
from retr.images.found_views import parse_look, placed
from retr.images.found_windows import panels, trimmed


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    blobs = np.random.default_rng(7).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(blobs).resize((120, 90), Image.Resampling.BICUBIC))


def grey(pixels: np.ndarray) -> np.ndarray:
    return pixels.mean(axis=2, dtype=np.float32)


def framed(photo: np.ndarray, sides: tuple[int, int, int, int], level: int) -> np.ndarray:
    top, bottom, left, right = sides
    height, width = photo.shape[:2]
    whole = np.full((height + top + bottom, width + left + right, 3), level, dtype=np.uint8)
    whole[top : top + height, left : left + width] = photo
    return whole


@pytest.mark.parametrize("sides", [(9, 9, 12, 12), (20, 20, 0, 0), (0, 0, 15, 15), (0, 11, 0, 0)])
def test_uniform_edges_are_trimmed(photo, sides):
    top, _, left, _ = sides
    found = trimmed(grey(framed(photo, sides, 255)))
    assert found == (slice(top, top + photo.shape[0]), slice(left, left + photo.shape[1]))


def test_noise_on_a_frame_does_not_hide_it(photo):
    noisy = framed(photo, (9, 9, 9, 9), 200).astype(np.float32)
    noisy += np.random.default_rng(0).normal(0.0, 1.5, noisy.shape)
    rows, columns = trimmed(noisy.mean(axis=2)) or (slice(0), slice(0))
    assert max(abs(rows.start - 9), abs(columns.start - 9)) <= 1


@pytest.mark.parametrize("level", [0, 90, 255])
def test_nothing_is_trimmed_where_nothing_would_be_left_or_nothing_is_even(photo, level):
    assert trimmed(np.full((40, 50), level, dtype=np.float32)) is None
    assert trimmed(grey(photo)) is None


def overlap(one, other) -> float:
    inner = [max(0, min(a.stop, b.stop) - max(a.start, b.start)) for a, b in zip(one, other, strict=True)]
    areas = [np.prod([side.stop - side.start for side in window]) for window in (one, other)]
    return float(np.prod(inner) / (sum(areas) - np.prod(inner)))


def test_a_picture_in_a_picture_is_a_panel(photo):
    sky = np.linspace(90, 150, 260, dtype=np.float32)[:, None].repeat(300, axis=1)
    whole = sky.copy()
    whole[70 : 70 + photo.shape[0], 110 : 110 + photo.shape[1]] = grey(photo)
    inside = slice(70, 70 + photo.shape[0]), slice(110, 110 + photo.shape[1])
    assert max(overlap(inside, one) for one in panels(whole, 3)) > 0.9
    assert panels(sky, 3) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (17, 400)])
def test_any_size_is_looked_at(shape):
    for pixels in (np.zeros(shape, dtype=np.float32), np.random.default_rng(0).uniform(0, 255, shape)):
        levels = pixels.astype(np.float32)
        for rows, columns in [*panels(levels, 3), *filter(None, [trimmed(levels)])]:
            assert 0 <= rows.start < rows.stop <= shape[0]
            assert 0 <= columns.start < columns.stop <= shape[1]


def test_views_are_placed_where_something_is_found(photo):
    views = [parse_look(name) for name in ("original", "found-trim", "found-trim+flip", "flip")]
    assert [view.found for view in views] == [False, True, True, False]
    assert [view.name for view in placed(views, photo)] == ["original", "flip"]
    whole = framed(photo, (9, 9, 12, 12), 0)
    x = torch.from_numpy(whole.transpose(2, 0, 1).copy())[None]
    own = torch.from_numpy(photo.transpose(2, 0, 1).copy())[None]
    for pixels in (whole, whole / 255.0):
        seen = {view.name: view.pick(x) for view in placed(views, pixels)}
        assert torch.equal(seen["found-trim"], own)
        assert torch.equal(seen["found-trim+flip"], own.flip(-1))
    assert torch.equal(parse_look("found-trim").pick(x), own)
    assert torch.equal(parse_look("found-trim+flip").pick(x.double() / 255.0), own.double().flip(-1) / 255.0)
    assert parse_look("found-panel-3").pick(own[..., :4, :4]).shape == (1, 3, 4, 4)


@pytest.mark.parametrize("name", ["found-panel-4", "found-panel-", "found", "found-trim+turn", "flip+found-trim"])
def test_views_that_there_are_not_are_refused(name):
    with pytest.raises(UsageError, match="is no step"):
        parse_look(name)
