"""Faults of rounding: a certified path that computes in less than it says, and a bound on numbers that are not shipped.

Their effects are small, so the systems are built for them to matter: a threshold just beyond the query, tones next to
the border of a rounding interval, an attack at all but the last part in 10⁸ of a radius.
"""

from __future__ import annotations

import numpy as np
import torch
from planted import Claimed, audit, draw_pictures, embedded_by, press, save_pictures, small_index
from torch import Tensor, nn

from retr.core.types import Score
from retr.embedding.layers.flatten import Flatten
from retr.embedding.layers.linear import LinearDense, ship_dense
from retr.embedding.network import Blueprint, NetworkEmbedder
from retr.embedding.spectral import dense_bound
from retr.evaluation.systems.index_system import EngineSystem

SIDE = 8
PIXELS = 3 * SIDE**2

BESIDE_A_BORDER = np.array([143, 144, 175, 176, 207, 208, 239, 240], dtype=np.uint8)
"""Tones t with t/255 within 1.5e-5 of the middle between two TF32 numbers, 4.9e-4 apart there."""
MARGIN = 7e-4
"""How far the threshold lies beyond the query: 5e-5 per value, a hundredth of a level."""


class Rounded(torch.autograd.Function):
    """Eleven significant bits, nearest, ties away from zero, as tensor cores take their inputs; gradients pass."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return ((x.float().view(torch.int32) + (1 << 12)) & ~((1 << 13) - 1)).view(torch.float32)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> Tensor:
        return grad_outputs[0]


def tf32_product(layer: LinearDense, x: Tensor) -> Tensor:
    """What ``torch.backends.cuda.matmul.allow_tf32`` makes of a dense layer: other numbers, under the same proof."""
    product = Rounded.apply(x) @ Rounded.apply(layer.weight).T  # pyright: ignore
    return product.to(x.dtype) + layer.bias.to(x.dtype)


def one_layer(layer: LinearDense, side: int, score: Score) -> NetworkEmbedder:
    network = nn.Sequential(Flatten(), layer)
    return NetworkEmbedder(network, Blueprint("test", {}, (side, side), score), name="dense", spec="dense")


def isometry() -> NetworkEmbedder:
    random = torch.randn(PIXELS, PIXELS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return one_layer(ship_dense(torch.linalg.qr(random).Q, torch.zeros(PIXELS)), SIDE, "euclidean")


def test_tf32_products_without_slack(planted, caught, tmp_path, monkeypatch):
    """A step of 1e-5 per value carries inputs over the border of their interval, and they jump by 4.9e-4 each."""
    if planted:
        monkeypatch.setattr(LinearDense, "forward", tf32_product)
    random = np.random.default_rng(0)
    query = random.choice(BESIDE_A_BORDER, (SIDE, SIDE, 3))
    original = np.clip(query.astype(np.int64) + random.integers(-8, 9, query.shape), 0, 255).astype(np.uint8)
    engine = embedded_by(small_index(tmp_path, [original, *draw_pictures(4, side=SIDE)]), isometry())
    distance = engine.answer(query / 255.0).matches[0].distance
    engine = embedded_by(engine, isometry(), threshold=distance + MARGIN)
    near = {"queries": save_pictures(tmp_path / "queries", [query]), "goals": ("verdict",), "at_radius": (0.9,)}
    caught(audit(engine, tmp_path / "audit", attacks=("apgd-linf",), **near), by=("verdict",))


THIRDS = 6
"""Side of a picture of 2×2 blocks of 3×3."""
ALL_BUT = 1e-8
"""The part of a radius that the attack leaves: the fault is 3e-8 of it."""


def thirds() -> Tensor:
    """Sums over 3×3 blocks divided by 3, (12, 108) float64: orthonormal rows, until 1/3 is rounded to float32."""
    block = torch.kron(torch.eye(THIRDS // 3, dtype=torch.float64), torch.full((1, 3), 3.0**-0.5, dtype=torch.float64))
    return torch.kron(torch.eye(3, dtype=torch.float64), torch.kron(block, block))


def test_a_float32_kernel_bounded_before_rounding(planted, caught, tmp_path):
    """float32(1/3) is 1/3·(1 + 3e-8). The plain audit attacks in float32 and cannot see that; the same harness in
    float64 can, since a linear loss has its optimum where the first steps lead."""
    shipped = one_layer(LinearDense(thirds().float(), torch.zeros(12)), THIRDS, "cosine")
    assert shipped.lipschitz is not None
    bound = dense_bound(thirds())
    assert bound.value < 1.0 + 4e-9 < 1.0 + 2.9e-8 < shipped.lipschitz.value
    early = Claimed(shipped.forward, bound, input_size=shipped.input_size)
    pictures = draw_pictures(6, side=THIRDS)
    engine = embedded_by(small_index(tmp_path, pictures), early if planted else shipped)
    system = EngineSystem("index", engine)
    caught(press(system, pictures, tmp_path / "images", goal="evasion", share=1.0 - ALL_BUT), by=("top1",))
