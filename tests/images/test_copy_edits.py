"""The twenty edit families: seeded, recorded, within the ranges that their table states."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from retr.core.errors import UsageError
from retr.images import copy_edits, copy_edits_more
from retr.images.copy_edits import FAMILIES, MORE, edited
from retr.images.copy_edits_colour import Pixels

NAMES = list(FAMILIES)
EVERY = FAMILIES | MORE
DRAWS = 400


def picture(height: int = 120, width: int = 90, seed: int = 0) -> Pixels:
    coarse = np.random.default_rng(seed).integers(40, 216, (height // 10, width // 10, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, 10, axis=0), 10, axis=1)


def drawn(family: str) -> list[dict[str, Any]]:
    return [EVERY[family].draw(np.random.default_rng(seed)) for seed in range(DRAWS)]


def spread(values: list[float], low: float, high: float) -> None:
    """All inside [low, high], and close to both ends."""
    room = 0.05 * (high - low)
    assert low <= min(values) <= low + room
    assert high - room <= max(values) <= high


def test_there_are_twenty_and_the_table_lists_them_in_order() -> None:
    rows = [line.split("|") for line in (copy_edits.__doc__ or "").splitlines() if line.startswith("| `")]
    table = {row[1].strip(" `"): row[2].strip() for row in rows}
    assert list(table) == NAMES
    assert len(NAMES) == 20
    assert table == {name: "yes" if family.geometric else "no" for name, family in FAMILIES.items()}


def test_those_beyond_the_twenty_have_a_table_of_their_own() -> None:
    rows = [line.split("|") for line in (copy_edits_more.__doc__ or "").splitlines() if line.startswith("| `")]
    table = {row[1].strip(" `"): row[2].strip() for row in rows}
    assert list(table) == list(MORE)
    assert table == {name: "yes" if family.geometric else "no" for name, family in MORE.items()}
    assert not set(MORE) & set(FAMILIES)


@pytest.mark.parametrize("family", EVERY)
class TestEveryFamily:
    def test_it_is_a_function_of_seed_image_and_family(self, family: str) -> None:
        pixels = picture()
        before = pixels.copy()
        first, again = (edited(pixels, family, seed=3, image="a") for _ in range(2))
        assert np.array_equal(first.pixels, again.pixels)
        assert first.parameters == again.parameters
        assert np.array_equal(pixels, before)

    def test_another_seed_or_image_draws_anew(self, family: str) -> None:
        over_seeds = [str(edited(picture(), family, seed=s, image="a").parameters) for s in range(5)]
        over_images = [str(edited(picture(), family, seed=3, image=i).parameters) for i in "abcde"]
        for draws in (over_seeds, over_images):
            assert (len(set(draws)) > 1) == (draws[0] != "{}")

    def test_parameters_are_json_and_make_the_image_again(self, family: str) -> None:
        result = edited(picture(), family, seed=0, image="x")
        read = json.loads(json.dumps(result.parameters))
        assert np.array_equal(EVERY[family].apply(picture(), read), result.pixels)

    def test_it_changes_pixels_unless_it_is_the_identity(self, family: str) -> None:
        result = edited(picture(), family, seed=0, image="x")
        assert np.array_equal(result.pixels, picture()) == (family == "identity")
        assert result.pixels.dtype == np.uint8
        assert result.pixels.shape[2] == 3
        assert result.pixels.flags.c_contiguous

    @pytest.mark.parametrize("size", [(1, 1), (1, 40), (37, 2)])
    def test_small_images_survive(self, family: str, size: tuple[int, int]) -> None:
        pixels = np.full((*size, 3), 90, dtype=np.uint8)
        for seed in range(8):
            assert min(edited(pixels, family, seed=seed, image="x").pixels.shape[:2]) >= 1


class TestRanges:
    @pytest.mark.parametrize(
        ("family", "key", "low", "high"),
        [
            ("jpeg", "quality", 10, 60),
            ("blur", "sigma_share", 0.004, 0.015),
            ("noise", "sigma", 4, 20),
            ("brightness", "factor", 0.6, 1.5),
            ("contrast", "factor", 0.6, 1.5),
            ("gamma", "exponent", 0.5, 2.0),
            ("saturation", "factor", 0.0, 2.0),
            ("bar", "thickness", 0.08, 0.25),
            ("screenshot", "title", 0.06, 0.12),
            ("rotation", "degrees", -20, 20),
            ("crop", "height", 0.5, 0.95),
            ("crop", "width", 0.5, 0.95),
            ("aspect", "factor", 0.6, 1.67),
            ("downscale", "longest", 64, 128),
            ("quarter", "quarters", 1, 3),
            ("rotation-45", "degrees", -45, 45),
            ("crop-30", "height", 0.3, 0.5),
            ("picture-in-picture", "share", 0.3, 0.7),
            ("caption", "share", 0.15, 0.3),
            ("screen", "falls", 0.05, 0.25),
            ("halftone", "pitch", 3, 6),
            ("remap", "share", 0.6, 1.0),
            ("sharpen", "percent", 100, 300),
            ("twice", "second", 10, 50),
            ("blur-part", "sigma_share", 0.03, 0.08),
        ],
    )
    def test_the_whole_range_and_no_more(self, family: str, key: str, low: float, high: float) -> None:
        spread([parameters[key] for parameters in drawn(family)], low, high)

    @pytest.mark.parametrize(
        ("family", "key", "low", "high"),
        [("brightness", "factor", 0.85, 1.15), ("gamma", "exponent", 0.8, 1.25), ("aspect", "factor", 0.85, 1.18)],
    )
    def test_nothing_that_hardly_edits(self, family: str, key: str, low: float, high: float) -> None:
        assert not [p for p in drawn(family) if low < p[key] < high]

    def test_a_bar_hides_at_most_a_quarter(self) -> None:
        pixels = picture(100, 80)
        hidden = [(edited(pixels, "bar", seed=s, image="x").pixels != pixels).any(-1).mean() for s in range(50)]
        assert 0.0 < min(hidden) < 0.12
        assert 0.2 < max(hidden) <= 0.25

    def test_downscaling_sets_the_longest_side_and_never_enlarges(self) -> None:
        large = [edited(picture(400, 300), "downscale", seed=s, image="x").pixels.shape for s in range(30)]
        assert all(64 <= max(shape) <= 128 for shape in large)
        assert all(abs(shape[0] * 3 - shape[1] * 4) <= 4 for shape in large)
        small = [edited(picture(50, 40), "downscale", seed=s, image="x").pixels.shape for s in range(5)]
        assert {max(shape) for shape in small} == {38}

    def test_aspect_keeps_the_area(self) -> None:
        for seed in range(20):
            height, width, _ = edited(picture(), "aspect", seed=seed, image="x").pixels.shape
            assert abs(height * width / (120 * 90) - 1) < 0.02

    def test_border_keeps_the_image_inside(self) -> None:
        for seed in range(20):
            result = edited(picture(), "border", seed=seed, image="x")
            height, width, _ = result.pixels.shape
            down, across = (height - 120) // 2, (width - 90) // 2
            assert np.array_equal(result.pixels[down : down + 120, across : across + 90], picture())
            assert 0.03 * 120 <= max(down, across) <= 0.21 * 120

    def test_two_are_two_different_ones_in_order(self) -> None:
        pairs = [tuple(step["family"] for step in p["steps"]) for p in drawn("two")]
        assert all(first != second for first, second in pairs)
        assert {name for pair in pairs for name in pair} == set(NAMES) - {"identity", "two"}
        result = edited(picture(), "two", seed=5, image="x")
        first, second = result.parameters["steps"]
        by_hand = FAMILIES[second["family"]].apply(FAMILIES[first["family"]].apply(picture(), first), second)
        assert np.array_equal(result.pixels, by_hand)


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(UsageError, match=re.escape("no edit family is called 'melt'; choose from identity, jpeg")):
        edited(picture(), "melt", seed=0, image="x")
