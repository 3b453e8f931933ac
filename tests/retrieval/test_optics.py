"""What comes before the network: one resize for all that share it, and block sums where the network sees no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import draw_pictures, embedded_by, small_index

from retr.embedding.block_means import BlockMeans
from retr.embedding.contract import Embedder
from retr.retrieval.channel import QueryView
from retr.retrieval.ranges.optics import Optic, Optics


class Whole(BlockMeans):  # pyright: ignore[reportGeneralTypeIssues]  # final, but for what a test must compare it with
    """The same map that does not say that it begins with sums."""

    def __init__(self, blocks: int) -> None:
        super().__init__(blocks)
        self.sums = 1

    def beyond_sums(self, sums):
        return Embedder.beyond_sums(self, sums) if sums.shape[-1] == self.input_size[1] else super().beyond_sums(sums)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return embedded_by(small_index(tmp_path_factory.mktemp("o"), draw_pictures(3)), BlockMeans(4), threshold=0.9)


@pytest.fixture
def optics(engine):
    other = replace(engine.channels[0], embedder=Whole(4))
    views = (*engine.views, QueryView("left", lambda x: x[..., : x.shape[-1] // 2]))
    return Optics((*engine.channels, other), views)


def test_levels_and_numbers_are_seen_alike(optics):
    pixels = np.random.default_rng(2).integers(0, 256, (23, 31, 3), dtype=np.uint8)
    for ours, theirs in zip(optics.see(pixels), optics.see(pixels.astype(float)), strict=True):
        assert np.allclose(ours, theirs, rtol=0.0, atol=1e-13)


def test_sums_are_those_of_the_resized_image(optics):
    pixels = np.random.default_rng(2).integers(0, 256, (23, 31, 3), dtype=np.uint8)
    seen = dict(zip(optics.every, optics.see(pixels), strict=True))
    assert len(seen) == 4
    for optic, values in seen.items():
        whole = seen[Optic(optic.view, optic.target)].reshape(3, *optic.target)
        cut = whole.reshape(3, optic.shape[0], optic.sums, optic.shape[1], optic.sums)
        assert np.allclose(values, cut.sum(axis=(2, 4)).ravel() / optic.sums, rtol=0.0, atol=1e-12)


def test_sums_bring_nothing_farther_apart(optics):
    rng = np.random.default_rng(5)
    for _ in range(20):
        one, other = (rng.integers(0, 256, (23, 31, 3), dtype=np.uint8) for _ in range(2))
        first, second = optics.see(one), optics.see(other)
        for at, optic in enumerate(optics.every):
            whole = optics.every.index(Optic(optic.view, optic.target))
            assert np.linalg.norm(first[at] - second[at]) <= np.linalg.norm(first[whole] - second[whole]) + 1e-12


def test_a_representative_is_embedded_alike_by_sums_and_by_pixels(optics):
    pixels = np.random.default_rng(2).integers(0, 256, (23, 31, 3), dtype=np.uint8)
    rounding = optics.norms([(23, 31)])[1]
    [probes] = optics.embed(optics.see_all([pixels]), rounding)
    for view in range(2):
        by_sums, by_pixels = probes[view], probes[2 + view]
        assert np.allclose(by_sums.z, by_pixels.z, rtol=0.0, atol=1e-12)
        assert by_sums.proved.forward_error >= by_pixels.proved.forward_error


def test_an_embedder_without_sums_goes_on_with_its_input():
    embedder, x = Whole(2), torch.rand(2, 3, 8, 8, dtype=torch.float64)
    assert torch.equal(embedder.beyond_sums(x), embedder.forward(x))
