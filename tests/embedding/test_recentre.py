"""Channel means: of the batch in training, a constant once shipped."""

from __future__ import annotations

import pytest
import torch

from retr.core.errors import ModelError
from retr.embedding.layers.recentre import Recentre, Translate
from retr.embedding.retr_network import RetrArchitecture, RetrNetwork


def batch(seed: int = 0, shape: tuple[int, ...] = (6, 4, 5, 5)) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) + torch.arange(4.0)[None, :, None, None]


def test_training_removes_the_means_of_the_batch():
    y = Recentre(4)(batch())
    assert y.mean((0, 2, 3)).abs().max() < 1e-6
    assert torch.allclose(y[0] - y[1], batch()[0] - batch()[1], atol=1e-6)


def test_the_running_average_follows_the_batches():
    layer = Recentre(4)
    for seed in range(400):
        layer(batch(seed))
    expected = torch.arange(4.0) + 0.5
    assert torch.allclose(layer.mean, expected, atol=0.05)
    assert torch.allclose(layer.eval()(batch(1)), batch(1) - layer.mean[None, :, None, None])


def test_the_shipped_form_subtracts_the_average():
    layer = Recentre(4)
    layer(batch())
    shipped = layer.fold()
    assert torch.equal(shipped(batch(2)), layer.eval()(batch(2)))
    assert shipped.claim((4, 5, 5)).bound.value == 1.0


def test_the_gradient_goes_through_the_mean():
    x = batch(shape=(3, 4, 2, 2)).double().requires_grad_()
    assert torch.autograd.gradcheck(Recentre(4).double(), x)


def test_vectors_are_centred_by_coordinate():
    x = torch.rand(7, 9)
    assert Recentre(9)(x).mean(0).abs().max() < 1e-6


def test_autocast_keeps_the_means_in_full_precision():
    layer, x = Recentre(4), (batch() + 100).to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert torch.allclose(layer.mean, 0.02 * x.float().mean((0, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("offset", [torch.tensor([0.0, float("nan")]), torch.zeros(3)])
def test_offsets_that_prove_nothing_are_refused(offset):
    with pytest.raises(ModelError):
        Translate(offset).claim((2, 4, 4))


@pytest.mark.parametrize("centring", ["head", "all"])
def test_a_settled_network_has_means_of_its_batch(centring):
    small = RetrArchitecture(image=16, patch=2, widths=(12, 48), depths=(1, 1), dim=8, centring=centring)
    network = RetrNetwork(small, generator=torch.Generator().manual_seed(1)).eval()
    x = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    network.settle(x)
    bias = network.body.head.bias  # type: ignore[union-attr]
    assert torch.allclose(network(x).mean(0), bias, atol=1e-5)  # type: ignore[arg-type]
    assert torch.allclose(network.fold()(x), network(x), atol=1e-5)
