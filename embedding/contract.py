"""The contract every embedder keeps, certified or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from ..core.types import Score, UpperBound


class Embedder(ABC):
    """A map g from a resized image to a vector, with a proved Lipschitz constant or none.

    Pixels are [0, 1]; any normalisation happens inside. g never sees the source image: the resize R is linear,
    ours, and bounded apart (``images.resize``), so the certified constant of f = g∘R is L_g·ρ (THEORY §0).

    Attributes:
        name: what people and tables call it, for example ``block-means``.
        spec: what ``load_embedder`` rebuilds it from (a registry name with parameters, or a model file's path).
        input_size: (height, width) of the resized input.
        dim: length of the embedding.
        score: how rows are compared: ``cosine`` or ``euclidean``.
        lipschitz: proved upper bound on L_g (ℓ2 → ℓ2), or None for an uncertified embedder.
        uncertified_because: why lipschitz is None; None for a certified embedder.
        digest: hex SHA-256 of everything that defines the map (architecture, weights, parameters).
        sums: side k of the blocks whose sums, divided by k, are all that it sees of its input; 1 where it sees every
            pixel. Sums of disjoint blocks over k have orthonormal rows: they may be counted to the resize.
        device: where ``forward`` expects its input; ``to`` changes it.
    """

    name: str
    spec: str
    input_size: tuple[int, int]
    dim: int
    score: Score
    lipschitz: UpperBound | None
    uncertified_because: str | None
    digest: str
    sums: int = 1
    device: str = "cpu"

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch, differentiably, in the dtype and on the device of x.

        Args:
            x: (b, 3, h, w) with (h, w) = input_size, float32 or float64, values in [0, 1].

        Returns:
            (b, dim), not normalised. float64 in gives float64 arithmetic throughout: that is the certified path.
            An uncertified embedder may compute in the precision of its own weights and only return x's dtype.
        """

    def beyond_sums(self, sums: Tensor) -> Tensor:
        """The rest of ``forward``: from (b, 3, h/k, w/k) block sums over k, k = ``sums``, to (b, dim)."""
        assert self.sums == 1, "an embedder that sums blocks first knows what comes after"
        return self.forward(sums)

    def bulk(self, x: Tensor) -> Tensor:
        """The same map for rows that are stored: float32, by whatever computes it fastest.

        Nothing is proved of its rounding, and nothing has to be: a stored row is a constant (THEORY §0). What is
        certified is computed by ``forward``.

        Args:
            x: (b, 3, h, w) float32 on the embedder's device, values in [0, 1].

        Returns:
            (b, dim), near ``forward``'s: a few units in the last place of its largest numbers.
        """
        return self.forward(x)

    @abstractmethod
    def rounding(self, dtype: torch.dtype) -> UpperBound | None:
        """Bound on ‖forward(x) − g(x)‖₂ over inputs in [0, 1], for float32 or float64 on the CPU.

        g(x) is the exact real-number map of the stored weights. None where no bound is known; such an embedder
        is uncertified.
        """

    def to(self, device: str | torch.device) -> Self:
        """Move the weights; returns self."""
        self.device = str(device)
        return self
