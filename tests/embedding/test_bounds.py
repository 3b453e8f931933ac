"""The walk denies by default."""

import pytest
import torch
from torch import nn

from retr.core.errors import ModelError
from retr.embedding.bounds import prove
from retr.embedding.layers.channel_pad import ChannelPad
from retr.embedding.layers.flatten import Flatten
from retr.embedding.layers.sll_conv import SLLConv
from retr.embedding.layers.sll_dense import SLLDense
from retr.embedding.layers.sum_pool import SumPool
from retr.embedding.network import Blueprint, NetworkEmbedder

SHAPE = (3, 8, 8)


def network(*, factor: float = 1.0) -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    conv, dense = SLLConv(4, 2, generator=generator).fold(), SLLDense(16, 8, generator=generator).fold()
    conv.diagonal.mul_(factor)
    dense.diagonal.mul_(factor)
    return nn.Sequential(ChannelPad(4), nn.Sequential(conv, SumPool(4)), Flatten(), dense)


def test_a_network_of_known_layers_is_proved_layer_by_layer():
    proof = prove(network(), input_shape=SHAPE)
    assert proof.total.value == 1.0
    assert [(x.name, x.kind) for x in proof.layers] == [
        ("0", "channel-pad"),
        ("1.0", "sll-conv"),
        ("1.1", "sum-pool"),
        ("2", "flatten"),
        ("3", "sll-dense"),
    ]
    assert proof.output_shape == (16,)
    assert all(x.method and x.bound.value == 1.0 for x in proof.layers)


def test_the_total_is_at_least_the_product():
    proof = prove(network(factor=1.25), input_shape=SHAPE)
    values = [x.bound.value for x in proof.layers]
    assert proof.total.value >= values[1] * values[4] > max(values) > 1.0


@pytest.mark.parametrize(
    "module",
    [
        nn.BatchNorm2d(4),
        nn.GELU(),
        nn.LayerNorm(8),
        nn.Conv2d(4, 4, 3),
        nn.Linear(3, 3),
        nn.Dropout(),
        nn.Identity(),
        nn.MultiheadAttention(4, 2),
    ],
    ids=lambda m: type(m).__name__,
)
def test_an_unknown_module_is_named_and_never_counted(module):
    with pytest.raises(ModelError, match=type(module).__name__):
        prove(nn.Sequential(ChannelPad(4), module), input_shape=SHAPE)


def test_a_trainable_layer_must_be_folded_first():
    with pytest.raises(ModelError, match=r"SLLConv at 1 .* fold it first"):
        prove(nn.Sequential(ChannelPad(4), SLLConv(4, 2)), input_shape=SHAPE)


def test_a_subclass_is_another_type():
    class Doubled(Flatten):
        def forward(self, x):
            return 2 * super().forward(x)

    class Twice(nn.Sequential):
        def forward(self, input):  # noqa: A002 - the name that the base class uses
            return super().forward(super().forward(input))

    for module in (nn.Sequential(Doubled()), Twice(Flatten())):
        with pytest.raises(ModelError, match=r"Doubled|Twice"):
            prove(module, input_shape=SHAPE)


def _double(module, args, output):
    return 2 * output


def test_hooks_and_replaced_methods_void_the_proof():
    hooked, replaced = Flatten(), Flatten()
    hooked.register_forward_hook(_double)
    replaced.forward = lambda x: 2 * x.flatten(1)
    for module in (hooked, replaced):
        with pytest.raises(ModelError, match="hooks"):
            prove(nn.Sequential(module), input_shape=SHAPE)


def test_layers_that_do_not_fit_are_named():
    with pytest.raises(ModelError, match="layer 1: sum-pool"):
        prove(nn.Sequential(ChannelPad(4), SumPool(3)), input_shape=SHAPE)


def test_an_unproved_network_embeds_and_says_why_it_is_uncertified():
    net = nn.Sequential(Flatten(), nn.LayerNorm(192))
    embedder = NetworkEmbedder(net, Blueprint("none", {}, (8, 8), "cosine"), name="n", spec="n")
    assert embedder.lipschitz is None
    assert "LayerNorm" in (embedder.uncertified_because or "")
    assert embedder.rounding(torch.float64) is None
    assert embedder.dim == 192


def test_rounding_grows_with_depth_and_precision():
    proof = prove(network(), input_shape=SHAPE)
    shallow = prove(network()[:2], input_shape=SHAPE)
    double, single = proof.rounding(torch.float64), proof.rounding(torch.float32)
    shallow_double = shallow.rounding(torch.float64)
    assert double is not None
    assert single is not None
    assert shallow_double is not None
    assert 0 < shallow_double.value < double.value < single.value
    assert proof.rounding(torch.float16) is None
