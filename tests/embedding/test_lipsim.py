"""The paper's network: its shape, its parameter count, timm."""

import pytest
import timm
import torch
from timm.data.config import resolve_model_data_config

from retr.core.errors import ModelError, UsageError, WeightsUnavailable
from retr.embedding import lipsim
from retr.embedding.registry import load_embedder
from retr.embedding.sll_network import LIPSIM_SMALL, SLLArchitecture, SLLNetwork, folded_skeleton, parameter_count


@pytest.fixture(scope="module")
def names() -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in SLLNetwork(LIPSIM_SMALL).state_dict().items()}


def test_the_published_parameter_count():
    assert parameter_count(LIPSIM_SMALL) == 63_276_796
    assert LIPSIM_SMALL.features == 14 * 14 * 45


def test_the_published_names_and_shapes(names):
    assert len(names) == 20 * 3 + 7 * 3
    assert names["convs.0.kernel"] == names["convs.19.kernel"] == (5, 45, 3, 3)
    assert names["convs.7.bias"] == (1, 5, 1, 1)
    assert names["convs.7.q"] == (5,)
    assert names["linear.1.weight"] == names["linear.7.weight"] == (1024, 8820)
    assert names["linear.3.bias"] == (1, 1024)
    assert names["linear.3.q"] == (1024,)


def test_the_shipped_skeleton_has_the_same_places(names):
    shipped = {name.rsplit(".", 1)[0] for name in folded_skeleton(LIPSIM_SMALL).state_dict()}
    assert shipped == {name.rsplit(".", 1)[0] for name in names}


def test_timm_creates_it():
    model = timm.create_model("lipsim_small", num_classes=0)
    assert isinstance(model, lipsim.TimmLipSim)
    assert timm.is_model("lipsim_small")
    config = resolve_model_data_config(model)
    assert config["input_size"] == (3, 224, 224)
    assert set(config["mean"]) == {0.0}
    assert model.num_features == 1792


def test_timm_is_told_what_there_is_not():
    with pytest.raises(WeightsUnavailable, match="retr models convert"):
        lipsim.lipsim_small(pretrained=True)
    with pytest.raises(UsageError, match="num_classes"):
        lipsim.lipsim_small(num_classes=10)
    with pytest.raises(UsageError, match="drop_rate"):
        lipsim.lipsim_small(drop_rate=0.5)


def test_the_full_network_embeds_and_is_proved():
    embedder = load_embedder("lipsim:random:3")
    assert embedder.spec == "lipsim:random:3"
    assert embedder.lipschitz is not None
    assert embedder.lipschitz.value == 1.0
    x = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    z = embedder.forward(x.double())
    assert z.shape == (1, 1792)
    single, double = embedder.rounding(torch.float32), embedder.rounding(torch.float64)
    assert single is not None
    assert double is not None
    assert double.value < 1e-6
    assert float((embedder.forward(x) - z).norm()) <= single.value + double.value


@pytest.mark.parametrize(
    "change", [{"kernel": 4}, {"channels": 2}, {"image": 100}, {"dim": 0}, {"dim": 9000}, {"convs": -1}, {"pools": 1.5}]
)
def test_shapes_that_cannot_be_are_refused(change):
    with pytest.raises(UsageError):
        SLLArchitecture(**change)
    with pytest.raises(ModelError):
        SLLArchitecture.from_json({**LIPSIM_SMALL.as_json(), **change})


def test_an_architecture_survives_json():
    assert SLLArchitecture.from_json(LIPSIM_SMALL.as_json()) == LIPSIM_SMALL
    with pytest.raises(ModelError, match="exactly"):
        SLLArchitecture.from_json({"image": 224})


def test_trainable_and_shipped_networks_are_one_function():
    small = SLLArchitecture(image=16, channels=6, convs=3, conv_inner=3, pools=1, denses=2, dense_inner=8, dim=40)
    network = SLLNetwork(small, generator=torch.Generator().manual_seed(0))
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(network(x), network.fold()(x), atol=1e-5, rtol=1e-5)
