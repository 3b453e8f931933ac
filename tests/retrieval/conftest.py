"""Galleries of plain vectors: the engine's exactness is about numbers, whatever made them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from retr.core.types import Score, UpperBound
from retr.embedding.contract import Embedder
from retr.indexer.snapshot import Threshold
from retr.indexer.vectors import RowStore
from retr.retrieval.channel import Channel
from retr.retrieval.rank import Proof


class Vectors(Embedder):
    """An embedder that is never asked to embed."""

    def __init__(self, dim: int, score: Score) -> None:
        self.name = self.spec = "vectors"
        self.input_size, self.dim, self.score = (1, 1), dim, score
        self.lipschitz, self.uncertified_because, self.digest = UpperBound(1.0, "for tests"), None, "0" * 64

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("not an image model")

    def rounding(self, dtype: torch.dtype) -> UpperBound:
        return UpperBound(0.0, "for tests")


def _channel(rows: np.ndarray, score: Score = "cosine", *, groups=None, threshold=0.9, parts: int = 1) -> Channel:
    rows = rows.astype(np.float64)
    if score == "cosine":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    stored = np.array_split(np.ascontiguousarray(rows, dtype=np.float32), parts)
    starts = (0, *np.cumsum([len(part) for part in stored]).tolist())
    store = RowStore(tuple(map(np.ascontiguousarray, stored)), starts, rows.shape[1], score)
    items = np.arange(len(rows)) if groups is None else np.asarray(groups)
    limit = None if threshold is None else Threshold(threshold, "given", 0.01, 1)
    return Channel("vectors", Vectors(rows.shape[1], score), store, items, limit)


@pytest.fixture(scope="session")
def new_channel():
    return _channel


@pytest.fixture
def make_channel(new_channel):
    return new_channel


@pytest.fixture
def make_proof():
    def make(z: np.ndarray, lipschitz: float = 1.0) -> Proof:
        return Proof(z, UpperBound(lipschitz, "for tests"), 0.0, 1e9)

    return make
