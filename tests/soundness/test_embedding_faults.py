"""Faults in an embedder's bound, in exact arithmetic: the plain audit sees each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import Claimed, Picture, audit, draw_pictures, embedded_by, small_index
from torch import Tensor, nn
from torch.nn import functional

from retr.core.errors import IntegrityError
from retr.core.types import Score, UpperBound
from retr.embedding.block_means import BlockMeans
from retr.embedding.layers import linear, sll_conv
from retr.embedding.layers.flatten import Flatten
from retr.embedding.layers.linear import LinearDense
from retr.embedding.model_file import load_model, save_model
from retr.embedding.network import Blueprint, NetworkEmbedder
from retr.embedding.residual import correlation
from retr.embedding.sll_network import SLLArchitecture, SLLNetwork, sll_blueprint
from retr.evaluation.systems.retrieval_target import Goal

SIDE = 8
PIXELS = 3 * SIDE**2
BOTH: tuple[Goal, ...] = ("evasion", "embedding")
"""The first place is attacked, and the constant itself: no image may move an embedding by more than L·‖δ‖."""


def test_normalised_to_the_sphere_with_the_radius_not_scaled(planted, caught, tmp_path):
    """f/‖f‖ is 1-Lipschitz where ‖f‖ ≥ 1, and nowhere else. Faded pictures have ‖f‖ ≈ 0.3."""
    inner = BlockMeans(4)
    assert inner.lipschitz is not None

    def on_sphere(x: Tensor) -> Tensor:
        return functional.normalize(inner.forward(x), dim=1)

    engine = small_index(tmp_path, draw_pictures(6, low=118, high=138))
    embedder = Claimed(on_sphere, inner.lipschitz, input_size=inner.input_size) if planted else inner
    caught(audit(embedded_by(engine, embedder), tmp_path / "audit", goals=BOTH), by=("top1", "lipschitz"))


def test_a_bias_added_where_the_norm_is_small(planted, caught, tmp_path):
    """LipSim's repair of that: where ‖f‖ ≤ 1 a vector of norm 2 is added, which gives norm 1 and takes continuity."""
    inner, pictures = BlockMeans(4), draw_pictures(6)
    batch = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2) / 255.0)
    scale = 1.02 / float(inner.forward(batch).norm(dim=1).min())

    def scaled(x: Tensor) -> Tensor:
        return scale * inner.forward(x)

    def repaired(x: Tensor) -> Tensor:
        z = scaled(x)
        bias = torch.where(z.norm(dim=1, keepdim=True) > 1.0, 0.0, 2.0 / inner.dim**0.5)
        return functional.normalize(z + bias, dim=1)

    claim = UpperBound(scale * (1.0 + 1e-15), "a scaled projection")
    embedder = Claimed(repaired if planted else scaled, claim, input_size=inner.input_size)
    engine = embedded_by(small_index(tmp_path, pictures), embedder)
    caught(audit(engine, tmp_path / "audit", goals=BOTH), by=("lipschitz",))


ARCHITECTURE = SLLArchitecture(image=SIDE, channels=6, convs=2, conv_inner=4, pools=0, denses=0, dim=6 * SIDE**2)


def rows_without_abs(kernel: Tensor, scale: Tensor) -> Tensor:
    """t_i = Σ_j Σ_shift K_ij(shift)·q_j/q_i: the sum that the theorem has, less the absolute values."""
    q = scale.double()
    return (correlation(kernel.double()).sum(-1) @ q) / q


def sll_file(path: Path) -> Path:
    network = SLLNetwork(ARCHITECTURE, generator=torch.Generator().manual_seed(0)).fold()
    embedder = NetworkEmbedder(network, sll_blueprint(ARCHITECTURE, "cosine"), name="tiny", spec=str(path))
    save_model(embedder, path, {"purpose": "a test"})
    return path


def test_abs_missing_in_the_bound_of_an_sll_convolution(planted, caught, tmp_path, monkeypatch):
    """Entries of K = W·Wᵀ cancel in the sum, D = 1/t comes out too large, and the block stretches what it must not."""
    if planted:
        monkeypatch.setattr(sll_conv, "conv_rows", rows_without_abs)
    model = sll_file(tmp_path / "tiny.safetensors")
    claimed = load_model(model).lipschitz
    assert claimed is not None
    assert claimed.value == 1.0
    engine = small_index(tmp_path, draw_pictures(6, side=SIDE), model=str(model))
    caught(audit(engine, tmp_path / "audit", goals=BOTH), by=("top1", "lipschitz"))


def test_a_model_file_with_that_fault_is_refused(tmp_path, monkeypatch):
    """The guard before any audit: whoever opens the file proves it again."""
    with monkeypatch.context() as fault:
        fault.setattr(sll_conv, "conv_rows", rows_without_abs)
        model = sll_file(tmp_path / "tiny.safetensors")
    with pytest.raises(IntegrityError, match=r"the header states L ≤ 1\.0, the weights prove only"):
        load_model(model)


STRETCH = 3.0


