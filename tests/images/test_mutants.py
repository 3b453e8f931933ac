"""Mutated files through the isolated decoder and an index; ``make fuzz-images`` does thousands of them."""

from __future__ import annotations

import sys

import pytest
from fuzz_images import fuzz
from mutate_images import CHANGES, mutants, seeds

from retr.images.decode import decode
from retr.images.policy import DecodePolicy


def test_seeds_are_good_images():
    for name, data in seeds().items():
        assert decode(data, policy=DecodePolicy()).width > 1, name


def test_the_same_numbers_make_the_same_files():
    assert list(mutants(5, 3)) == list(mutants(5, 3))
    assert list(mutants(5, 3)) != list(mutants(5, 4))


def test_every_change_is_drawn_and_changes_something():
    names = "+".join(name for name, _ in mutants(120))
    assert all(f"+{change}" in names for change in CHANGES)
    originals = set(seeds().values())
    assert sum(data in originals for _, data in mutants(120)) < 6


@pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
def test_every_file_is_accounted_for(tmp_path):
    found = fuzz(200, 1, tmp_path)
    assert found.faults == []
    assert sum(found.outcomes.values()) == found.seen == 200
    assert found.outcomes["image"] == found.indexed > 10
    assert not {"decoder-crashed", "too-slow"} & set(found.outcomes)
