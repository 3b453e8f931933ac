"""Distances between crops that are never made, against those between crops that are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import draw_pictures, embedded_by, small_index

from retr.core.errors import UsageError
from retr.embedding.block_means import BlockMeans
from retr.images.families.geometry import Crops, crops, windows
from retr.retrieval.channel import QueryView
from retr.retrieval.ranges.crop_members import CropMembers
from retr.retrieval.ranges.members import MadeMembers
from retr.retrieval.ranges.optics import Optics


@pytest.fixture(scope="module")
def optics(tmp_path_factory):
    engine = embedded_by(small_index(tmp_path_factory.mktemp("c"), draw_pictures(4)), BlockMeans(4), threshold=0.9)
    other = embedded_by(engine, BlockMeans(2), threshold=0.9)
    return Optics((*engine.channels, *other.channels), engine.views)


def budget(values: int) -> float:
    return values**0.5 / 255.0


@pytest.fixture(scope="module")
def family() -> Crops:
    return crops(np.random.default_rng(1).integers(0, 256, (21, 34, 3), dtype=np.uint8), share=0.85)


def test_every_window_is_there_once():
    found = windows(20, 0.9)
    assert len(found) == len({tuple(one) for one in found}) == 1 + 2 + 3
    assert all(at + size <= 20 and size >= 18 for at, size in found)


def test_members_are_the_windows_that_they_say(family):
    seen = {family.make(at).tobytes() for at in range(len(family))}
    assert len(seen) == len(family) == len(windows(21, 0.85)) * len(windows(34, 0.85))
    assert family.make(0).shape == family.pixels.shape
    assert all(family.make(at).shape[:2] == tuple(family.sizes[at]) for at in range(len(family)))


def test_distances_are_those_of_the_crops_and_never_less(family, optics):
    fast, made = CropMembers.of(family, optics, budget), MadeMembers.of(family, optics, budget)
    every = np.arange(len(family))
    for place in (0, 7, len(family) - 1):
        ours, theirs = fast.moves(place, every), made.moves(place, every)
        true = np.stack([np.linalg.norm(one - one[place], axis=1) for one in made.seen], axis=1)
        assert (ours.covered >= true - 1e-12).all()
        assert np.allclose(ours.covered, theirs.covered, atol=2e-4)
        assert (ours.resize == theirs.resize).all()
        assert (ours.budget == theirs.budget).all()


def test_what_is_not_compared_is_infinitely_far(family, optics):
    fast = CropMembers.of(family, optics, budget)
    found = fast.moves(0, np.arange(len(family)), room=0.0)
    assert np.isfinite(found.covered[0]).all()
    assert np.isinf(found.covered[-1]).all()


def test_picked_crops_are_among_those_asked_about(family, optics):
    fast = CropMembers.of(family, optics, budget)
    places = np.arange(5, len(family), 2)
    assert list(fast.pick(places, np.arange(float(len(family)))[::-1], 4)) == [places[-1]]
    fast.moves(0, places, room=0.5)
    picked = fast.pick(places, np.zeros(len(family)), 4)
    assert set(picked) <= set(places)
    assert len(picked) == len(set(picked))


def test_a_view_of_the_query_goes_the_long_way(family, optics):
    half = QueryView("left", lambda x: x[..., : x.shape[-1] // 2])
    found = MadeMembers.of(family, replace(optics, views=(half,)), budget)
    assert found.seen[0].shape[0] == len(family)
    x = torch.zeros((1, 3, 21, 34))
    assert half.pick(x).shape[-1] == 17


def test_too_many_crops_are_refused():
    with pytest.raises(UsageError, match="larger share"):
        crops(np.zeros((2000, 3000, 3), dtype=np.uint8), share=0.9)
