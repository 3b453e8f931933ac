"""Triplets made from photos: the order holds by construction, everything follows from seed, photo and kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retr.core.errors import UsageError
from retr.datasets.distortions import DISTORTIONS, PAIRINGS, Distortion, find_pairings
from retr.datasets.rows import RejectedRow
from retr.datasets.synthetic import draw, plan, synthetic
from retr.images.edits import Pixels


def photo(seed: int, height: int = 70, width: int = 90) -> Pixels:
    """Smooth colours with some texture: every distortion shows."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=float)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def rmse(first: Pixels, second: Pixels) -> float:
    return float(np.sqrt(np.mean((first.astype(float) - second) ** 2)))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(6):
        file = folder / ("deep/er" if seed % 2 else "") / f"{seed}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(seed)).save(file)
    (folder / "notes.txt").write_text("no photo")
    return folder


class TestDistortions:
    @pytest.mark.parametrize("kind", DISTORTIONS.values(), ids=lambda kind: kind.name)
    @given(seed=st.integers(0, 2**32), where=st.tuples(st.floats(0, 1), st.floats(0, 1)))
    @settings(max_examples=15, deadline=None)
    def test_stronger_is_farther(self, kind: Distortion, seed: int, where: tuple[float, float]) -> None:
        image = photo(seed % 1000, 64, 64)
        weak, strong = (
            low + place * (high - low) for place, (low, high) in zip(where, (kind.weak, kind.strong), strict=True)
        )
        near, far = (kind.apply(image, strength, np.random.default_rng(seed)) for strength in (weak, strong))
        assert near.shape == far.shape == image.shape
        assert near.dtype == far.dtype == np.uint8
        assert 0 < rmse(image, near) < rmse(image, far)

    @pytest.mark.parametrize("kind", DISTORTIONS.values(), ids=lambda kind: kind.name)
    def test_the_input_is_left_alone_and_equal_generators_give_equal_pixels(self, kind: Distortion) -> None:
        image = photo(1)
        before = image.copy()
        twice = [kind.apply(image, kind.strong[0], np.random.default_rng(5)) for _ in range(2)]
        assert np.array_equal(image, before)
        assert np.array_equal(twice[0], twice[1])

    def test_a_shift_by_whole_pixels_moves_content(self) -> None:
        image = photo(2, 50, 50)
        seed = next(s for s in range(9999) if abs(np.random.default_rng(s).uniform(0, 2 * np.pi)) < 0.005)
        moved = DISTORTIONS["shift"].apply(image, 6.0, np.random.default_rng(seed))  # 3 pixels of 50
        assert np.abs(moved[1:-1, :46].astype(int) - image[1:-1, 3:49]).max() <= 2

    def test_nothing_reaches_beyond_one_pixel_images(self) -> None:
        dot = np.full((1, 1, 3), 77, dtype=np.uint8)
        for name in ("shift", "rotation", "warp"):
            assert np.array_equal(DISTORTIONS[name].apply(dot, 5.0, np.random.default_rng(0)), dot)

    def test_strengths_that_meet_are_refused(self) -> None:
        with pytest.raises(ValueError, match="must be ordered"):
            Distortion("x", (1, 2), (2, 3), DISTORTIONS["blur"].apply)

    def test_names_are_looked_up(self) -> None:
        assert [p.name for p in find_pairings(())] == list(DISTORTIONS)
        assert [p.near is p.far for p in find_pairings(("shift-blur", "jpeg"))] == [False, True]
        with pytest.raises(UsageError, match=r"called haze; choose from jpeg, .*shift-blur"):
            find_pairings(("jpeg", "haze"))
        with pytest.raises(UsageError, match="twice"):
            find_pairings(("jpeg", "jpeg"))


