"""Families of edits: what an enclosure says holds for every member of its cell, value by value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retr.core.errors import UsageError
from retr.images.families.asked import ALL, FAMILIES, read_families
from retr.images.families.family import Continuous, Finite
from retr.images.policy import DecodePolicy

POLICY = DecodePolicy()
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)


def continuous(name: str) -> Continuous:
    family = read_families([name])[0].on(PIXELS, POLICY)
    assert isinstance(family, Continuous)
    return family


def finite(name: str) -> Finite:
    family = read_families([name])[0].on(PIXELS, POLICY)
    assert isinstance(family, Finite)
    return family


NAMED = [name for name in FAMILIES if name != "overlay"]  # which needs a file
CONTINUOUS = [name for name in NAMED if isinstance(read_families([name])[0].on(PIXELS, POLICY), Continuous)]
FINITE = [name for name in NAMED if name not in CONTINUOUS]


@pytest.mark.parametrize("name", CONTINUOUS)
@settings(max_examples=25)
@given(data=st.data())
def test_every_member_lies_in_the_enclosure_of_its_cell(name, data):
    family = continuous(name)
    cell, point = [], []
    for low, high in family.span:
        ends = sorted(data.draw(st.floats(low, high)) for _ in range(2))
        cell.append((ends[0], ends[1]))
        point.append(data.draw(st.floats(*cell[-1])))
    found = family.enclose(tuple(cell))
    away = np.abs(family.member(tuple(point)).astype(np.float64) - found.centre)
    assert (away <= found.half + 1e-9).all()


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_cell_of_one_point_holds_that_member_nearly_alone(name):
    family = continuous(name)
    found = family.enclose(tuple((at, at) for at in family.identity))
    assert found.half.max() <= 0.51
    assert np.abs(family.member(family.identity).astype(float) - PIXELS).max() <= 0


@pytest.mark.parametrize("name", CONTINUOUS)
def test_ends_that_are_closed_belong_to_the_range(name):
    family = continuous(name)
    for at in zip(*family.span, strict=True):
        found = family.enclose(family.span)
        assert (np.abs(family.member(at).astype(float) - found.centre) <= found.half + 1e-9).all()


@pytest.mark.parametrize("name", FINITE)
def test_members_have_the_sizes_that_are_stated(name):
    family = finite(name)
    for at in {0, len(family) // 2, len(family) - 1}:
        made = family.make(at)
        assert made.dtype == np.uint8
        assert made.shape == (*family.sizes[at], 3)
        assert family.label(at)


def test_every_quality_of_a_range_is_a_member():
    family = finite("jpeg:40..44")
    assert sorted(family.values) == [40, 41, 42, 43, 44]


def test_programs_name_encoder_version_and_subsampling():
    programs = [read_families([name])[0].on(PIXELS, POLICY).program for name in ("jpeg", "jpeg-444", "webp")]
    assert "4:2:0" in programs[0]
    assert "4:4:4" in programs[1]
    assert all("Pillow" in program and "lib" in program for program in programs)


def test_all_is_a_list_of_families_that_are_there():
    assert [one.text.partition(":")[0] for one in read_families(["all"])] == list(ALL)
    assert len(read_families(["all", "jpeg", "jpeg"])) == len(ALL)


@pytest.mark.parametrize(
    "text",
    [
        "hue:0..1",
        "jpeg:0..95",
        "jpeg:95..30",
        "jpeg:30.5..95",
        "jpeg:30",
        "brightness:-1..2",
        "gamma:0..1",
        "jpeg:",
        "",
    ],
)
def test_what_cannot_be_a_family_is_refused(text):
    with pytest.raises(UsageError):
        read_families([text])


def test_an_overlay_fades_in_where_it_is_put(tmp_path):
    drawn = np.zeros((4, 6, 4), dtype=np.uint8)
    drawn[..., 0], drawn[..., 3] = 255, 255
    drawn[0, :, 3] = 0
    Image.fromarray(drawn).save(tmp_path / "logo.png")
    family = continuous(f"overlay:{tmp_path / 'logo.png'}@14,10:0..1")
    full = family.member((1.0,))
    assert (full[10] == PIXELS[10]).all()
    assert (full[11, 14:] == (255, 0, 0)).all()
    assert (full[:, :14] == PIXELS[:, :14]).all()
    found = family.enclose(((0.25, 0.5),))
    assert (np.abs(family.member((0.3,)).astype(float) - found.centre) <= found.half + 1e-9).all()
    with pytest.raises(UsageError, match="cannot be read"):
        continuous(f"overlay:{tmp_path / 'none.png'}@0,0")


def test_rotation_bounds_hold_for_every_angle_of_a_cell_and_not_only_for_its_ends():
    family = continuous("rotation:-20..20")
    found = family.enclose(((3.0, 3.8),))
    for angle in np.linspace(3.0, 3.8, 41):
        assert (np.abs(family.member((angle,)).astype(float) - found.centre) <= found.half + 1e-9).all()
    assert found.half.mean() < 100.0


def test_brightness_then_contrast_is_clipped_and_rounded_in_between():
    family = continuous("brightness-contrast:0.5..2")
    made = family.member((2.0, 0.5))
    assert made.max() <= 192
    low, high = family.enclose(((1.0, 2.0), (0.5, 1.0))), family.enclose(((1.9, 2.0), (0.5, 0.55)))
    assert low.half.mean() > high.half.mean()
