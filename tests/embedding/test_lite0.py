"""The companion that ships: its head belongs to the published weights, and damage is seen."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from retr.core.errors import IntegrityError, ModelError
from retr.embedding import lite0, lite0_quick
from retr.embedding.registry import load_embedder


@pytest.fixture(scope="module")
def embedder():
    return load_embedder("efficientnet-lite0")


def test_it_embeds_and_proves_nothing(embedder):
    x = torch.rand(2, 3, lite0.SIDE, lite0.SIDE, generator=torch.Generator().manual_seed(0))
    z = embedder.forward(x)
    assert (embedder.dim, z.shape, embedder.lipschitz) == (lite0.DIM, (2, lite0.DIM), None)
    assert "no Lipschitz constant" in str(embedder.uncertified_because)
    assert torch.allclose(embedder.forward(x[:1]), z[:1], rtol=1e-3, atol=1e-4)
    assert torch.cosine_similarity(z[:1], z[1:]).item() < 0.999


def test_folded_norms_change_nothing():
    """The trunk against the published network, layer by layer as its package runs it."""
    package = lite0._package("efficientnet_lite_pytorch")
    network = package.EfficientNet.from_name(lite0.NAME).eval()
    network.load_state_dict(torch.load(lite0.weights_file(), map_location="cpu", weights_only=True))
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network.extract_features(x).mean((2, 3))
        found = lite0.load_trunk()(x)
    assert found.shape == (1, lite0.FEATURES)
    assert torch.allclose(found[:, 1280:2560], expected, atol=1e-3)


def test_other_weights_than_the_head_was_trained_for_are_refused(monkeypatch, tmp_path):
    other = tmp_path / "weights.pth"
    other.write_bytes(b"other weights")
    monkeypatch.setattr(lite0, "weights_file", lambda: other)
    with pytest.raises(ModelError, match="is not what the head of efficientnet-lite0 was trained for"):
        lite0.load_lite0()


def test_a_head_that_was_changed_is_refused(monkeypatch, tmp_path):
    data = bytearray((lite0.weights_folder() / lite0.HEAD).read_bytes())
    data[-5] ^= 1
    (tmp_path / lite0.HEAD).write_bytes(data)
    monkeypatch.setattr(lite0, "weights_folder", lambda: tmp_path)
    with pytest.raises(IntegrityError, match="was changed"):
        lite0.load_lite0()


def test_without_the_extra_it_is_named(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(lite0, "import_module", missing)
    with pytest.raises(ModelError, match=r"retr\[companion\]"):
        lite0.load_lite0()


def test_onnxruntime_computes_what_torch_does_and_the_same_in_any_batch():
    trunk = lite0.load_trunk()
    x = torch.rand(5, 3, lite0.SIDE, lite0.SIDE, generator=torch.Generator().manual_seed(2)) * 2.0 - 1.0
    assert trunk.quick is not None
    with torch.inference_mode():
        found, expected = trunk(x), trunk.slow(x)
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
        assert not torch.equal(found, expected), "another program computed it"
        assert torch.equal(trunk(x[:1]), found[:1])
    assert deepcopy(trunk).quick is trunk.quick


def test_a_gradient_comes_from_torch(embedder):
    x = torch.rand(1, 3, lite0.SIDE, lite0.SIDE, generator=torch.Generator().manual_seed(3)).requires_grad_()
    embedder.forward(x).sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).any()


def test_without_onnxruntime_torch_computes(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(lite0_quick, "import_module", missing)
    assert lite0.load_trunk().quick is None
