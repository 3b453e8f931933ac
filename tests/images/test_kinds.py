"""Made kinds: the same on every call, each picture another one, none of them flat or large."""

from __future__ import annotations

import numpy as np
import pytest

from retr.images.kinds import KINDS, OF_LARGE_SETS, draw_kind, made_kinds


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_a_function_of_its_kind_and_number(kind: str) -> None:
    first, again, other = draw_kind(kind, 3), draw_kind(kind, 3), draw_kind(kind, 4)
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape[2] == 3
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_small_and_nearly_all_of_them_show_something(kind: str) -> None:
    drawn = [draw_kind(kind, number) for number in range(12)]
    assert all(40 <= side <= 160 for picture in drawn for side in picture.shape[:2])
    assert sum(float(picture.std()) < 0.5 for picture in drawn) <= 2


def test_kinds_take_turns_and_numbers_go_on() -> None:
    turns = [kind for kind in KINDS if kind not in OF_LARGE_SETS]
    count = len(turns) + 3
    drawn = list(made_kinds(count))
    assert [kind for kind, _ in drawn] == [*turns, *turns[:3]]
    assert np.array_equal(drawn[-1][1], draw_kind(drawn[-1][0], 1))
    later = next(iter(made_kinds(1, first=7)))
    assert np.array_equal(later[1], draw_kind("page", 7))


def test_nothing_drawn_before_changes_what_is_drawn() -> None:
    alone = draw_kind("slide", 1)
    list(made_kinds(len(KINDS)))
    assert np.array_equal(draw_kind("slide", 1), alone)
