"""How far the members of a finite family are from what stands for them in its proof, exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..images.families.geometry import Crops
from .channel import Float64
from .range_channel import RangeChannel
from .ranges.covers import MemberCover

_COLUMNS = 64
"""Windows of columns whose crops are resized across together."""

Seen = dict[int, list[Float64]]
"""Number of a representative → per channel what is seen of it."""


def distances_of(cover: MemberCover, seen: Seen, tests: Sequence[RangeChannel]) -> Float64:
    """(m, c) of each member from what stands for it."""
    out = np.empty((len(cover.places), len(tests)))
    for at, (place, by) in enumerate(zip(cover.places.tolist(), cover.by.tolist(), strict=True)):
        image = cover.family.make(place)
        out[at] = [np.linalg.norm(test.see(image) - own) for test, own in zip(tests, seen[by], strict=True)]
    return out


def parameters_of(cover: MemberCover, place: int) -> list[int]:
    """What a member is made by, in whole numbers."""
    family, value = cover.family, float(cover.family.values[place])
    if isinstance(family, Crops):
        (top, tall), (left, wide) = (
            family.rows[place // len(family.columns)],
            family.columns[place % len(family.columns)],
        )
        return [int(top), int(left), int(tall), int(wide)]
    if family.name == "downscale-jpeg":
        return [round(value / 10.0), 95 - place % 66]
    if family.name.startswith(("downscale", "rescale")):
        return [round(value * int(family.sizes.max()) / 100.0)]
    return [round(value)]


def crop_distances(cover: MemberCover, seen: Seen, tests: Sequence[RangeChannel]) -> Float64:
    """(m, c) for all crops: those of one window of columns are resized across at once."""
    family = cover.family
    assert isinstance(family, Crops), "windows"
    out, planes = np.empty((len(cover.places), len(tests))), (family.pixels / 255.0).transpose(0, 2, 1)
    rows, columns = np.divmod(cover.places, len(family.columns))
    for number, test in enumerate(tests):
        for start in range(0, len(family.columns), _COLUMNS):
            block = range(start, min(start + _COLUMNS, len(family.columns)))
            flat = np.stack([_across(test, planes, *family.columns[column]) for column in block], axis=1)
            for row in np.unique(rows):
                at = np.flatnonzero((rows == row) & (columns >= block.start) & (columns < block.stop))
                if not at.size:
                    continue
                top, tall = family.rows[row]
                chosen = flat[top : top + tall, columns[at] - start].reshape(int(tall), -1)
                made = _factor(test, int(tall)) @ chosen
                crops = made.reshape(len(made), len(at), 3, -1).transpose(1, 2, 0, 3).reshape(len(at), -1)
                stands = np.stack([seen[int(by)][number] for by in cover.by[at]])
                out[at, number] = np.linalg.norm(crops - stands, axis=1)
    return out


def _across(test: RangeChannel, planes: Float64, left: int, wide: int) -> Float64:
    """(H, 3, w) a window of columns, resized across."""
    return planes[:, :, left : left + wide] @ _factor(test, int(wide)).T


def _factor(test: RangeChannel, side: int) -> Float64:
    """The matrix of one side; sums are divided by √k on each."""
    matrix = test.resize((side, side)).rows
    return matrix.reshape(len(matrix) // test.sums, test.sums, side).sum(axis=1) / math.sqrt(test.sums)
