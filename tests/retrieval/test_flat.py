"""What a cosine refuses for want of a direction, and that radii end before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import Quiet, draw

from retr.core.types import UpperBound
from retr.embedding.block_means import BlockMeans
from retr.embedding.registry import load_embedder
from retr.images.resize import resize_operator
from retr.indexer.blank import FLAT_QUERY
from retr.indexer.build import IndexOptions, build_index
from retr.retrieval.engine import Engine

ROUNDING = 1e-4


class Coarse(BlockMeans):  # pyright: ignore[reportGeneralTypeIssues]
    """Block means of which no better rounding is proved."""

    def rounding(self, dtype: torch.dtype) -> UpperBound:
        return UpperBound(ROUNDING, "for tests")


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    root = tmp_path_factory.mktemp("flat")
    for number in range(6):
        draw(root / "corpus" / f"{number}.png", number)
    build_index(str(root / "corpus"), root / "index", IndexOptions(models=("block-means:4",)), Quiet())
    engine = Engine.open(root / "index", threshold=0.9)
    return replace(engine, channels=(replace(engine.channels[0], embedder=Coarse(4)),))


def picture(length: float) -> np.ndarray:
    """A picture at the input size whose embedding is so long."""
    image = np.random.default_rng(3).random((16, 16, 3))
    blocks = BlockMeans(4).forward(torch.from_numpy(image.transpose(2, 0, 1))[None])
    return 0.5 + (image - 0.5) * length / float(blocks.norm())


@pytest.mark.parametrize("factor", [0.5, 0.99, 1.01, 3.0])
def test_an_embedding_that_may_be_rounding_is_refused(engine, factor):
    found = engine.answer(picture(factor * ROUNDING), k=3, certify=True)
    assert bool(found.matches) == (factor > 1)
    if factor < 1:
        assert found.withheld is not None
        assert "is flat to" in found.withheld


def test_the_radius_ends_before_the_refusal(engine):
    image = picture(20 * ROUNDING)
    found = engine.answer(image, k=30, certify=True)
    last = found.matches[-1].topk
    query = engine.channels[0].embed_query(image)
    assert last is not None
    assert query.lipschitz is not None
    assert query.flat == pytest.approx(ROUNDING, rel=1e-6)
    assert query.forward_error is not None
    most = (float(np.linalg.norm(query.z)) - 2 * query.forward_error - query.flat) / query.lipschitz.value
    assert last.l2 <= most
    assert last.l2 == pytest.approx(most, rel=1e-5)
    towards_flat = (0.5 - image) / np.linalg.norm(0.5 - image)
    assert engine.answer(image + 0.999 * last.l2 * towards_flat, k=30).matches
    assert not engine.answer(image + 0.999 * (0.5 - image), k=30).matches


def test_of_the_shipped_models_the_proved_rounding_is_what_is_refused():
    """5e-12 for block means, below the convention of 1e-9; 1.1e-8 for retr_s, above it."""
    for spec, known in (("block-means", FLAT_QUERY), ("retr_s", None)):
        embedder = load_embedder(spec)
        assert embedder.lipschitz is not None
        for size in ((12, 12), (480, 640), (3000, 2000)):
            rounding = embedder.rounding(torch.float64)
            assert rounding is not None
            resize = resize_operator(size, embedder.input_size).rounding.value
            proved = rounding.value + embedder.lipschitz.value * resize
            assert (proved < FLAT_QUERY) == (known is not None)
            assert proved < 2e-8