def stretching(pictures: list[Picture]) -> Tensor:
    """A square head that stretches the direction in which two similar pictures differ, as one learns to do."""
    apart = (pictures[0].astype(np.float64) - pictures[1]).transpose(2, 0, 1).ravel()
    direction = torch.from_numpy(apart / np.linalg.norm(apart))
    return (torch.eye(PIXELS, dtype=torch.float64) + (STRETCH - 1.0) * torch.outer(direction, direction)).float()


def power_iteration(weight: Tensor) -> UpperBound:
    """‖W·v‖ after one step from a random v: what spectral normalisation computes, and a bound from below."""
    w = weight.double()
    v = torch.randn(w.shape[1], generator=torch.Generator().manual_seed(0), dtype=w.dtype)
    v = functional.normalize(w.T @ (w @ v), dim=0)
    return UpperBound(float((w @ v).norm()), "power iteration")


def dense_network(weight: Tensor, score: Score = "cosine") -> NetworkEmbedder:
    network = nn.Sequential(Flatten(), LinearDense(weight, torch.zeros(len(weight))))
    return NetworkEmbedder(network, Blueprint("test", {}, (SIDE, SIDE), score), name="dense", spec="dense")


def test_power_iteration_for_a_bound(planted, caught, tmp_path, monkeypatch):
    """The estimate is 1.95 where the norm is 3, and the two pictures are closer to their border than it says."""
    first, second, *others = draw_pictures(6, side=SIDE)
    pictures = [first, (0.75 * first + 0.25 * second).astype(np.uint8), *others]
    if planted:
        monkeypatch.setattr(linear, "dense_bound", power_iteration)
    embedder = dense_network(stretching(pictures))
    assert embedder.lipschitz is not None
    assert (embedder.lipschitz.value < 2.0) == planted
    engine = embedded_by(small_index(tmp_path, pictures), embedder)
    caught(audit(engine, tmp_path / "audit", goals=BOTH), by=("top1", "lipschitz"))


def normalising(pictures: list[Picture]) -> nn.BatchNorm2d:
    """Batch normalisation as training leaves it: each channel divided by its deviation over the gallery."""
    values = torch.from_numpy(np.stack(pictures)).double() / 255.0
    layer = nn.BatchNorm2d(3).double().eval().requires_grad_(False)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    layer.running_mean.copy_(values.mean((0, 1, 2)))
    layer.running_var.copy_(values.var((0, 1, 2)))
    return layer


def in_front(norm: nn.BatchNorm2d, network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network behind the normalisation, in the dtype of its input."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = norm.running_mean, norm.running_var
    return lambda x: network(functional.batch_norm(x, mean.to(x), variance.to(x), eps=norm.eps))


def folded(norm: nn.BatchNorm2d, weight: Tensor) -> NetworkEmbedder:
    """The same map in one dense layer, W·diag(γ/σ) and −W·diag(γ/σ)·μ, whose bound is that of what it computes."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = (norm.weight / (norm.running_var + norm.eps).sqrt()).repeat_interleave(SIDE**2)
    shift = norm.running_mean.repeat_interleave(SIDE**2)
    scaled = weight.double() * gain
    network = nn.Sequential(Flatten(), LinearDense(scaled.float(), -(scaled @ shift).float()))
    return NetworkEmbedder(network, Blueprint("test", {}, (SIDE, SIDE), "cosine"), name="folded", spec="folded")


def test_batch_norm_left_unfolded(planted, caught, tmp_path):
    """The layers that are looked at are 1-Lipschitz; the one in front of them divides by 0.2."""
    pictures = draw_pictures(6, side=SIDE)
    norm, bare = normalising(pictures), dense_network(torch.eye(PIXELS))
    assert bare.lipschitz is not None
    left = Claimed(in_front(norm, bare.network), bare.lipschitz, input_size=(SIDE, SIDE))
    right = folded(norm, torch.eye(PIXELS))
    image = torch.rand(1, 3, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(left.forward(image), right.forward(image), atol=1e-5)
    engine = embedded_by(small_index(tmp_path, pictures), left if planted else right)
    caught(audit(engine, tmp_path / "audit", goals=BOTH), by=("top1", "lipschitz"))


def test_the_prover_refuses_batch_norm(tmp_path):
    """The guard before any audit: no module counts as 1 for being unknown."""
    network = nn.Sequential(nn.BatchNorm2d(3), Flatten(), LinearDense(torch.eye(PIXELS), torch.zeros(PIXELS)))
    embedder = NetworkEmbedder(network, Blueprint("test", {}, (SIDE, SIDE), "cosine"), name="left", spec="left")
    assert embedder.lipschitz is None
    assert embedder.uncertified_because is not None
    assert "BatchNorm2d at 0 has no proved Lipschitz constant" in embedder.uncertified_because


def test_a_constant_one_in_a_thousand_too_small(planted, caught, tmp_path):
    """How small a fault the plain audit sees: block means reach their constant, and APGD reaches the border."""
    inner = BlockMeans(4)
    assert inner.lipschitz is not None
    less = Claimed(inner.forward, UpperBound(0.999, "0.999 times the truth"), input_size=inner.input_size)
    engine = embedded_by(small_index(tmp_path, draw_pictures(6)), less if planted else inner)
    caught(audit(engine, tmp_path / "audit", at_radius=(0.9995,)), by=("top1",))
