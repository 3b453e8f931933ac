"""A model as a torch module, a metric as a function: sizes, gradients, bounds that hold, ranges that are checked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import retr
from retr.core.errors import UsageError


@pytest.fixture(scope="module", params=["retr_s", "block-means", "timm:resnet18#random"])
def model(request: pytest.FixtureRequest) -> retr.Model:
    return retr.load_model(request.param)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(64, 64), (33, 90), (7, 5)])
def test_any_size_and_a_gradient(model: retr.Model, size: tuple[int, int], dtype: torch.dtype) -> None:
    x = torch.rand(2, 3, *size, dtype=dtype, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    z = model(x)
    assert z.shape == (2, model.dim)
    assert z.dtype == dtype
    (gradient,) = torch.autograd.grad(z.square().sum(), x)
    assert gradient.shape == x.shape
    assert float(gradient.abs().max()) > 0


def test_the_bound_holds_and_is_there_only_where_it_is_proved(model: retr.Model) -> None:
    if model.name.startswith("timm"):
        assert model.lipschitz is None
        assert model.bound(40, 50) is None
        assert model.uncertified_because
        return
    assert model.uncertified_because is None
    bound = model.bound(40, 50)
    assert bound is not None
    draw = torch.Generator().manual_seed(1)
    x, y = torch.rand(2, 8, 3, 40, 50, dtype=torch.float64, generator=draw)
    near = (x + 0.01 * (y - x)).clamp(0, 1)
    for other in (y, near):
        moved = (model(x) - model(other)).norm(dim=1)
        assert bool((moved <= bound.value * (x - other).flatten(1).norm(dim=1) + 1e-9).all())


def test_weights_are_out_of_reach(model: retr.Model) -> None:
    assert list(model.parameters()) == []
    assert model.state_dict() == {}
    x = torch.rand(1, 3, 20, 20)
    before = model(x)
    whole = nn.Sequential(model).double()  # as part of another network
    assert torch.equal(model.half()(x), before)
    assert torch.equal(whole(x), before)
    assert model.device.type == "cpu"


def test_embed_is_the_query_path(drawn_with_index) -> None:
    model, index = retr.load_model("retr_s"), retr.open(drawn_with_index / "my-index")
    path = drawn_with_index / "img.png"
    pixels = np.asarray(retr.api.images.read_image(path).pixels)
    (channel,) = (one for one in index.engine.channels if one.name == "retr_s")
    assert np.array_equal(model.embed(path), channel.embed_query(pixels).z)
    assert model.embed([path, pixels]).shape == (2, model.dim)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.rand(3, 8, 8), "shape"),
        (torch.rand(1, 1, 8, 8), "shape"),
        (torch.rand(1, 3, 8, 8) * 255, "pixels in .0, 1., got"),
        (torch.rand(1, 3, 8, 8) * 2 - 1, "pixels in .0, 1., got"),
        (torch.full((1, 3, 8, 8), float("nan")), "pixels in .0, 1., got"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "uint8"),
        (torch.rand(1, 3, 8, 8).half(), "float16"),
        (np.zeros((1, 3, 8, 8)), "ndarray"),
    ],
)
def test_what_is_no_batch_in_0_1_is_refused(x: torch.Tensor, words: str) -> None:
    metric, good = retr.load_metric("l2"), torch.rand(1, 3, 8, 8)
    for call in (lambda: retr.load_model("block-means")(x), lambda: metric(x, good), lambda: metric(good, x)):
        with pytest.raises(UsageError, match=words):
            call()


def test_a_metric_is_a_function() -> None:
    metric = retr.load_metric("retr:block-means")
    ref, img = torch.rand(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    img.requires_grad_(True)
    found = metric(ref, img)
    assert found.shape == (3,)
    assert torch.autograd.grad(found.sum(), img)[0].abs().max() > 0
    assert repr(metric) == "Metric('retr:block-means:16': block-means)"


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(UsageError, match="block-means"):
        retr.load_model("resnet")
    with pytest.raises(UsageError, match="lpips"):
        retr.load_metric("lpip")
