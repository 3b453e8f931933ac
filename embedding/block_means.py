"""Block means: the training-free embedder, exactly 1-Lipschitz."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.files import digest_json
from ..core.types import Score, UpperBound
from .contract import Embedder
from .forward_error import ARITHMETIC, inflate
from .layers.sum_pool import scaled_block_sums
from .network import require_input

PIXELS = 4
"""Side k of one block, in pixels of the resized input. A power of two, so that dividing by it is exact."""

DEFAULT_BLOCKS = 16
LARGEST = 256


@final
class BlockMeans(Embedder):
    """g(x) = P·S·x: sums over k×k blocks divided by k (S), then the per-channel mean removed (P).

    S has orthonormal rows (k² entries 1/k each, blocks disjoint) and P is an orthogonal projection, so
    ‖g(x) − g(y)‖ ≤ ‖x − y‖ with constant exactly 1, attained by any change that is constant on blocks and has mean 0.
    S·x is k times the block means: the right factor for that constant. The number 1 carries no rounding: the map it
    bounds is the exact one, whose weights 1/k are dyadic; how far arithmetic strays from it is ``rounding``.
    Removing the mean makes the cosine blind to brightness, and the map blind to nothing else that is smooth.

    Args:
        blocks: s, blocks per side; the input is 4s×4s, the embedding has 3·s² numbers, channel-major.

    Raises:
        UsageError: unless 2 ≤ s ≤ 256.
    """

    def __init__(self, blocks: int = DEFAULT_BLOCKS) -> None:
        if not 2 <= blocks <= LARGEST:
            raise UsageError(f"block-means takes 2 to {LARGEST} blocks per side, got {blocks}")
        self.blocks = blocks
        self.name = "block-means" if blocks == DEFAULT_BLOCKS else f"block-means:{blocks}"
        self.spec = f"block-means:{blocks}"
        self.input_size = (PIXELS * blocks, PIXELS * blocks)
        self.dim = 3 * blocks**2
        self.sums = PIXELS
        self.score: Score = "cosine"
        self.lipschitz: UpperBound | None = UpperBound(1.0, "orthonormal rows, then an orthogonal projection")
        self.uncertified_because: str | None = None
        self.digest = digest_json({"family": "block-means", "version": 1, "blocks": blocks, "pixels": PIXELS})

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch (b, 3, 4s, 4s) in [0, 1] → (b, 3·s²), in the dtype of x."""
        require_input(x, self.input_size)
        return self.beyond_sums(scaled_block_sums(x, PIXELS))

    def beyond_sums(self, sums: Tensor) -> Tensor:
        """P alone: (b, 3, s, s) → (b, 3·s²)."""
        flat = sums.flatten(2)  # b 3 s²
        return (flat - flat.mean(-1, keepdim=True)).flatten(1)

    def rounding(self, dtype: torch.dtype) -> UpperBound | None:
        """Forward error, any summation order: block sums, division, mean, subtraction (Higham, ASNA, §3.1).

        With X = √n ≥ ‖x‖: the sums are off by E ≤ γ_{k²}·X. The mean over s² numbers is off by at most
        γ_{s²+2}·mean|·|, which is γ_{s²+2}·(X + E) in ℓ2 over the s² places it is subtracted at. The subtraction
        rounds once. P and S carry earlier errors on with factor 1. Underflow adds the smallest normal number per value.
        """
        if dtype not in ARITHMETIC:
            return None
        arithmetic = ARITHMETIC[dtype]
        size = inflate(math.sqrt(3 * self.input_size[0] * self.input_size[1]))
        of_sums = arithmetic.gamma(PIXELS**2) * size
        of_mean = arithmetic.gamma(self.blocks**2 + 2) * (size + of_sums)
        of_difference = arithmetic.unit * (size + of_sums + of_mean)
        underflow = 4.0 * size**2 * arithmetic.tiny
        return UpperBound(
            inflate(of_sums + of_mean + of_difference + underflow), "forward error analysis, any summation order"
        )
