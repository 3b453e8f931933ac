"""Faults in proofs about edits (THEORY T12): each is planted where it must be seen, and absent where nothing may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from retr.certificates.edit_ranges import Moves, Rivals, cover_radius, some_probe_holds, stays_ahead
from retr.images.families import affine, curves
from retr.images.families.asked import read_families
from retr.images.families.encoded import through
from retr.images.families.family import Continuous, Enclosure, Finite, between, to_8_bits
from retr.images.policy import DecodePolicy
from retr.images.resize import resize_operator
from retr.retrieval.ranges.cover_cells import halves

POLICY = DecodePolicy()
PIXELS = np.asarray(
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((32, 24))
)


def leaves(family: Continuous, cell=None) -> float:
    """By how many levels a member leaves the enclosure of its cell."""
    cell = family.span if cell is None else cell
    found, worst = family.enclose(cell), 0.0
    grids = np.meshgrid(*[np.linspace(low, high, 9) for low, high in cell], indexing="ij")
    for point in zip(*[grid.ravel() for grid in grids], strict=True):
        away = np.abs(family.member(tuple(map(float, point))).astype(float) - found.centre) - found.half
        worst = max(worst, float(away.max()))
    return worst


def check(planted: bool, excess: float) -> None:
    assert (excess > 0.4) if planted else (excess <= 1e-9)


def by_ends(family: Continuous, member: Callable) -> Continuous:
    """Another program, taken for monotone: its members at the corners are taken for the extremes."""

    def enclose(cell):
        grids = np.meshgrid(*cell, indexing="ij")
        made = [member(tuple(map(float, point))) for point in zip(*[grid.ravel() for grid in grids], strict=True)]
        stack = np.stack(made).astype(np.float64)
        return between(stack.min(axis=0), stack.max(axis=0))

    return replace(family, enclose=enclose, member=member)


def factor(span=(0.4, 2.0)) -> Continuous:
    return affine.brightness(PIXELS, span=span)


def test_hue_declared_monotone(planted):
    def hue(point):
        hsv = np.asarray(Image.fromarray(PIXELS).convert("HSV")).copy()
        hsv[..., 0] = (hsv[..., 0].astype(int) + int(point[0])) % 256
        return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))

    family = replace(factor(), span=((0.0, 255.0),), identity=(0.0,))
    check(planted, leaves(by_ends(family, hue)) if planted else leaves(affine.saturation(PIXELS, span=(0.0, 2.0))))


def two(name, member) -> Continuous:
    whole = read_families(["brightness-contrast:0.5..2"])[0].on(PIXELS, POLICY)
    assert isinstance(whole, Continuous)
    return by_ends(replace(whole, name=name), member)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("second", ["saturation", "jpeg", "downscale"])
def test_a_second_step_that_mixes_values_taken_for_monotone(planted, second):
    def first(amount):
        return to_8_bits(128.0 + amount * (PIXELS.astype(float) - 128.0))

    def member(point):
        made = first(point[0])
        if second == "saturation":
            return np.asarray(ImageEnhance.Color(Image.fromarray(made)).enhance(point[1]))
        if second == "jpeg":
            return through(made, POLICY, format="JPEG", quality=int(20 + 30 * point[1]), subsampling="4:2:0")
        small = Image.fromarray(made).resize((11, 9), Image.Resampling.LANCZOS)
        return np.asarray(small.resize((32, 24), Image.Resampling.LANCZOS))

    sound = read_families(["brightness-contrast:0.5..2"])[0].on(PIXELS, POLICY)
    assert isinstance(sound, Continuous)
    check(planted, leaves(two(second, member)) if planted else leaves(sound))


def test_the_grey_of_the_edited_image_in_place_of_the_query_s(planted):
    """Brightness, then contrast about the mean of what came out: that mean moves with the first factor."""

    def member(point):
        bright = to_8_bits(point[0] * PIXELS.astype(float)).astype(float)
        return to_8_bits(bright.mean() + point[1] * (bright - bright.mean()))

    sound = affine.contrast_mean(PIXELS, span=(0.5, 2.0))
    check(planted, leaves(two("mean", member)) if planted else leaves(sound))


def test_a_lerp_that_truncates_with_nothing_added(planted):
    """f·p + (1 − f)·p in floating point, truncated, is not p: here lo and hi are both p, so r is 0."""
    base = PIXELS.astype(np.float32)

    def member(point):
        amount = np.float32(point[0])
        return (amount * base + (np.float32(1.0) - amount) * base).astype(np.uint8)

    still = Enclosure(PIXELS.astype(float), np.zeros(PIXELS.shape))
    lerp = replace(factor((0.1, 0.9)), enclose=lambda cell: still, member=member)
    check(planted, leaves(lerp) if planted else leaves(affine.fade(PIXELS, colour=(9, 9, 9), span=(0.0, 1.0))))


def test_ends_rounded_before_they_are_moved_outward(planted):
    """A member between half levels may round the other way than an end that is off by the last digit."""
    family = curves.gamma(PIXELS, span=(0.5, 2.0))
    if planted:
        inward = replace(family, enclose=lambda cell: Enclosure(PIXELS * 1.0, family.enclose(cell).half * 0.0))
        check(planted, leaves(inward))
    else:
        check(planted, leaves(family))


def test_the_signed_difference_in_r(planted):
    """Contrast moves dark values down and bright ones up: signed, they cancel in the resize."""
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[::2], pixels[1::2] = 100, 156
    family = affine.contrast(pixels, span=(0.0, 2.0))
    found, resize = family.enclose(family.span), resize_operator((8, 8), (4, 4))
    half = found.half.copy()
    if planted:
        half[::2] *= -1.0
    import torch

    def see(levels):
        return resize.apply(torch.from_numpy(levels.transpose(2, 0, 1).copy())[None])[0].numpy().ravel()

    r = float(cover_radius(see(half), rounding=0.0))
    end = pixels.copy()
    end[::2] = family.member((2.0,))[::2]  # one of the images between lo and hi
    assert (np.linalg.norm(see(end.astype(float)) - see(found.centre)) > r * (1.0 + 1e-9)) == planted


def test_a_missing_quality(planted):
    family = read_families(["jpeg:30..60"])[0].on(PIXELS, POLICY)
    assert isinstance(family, Finite)
    values = np.delete(family.values, 7) if planted else family.values
    assert (sorted(values) != list(range(30, 61))) == planted


def covered(cells, at: float) -> bool:
    return any(low <= at <= high for ((low, high),) in cells)


def places() -> Iterator[float]:
    yield from np.linspace(0.5, 2.0, 1001)
    yield from (0.5, 2.0, 1.25)


def test_gaps_and_open_ends(planted):
    cells = halves(((0.5, 2.0),), factor((0.5, 2.0)))
    if planted:
        cells = [((cells[0][0][0], cells[0][0][1] - 0.01),), cells[1]]
    assert all(covered(cells, at) for at in places()) != planted


def test_members_grouped_by_the_distance_to_a_neighbour(planted):
    """A chain of steps of 0.4 leads far away from its representative."""
    points = np.arange(11.0)[:, None] * 0.4
    true = np.linalg.norm(points - points[0], axis=1)
    if planted:
        claimed = np.full(len(points), float(np.linalg.norm(points[1] - points[0])))
    else:
        claimed = cover_radius(points - points[0], rounding=0.0)
    assert (claimed < true - 1e-12).any() == planted


def moves(covered, resize, budget) -> Moves:
    return Moves(np.atleast_2d(covered), np.atleast_2d(resize), np.atleast_1d(budget))


def test_r_of_one_probe_for_all(planted):
    """The second probe accepts to 1, and its members are 2 away; in the first they are 0.1 away."""
    r = np.array([0.1, 0.1]) if planted else np.array([0.1, 2.0])
    assert some_probe_holds(np.array([-1.0, 1.0]), moves(r, [1.0, 1.0], 0.0))[0] == planted


NO_T1 = np.array([-np.inf])


def test_r_taken_from_i_and_not_added_to_j(planted):
    """i leads by 1; both move by 0.7 in the same probe, so j may pass."""
    own, rival = np.array([2.0]), 1.0
    r = 0.7
    rivals = [Rivals.of(np.array([rival - r if planted else rival]), NO_T1)]  # planted: as if it stood still
    assert stays_ahead(own, rivals, moves([r], [1.0], 0.0), growth=0.0)[0] == planted


def test_only_the_best_probe_of_j(planted):
    """j is at 1 in the first probe and at 0.9 in the second, where a member is 3 away."""
    first, second = Rivals.of(np.array([1.0]), NO_T1), Rivals.of(np.array([0.9]), NO_T1)
    none = Rivals.of(np.zeros(0), np.zeros(0))
    rivals = [first, none] if planted else [first, second]
    assert stays_ahead(np.array([3.0, -9.0]), rivals, moves([0.1, 3.0], [1.0, 1.0], 0.0), growth=0.0)[0] == planted


def test_rho_of_the_query_for_a_smaller_member(planted):
    """Half the size doubles ρ: the same ℓ2 change moves the resized image twice as far."""
    large, small = (resize_operator((side, side), (16, 16)).norm.value for side in (64, 32))
    assert small > 1.9 * large
    reach = np.array([1.5 * large])
    assert some_probe_holds(reach, moves([0.0], [large if planted else small], 1.0))[0] == planted


def test_a_margin_in_pixels_divided_by_rho_again(planted):
    """D is 1 in resized units, 2 pixels with ρ = ½: as a reach of 2 it would cover members 1.5 away."""
    reach = np.array([1.0 / 0.5 if planted else 1.0])
    assert some_probe_holds(reach, moves([1.5], [0.5], 0.0))[0] == planted


def test_representatives_in_draft_mode(planted):
    """A decoder that halves while it reads shows another image than the one that is decided on."""
    made = through(PIXELS, POLICY, format="JPEG", quality=60, subsampling="4:2:0")
    again = through(PIXELS, POLICY, format="JPEG", quality=60, subsampling="4:2:0")
    shown = np.asarray(Image.fromarray(made).reduce(2).resize((32, 24))) if planted else again
    assert (np.abs(made.astype(int) - shown).max() > 0) == planted