class TestTriplets:
    def test_the_preferred_one_is_the_weaker(self, photos: Path) -> None:
        triplets = synthetic(photos, side=32, count=66)
        assert len(triplets) == 66
        preferences = set()
        for triplet in triplets:
            near, far = (triplet.right, triplet.left) if triplet.preference else (triplet.left, triplet.right)
            assert triplet.reference.shape == near.shape == far.shape == (32, 32, 3)
            assert 0 < rmse(triplet.reference, near) < rmse(triplet.reference, far), triplet.name
            preferences.add(triplet.preference)
            assert triplet.votes is None
            assert triplet.unanimous
        assert preferences == {0.0, 1.0}

    def test_kinds_take_turns_and_share_evenly(self, photos: Path) -> None:
        triplets = synthetic(photos, side=32, count=25)
        assert [p.group for p in triplets.places[:11]] == list(DISTORTIONS)
        assert sorted(triplets.groups().values()) == [2] * 8 + [3] * 3
        assert len({p.name for p in triplets.places}) == 25

    def test_the_same_seed_gives_the_same_pixels_and_another_does_not(self, photos: Path) -> None:
        first, again, other = (synthetic(photos, side=32, count=11, seed=seed) for seed in (3, 3, 4))
        assert first.digest == again.digest != other.digest
        for one, two in zip(first, again, strict=True):
            assert one.name == two.name
            assert all(np.array_equal(a, b) for a, b in zip(one.images, two.images, strict=True))

    def test_a_triplet_does_not_depend_on_the_others(self, photos: Path) -> None:
        few = {t.name: t for t in synthetic(photos, side=32, count=4, kinds=("blur", "noise"))}
        many = {t.name: t for t in synthetic(photos, side=32, count=18, kinds=("noise", "jpeg", "blur"))}
        assert set(few) < set(many)
        for name, triplet in few.items():
            assert all(np.array_equal(a, b) for a, b in zip(triplet.images, many[name].images, strict=True))

    def test_another_photo_displaces_at_most_one(self) -> None:
        names = [f"{number}.jpg" for number in range(50)]
        kinds = find_pairings(("warp",))
        before, after = (
            {r.photo for r in plan(each, count=10, kinds=kinds, seed=1)} for each in (names, [*names, "new.jpg"])
        )
        assert len(before - after) <= 1

    def test_a_name_tells_how_it_is_made(self, photos: Path) -> None:
        triplet = synthetic(photos, side=32, count=3, kinds=("shift-jpeg",), seed=8)[2]
        kind, _, name = triplet.name.partition("/")
        pairing = PAIRINGS["shift-jpeg"]
        recipe = draw(name, pairing, seed=8)
        assert kind == recipe.kind == triplet.group == "shift-jpeg"
        assert recipe.right_is_nearer == bool(triplet.preference)
        assert pairing.near.weak[0] <= recipe.weak <= pairing.near.weak[1]
        assert pairing.far.strong[0] <= recipe.strong <= pairing.far.strong[1]
        assert (photos / recipe.photo).is_file()

    def test_small_photos_are_enlarged(self, tmp_path: Path) -> None:
        Image.fromarray(photo(1, 20, 30)).save(tmp_path / "a.png")
        assert synthetic(tmp_path, side=48, count=1)[0].reference.shape == (48, 48, 3)

    def test_what_cannot_be_made_is_named_and_the_rest_goes_on(self, photos: Path, tmp_path: Path) -> None:
        Image.fromarray(photo(1)).save(tmp_path / "good.png")
        Image.new("RGB", (60, 60), (90, 90, 90)).save(tmp_path / "flat.png")
        (tmp_path / "text.jpg").write_text("no photo")
        outcomes = list(synthetic(tmp_path, side=32, count=3, kinds=("blur",)).outcomes())
        rejects = {(o.file, o.reason) for o in outcomes if isinstance(o, RejectedRow)}
        assert rejects == {("flat.png", "no-effect"), ("text.jpg", "not-an-image")}
        assert len(outcomes) == 3

    def test_impossible_wishes_are_refused(self, photos: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="67 triplets of 11 kinds need 7 photos, and there are 6"):
            synthetic(photos, side=32, count=67)
        with pytest.raises(UsageError, match="at least one triplet"):
            synthetic(photos, side=32, count=0)
        with pytest.raises(UsageError, match="at least 32 pixels"):
            synthetic(photos, side=31, count=1)
        with pytest.raises(UsageError, match="not a folder"):
            synthetic(tmp_path / "gone", side=32)
