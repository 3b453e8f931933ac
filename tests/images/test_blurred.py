"""Gaussian blur: the weights of all widths of a cell lie where they are said to, and with them every pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from retr.images.families import blurred
from retr.images.families.blurred import WIDEST, away, blur, weights_of

PIXELS = np.random.default_rng(1).integers(0, 256, (23, 31, 3), dtype=np.uint8)
PICTURE = np.asarray(Image.fromarray(PIXELS).filter(ImageFilter.GaussianBlur(2)))
STEP = (np.indices((23, 31))[1][..., None] > 15).repeat(3, axis=2).astype(np.uint8) * 255


@settings(max_examples=200, deadline=None)
@given(ends=st.tuples(st.floats(0.0, WIDEST), st.floats(0.0, WIDEST)), part=st.floats(0.0, 1.0))
@example(ends=(0.9, 1.1), part=0.5)  # the peak of the weights beside the middle
@example(ends=(0.0, 4.0), part=0.25)
def test_every_weight_of_a_cell_is_as_near_to_the_middle_s_as_is_said(ends, part) -> None:
    low, high = min(ends), max(ends)
    middle = 0.5 * (low + high)
    moved = np.abs(weights_of(low + part * (high - low)) - weights_of(middle))
    assert (moved <= away((low, high), middle)).all()


def test_weights_rise_until_the_variance_reaches_them_and_fall_after() -> None:
    """What the bound of the weights rests on, on a fine grid."""
    grid = np.linspace(0.05, WIDEST, 4000)
    rows = np.array([weights_of(one) for one in grid])
    at = np.arange(-blurred.REACH, blurred.REACH + 1)
    spread = rows @ at**2
    assert (np.diff(spread) >= -1e-12).all()
    rising = at[None] ** 2 > spread[1:, None]
    assert (np.where(rising, np.diff(rows, axis=0), 0.0) >= -1e-15).all()
    falling = at[None] ** 2 < spread[:-1, None]
    assert (np.where(falling, -np.diff(rows, axis=0), 0.0) >= -1e-15).all()


@pytest.mark.parametrize("pixels", [PIXELS, PICTURE, STEP], ids=["noise", "picture", "step"])
@pytest.mark.parametrize("cell", [(0.0, 0.2), (0.3, 0.4), (0.5, 0.6), (0.9, 1.1), (1.9, 2.0), (0.0, 4.0), (1.0, 1.0)])
def test_brute_force_over_a_cell(pixels, cell) -> None:
    family = blur(pixels, span=(0.0, WIDEST))
    found = family.enclose((cell,))
    for width in np.linspace(cell[0], cell[1], 33):
        gone = np.abs(family.member((float(width),)).astype(np.float64) - found.centre)
        assert (gone <= found.half + 1e-9).all()


def test_small_cells_say_much_and_a_bound_without_its_reasons_fails() -> None:
    family = blur(PICTURE, span=(0.0, WIDEST))
    cell = (1.0, 1.1)
    found = family.enclose((cell,))
    assert found.half.mean() < 6.0
    # Planted: as if pixels moved by the difference of the ends, which both lie on one side of the middle's peak.
    ends = [blurred.blurred(PICTURE.astype(float), width) for width in cell]
    half = 0.5 * np.abs(ends[0] - ends[1])
    centre = 0.5 * (ends[0] + ends[1])
    inner = [blurred.blurred(PICTURE.astype(float), width) for width in np.linspace(cell[0], cell[1], 9)]
    assert max((np.abs(one - centre) - half).max() for one in inner) > 1e-6


def test_it_is_what_is_called_gaussian_blur() -> None:
    constant = np.full((40, 40, 3), 77, dtype=np.uint8)
    assert (blur(constant, span=(0.0, 4.0)).member((3.3,)) == 77).all()
    dot = np.zeros((41, 41, 3))
    dot[20, 20] = 255.0
    made = blurred.blurred(dot, 1.5)
    at = np.arange(41) - 20.0
    for axis in (0, 1):
        profile = made[..., 0].sum(axis=1 - axis) / 255.0
        assert profile.sum() == pytest.approx(1.0, abs=1e-12)
        assert (profile * at**2).sum() == pytest.approx(2.25, abs=1e-3)
    assert (blur(PIXELS, span=(0.0, 2.0)).member((0.0,)) == PIXELS).all()
