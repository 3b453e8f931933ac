"""Distances of embeddings: the embedder's own score, at its own input size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from retr.core.errors import UsageError
from retr.embedding.block_means import BlockMeans
from retr.embedding.contract import Embedder
from retr.embedding.registry import load_embedder
from retr.images.resize import resize_operator
from retr.metrics import embedders
from retr.metrics.registry import load_metric

Pair = tuple[Tensor, Tensor]


def embed(embedder: Embedder, x: Tensor) -> Tensor:
    return embedder.forward(resize_operator((x.shape[2], x.shape[3]), embedder.input_size).apply(x))


@pytest.mark.parametrize("spec", ["block-means", "timm:resnet10t#random"])
def test_cosine_embedders_measure_the_angle_after_their_own_resize(spec: str, pair: Pair) -> None:
    embedder, metric = load_embedder(spec), load_metric(f"retr:{spec}")
    with torch.no_grad():
        first, second = (embed(embedder, x.double()) for x in pair)
        distance = metric.distance(*(x.double() for x in pair))
    expected = 1 - torch.nn.functional.cosine_similarity(first, second)
    assert embedder.score == "cosine"
    assert torch.allclose(distance, expected, atol=1e-9)
    assert (metric.facts.input_size, metric.facts.highest) == (embedder.input_size, 2.0)


def test_euclidean_embedders_measure_length(pair: Pair) -> None:
    embedder = BlockMeans()
    embedder.score = "euclidean"
    metric = embedders.embedder_metric(embedder, embedders.FACTS, spec="retr:test")
    first, second = (embed(embedder, x) for x in pair)
    assert torch.allclose(metric.distance(*pair), (first - second).norm(dim=1), rtol=1e-5)


def test_embeddings_of_no_length_are_alike_and_unlike_all_others() -> None:
    zero, one = torch.zeros(1, 4, requires_grad=True), torch.ones(1, 4)
    assert embedders.cosine_distance(zero, torch.zeros(1, 4)).item() == 0
    distance = embedders.cosine_distance(zero, one)
    (gradient,) = torch.autograd.grad(distance.sum(), zero)
    assert distance.item() == 1
    assert torch.isfinite(gradient).all()


def test_a_model_has_to_be_named() -> None:
    with pytest.raises(UsageError, match="retr:block-means"):
        load_metric("retr:")
    with pytest.raises(UsageError, match="unknown model 'nonsense'"):
        load_metric("retr:nonsense")


@pytest.mark.parametrize("name", list(embedders.NAMED))
def test_named_models_are_embedders_by_another_name(name: str, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load(spec: str) -> Any:
        asked.append(spec)
        return BlockMeans()

    monkeypatch.setattr(embedders, "load_embedder", load)
    metric = load_metric(name)
    assert asked == [embedders.NAMED[name][1]]
    assert (metric.name, metric.spec) == (name, name)
    assert torch.allclose(metric.distance(*pair), load_metric("retr:block-means").distance(*pair))
