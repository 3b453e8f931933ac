"""The loss against values worked out by hand, and against the certificates that it is written on."""

from __future__ import annotations

import math

import pytest
import torch

from retr.certificates.ranking import half_space_distances as certified_distances
from retr.core.types import Score
from retr.training.copies_loss import Margins, copies_loss, half_space_distances, nearest_others

COSINE = Margins(epsilon=2.0, temperature=0.5, unit=2.0, threshold=0.5, weight=0.5, score="cosine")
EUCLIDEAN = Margins(epsilon=2.0, temperature=0.5, unit=2.0, threshold=3.0, weight=0.5, score="euclidean")
NO_QUEUE = torch.zeros(0, 2)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


class TestByHand:
    """Two items on the axes of the plane, queries on them at lengths 3 and 4."""

    items = torch.tensor([[1.0, 0.0], [0.0, 5.0]])
    queries = torch.tensor([[3.0, 0.0], [0.0, 4.0]])

    def test_cosine(self):
        found = copies_loss(self.queries, self.items, NO_QUEUE, COSINE)
        radii = [2 * 3 / math.sqrt(2), 2 * 4 / math.sqrt(2)]
        ranking = sum(softplus((2 - r) / 0.5) for r in radii) / 2
        own = [2 * length * math.sin(0.5) for length in (3, 4)]
        other = [-2 * length * math.cos(0.5) for length in (3, 4)]
        verdicts = sum(softplus((2 - a) / 0.5) + softplus((2 + b) / 0.5) for a, b in zip(own, other, strict=True)) / 2
        assert found.ranking.item() == pytest.approx(ranking, abs=1e-3)
        assert found.verdicts.item() == pytest.approx(verdicts, abs=1e-2)
        assert found.loss.item() == pytest.approx(0.5 * (ranking + 0.5 * verdicts), abs=1e-2)
        assert found.recall.item() == found.certified.item() == 1.0

    def test_euclidean(self):
        found = copies_loss(self.queries, self.items, NO_QUEUE, EUCLIDEAN)
        gap = math.sqrt(26)
        radii = [2 * (34 - 4) / (2 * gap), 2 * (17 - 1) / (2 * gap)]
        ranking = sum(softplus((2 - r) / 0.5) for r in radii) / 2
        assert found.ranking.item() == pytest.approx(ranking, rel=1e-4)
        own, other = [3 - 2 * 2, 3 - 2 * 1], [3 - 2 * math.sqrt(34), 3 - 2 * math.sqrt(17)]
        verdicts = sum(softplus((2 - a) / 0.5) + softplus((2 + b) / 0.5) for a, b in zip(own, other, strict=True)) / 2
        assert found.verdicts.item() == pytest.approx(verdicts, rel=1e-4)

    def test_a_row_of_the_queue_is_one_more_rival(self):
        near = torch.tensor([[0.9, 0.1]])
        alone = copies_loss(self.queries, self.items, NO_QUEUE, COSINE)
        crowded = copies_loss(self.queries, self.items, near, COSINE)
        assert crowded.ranking > alone.ranking

    def test_a_query_at_another_row_is_lost(self):
        found = copies_loss(self.queries.flip(0), self.items, NO_QUEUE, COSINE)
        assert found.recall.item() == 0.0


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_the_distances_are_those_of_the_certificates(score: Score):
    generator = torch.Generator().manual_seed(3)
    queries, rows = (torch.randn(n, 8, generator=generator, dtype=torch.float64) for n in (5, 40))
    own = torch.tensor([3, 1, 0, 39, 7])
    found = half_space_distances(queries, rows, own, score)
    for query, index, distances in zip(queries, own.tolist(), found, strict=True):
        stored = (torch.nn.functional.normalize(rows, dim=1) if score == "cosine" else rows).numpy()
        others = [j for j in range(len(rows)) if j != index]
        expected = certified_distances(query.numpy(), stored[index], stored[others], score)
        assert distances[others].tolist() == pytest.approx(expected.tolist(), abs=1e-9)


def test_gradients_stay_finite_at_copies_and_zero():
    items = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    queries = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]], requires_grad=True)
    for margins in (COSINE, EUCLIDEAN):
        copies_loss(queries, items, NO_QUEUE, margins).loss.backward()
        assert queries.grad is not None
        assert items.grad is not None
        assert bool(queries.grad.isfinite().all())
        assert bool(items.grad.isfinite().all())


def test_the_nearest_other_row():
    rows = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    assert nearest_others(rows, 2, COSINE).tolist() == pytest.approx([math.pi / 4, math.pi / 4], abs=1e-4)
    assert nearest_others(rows, 2, EUCLIDEAN).tolist() == pytest.approx([2 * math.sqrt(2), 2 * math.sqrt(5)], abs=1e-4)
