"""The proof that a network is Lipschitz: a walk that knows a few layers and denies everything else (THEORY T8).

The constant of a composition is at most the product of its layers' constants. A module that is not on the list
(BatchNorm, LayerNorm, GELU, attention, …) has no constant here, and the network stays uncertified: an unknown module
never counts as 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..core.errors import ModelError
from ..core.numerics import round_up
from ..core.types import UpperBound
from .forward_error import ARITHMETIC, Claim, inflate
from .layers.absolute import Absolute
from .layers.base import ProvedLayer
from .layers.centre import Centre
from .layers.channel_pad import ChannelPad
from .layers.channel_truncate import ChannelTruncate
from .layers.cpl_conv import FoldedCPLConv
from .layers.cpl_dense import FoldedCPLDense
from .layers.flatten import Flatten
from .layers.l2_pool import L2Pool
from .layers.linear import LinearDense
from .layers.linear_conv import LinearConv
from .layers.maxmin import MaxMin
from .layers.pixel_unshuffle import PixelUnshuffle
from .layers.recentre import Translate
from .layers.shift import Shift
from .layers.sll_conv import FoldedSLLConv
from .layers.sll_dense import FoldedSLLDense
from .layers.sum_pool import SumPool
from .layers.truncate import Truncate

ALLOWED: dict[type[nn.Module], str] = {
    Absolute: "absolute",
    Centre: "centre",
    ChannelPad: "channel-pad",
    ChannelTruncate: "channel-truncate",
    Flatten: "flatten",
    FoldedCPLConv: "cpl-conv",
    FoldedCPLDense: "cpl-dense",
    FoldedSLLConv: "sll-conv",
    FoldedSLLDense: "sll-dense",
    L2Pool: "l2-pool",
    LinearConv: "linear-conv",
    LinearDense: "linear",
    MaxMin: "maxmin",
    PixelUnshuffle: "pixel-unshuffle",
    Shift: "shift",
    SumPool: "sum-pool",
    Translate: "translate",
    Truncate: "truncate",
}
"""The exact types that may count. A subclass is another type: it could change ``forward``."""


@dataclass(frozen=True, slots=True)
class LayerBound:
    """One factor of a proof.

    Attributes:
        name: the layer's place in the network, for example ``convs.3``.
        claim: what the layer guarantees.
    """

    name: str
    claim: Claim

    @property
    def kind(self) -> str:
        """The layer's kind."""
        return self.claim.kind

    @property
    def bound(self) -> UpperBound:
        """The layer's Lipschitz constant."""
        return self.claim.bound

    @property
    def method(self) -> str:
        """How the constant was proved."""
        return self.claim.bound.method


@dataclass(frozen=True, slots=True)
class Proof:
    """A network's Lipschitz constant, layer by layer, on inputs of one shape with values in [0, 1].

    Attributes:
        total: the product of the layers' constants, rounded up.
        layers: the factors, first layer first.
        input_shape: (c, h, w).
    """

    total: UpperBound
    layers: tuple[LayerBound, ...]
    input_shape: tuple[int, ...]

    @classmethod
    def of(cls, layers: Sequence[LayerBound], input_shape: tuple[int, ...]) -> Proof:
        """The proof that these layers, one after the other, make."""
        return cls(_product(layers), tuple(layers), input_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of one output."""
        return self.layers[-1].claim.output if self.layers else self.input_shape

    def rounding(self, dtype: torch.dtype) -> UpperBound | None:
        """Bound on ‖computed − exact‖₂ of the whole network for a dtype; None where none is known.

        An error E before a layer of constant L becomes at most L·E plus the layer's own error on an input of norm at
        most X + E, where X bounds the exact input: X ≤ √n for pixels, then offset + L·X.
        """
        if dtype not in ARITHMETIC:
            return None
        error, size = 0.0, inflate(math.sqrt(math.prod(self.input_shape)))
        for layer in self.layers:
            constant, local = layer.bound.value, layer.claim.errors[dtype]
            error = inflate(constant * error + local(size + error))
            size = inflate(layer.claim.offset + constant * size)
        name = str(dtype).removeprefix("torch.")
        return (
            UpperBound(error, f"forward error analysis in {name}, any summation order")
            if math.isfinite(error)
            else None
        )


def prove(network: nn.Module, *, input_shape: tuple[int, ...]) -> Proof:
    """Prove a network's Lipschitz constant from the numbers it ships.

    Args:
        network: nested plain ``nn.Sequential`` of layers in ALLOWED.
        input_shape: (c, h, w) of one input.

    Raises:
        ModelError: naming the first module that has no proved constant, or whose numbers prove none.
    """
    layers: list[LayerBound] = []
    shape = input_shape
    for name, module in leaves(network):
        claim = _claim(name, module, shape)
        layers.append(LayerBound(name, claim))
        shape = claim.output
    return Proof.of(layers, input_shape)


def leaves(network: nn.Module) -> list[tuple[str, ProvedLayer]]:
    """The layers of a network by name, in order of application.

    Raises:
        ModelError: naming the first module that is not in ALLOWED, or is another map than its type says.
    """
    return list(_leaves(network, ""))


def _claim(name: str, layer: ProvedLayer, shape: tuple[int, ...]) -> Claim:
    try:
        return layer.claim(shape)
    except ModelError as error:
        raise ModelError(f"layer {name}: {error}") from None


def _leaves(module: nn.Module, name: str) -> Iterator[tuple[str, ProvedLayer]]:
    """The layers in order of application; raises on the first that is not allowed."""
    _refuse_tampering(module, name)
    if type(module) is nn.Sequential:
        for child_name, child in module.named_children():
            yield from _leaves(child, f"{name}.{child_name}" if name else child_name)
    elif type(module) in ALLOWED and isinstance(module, ProvedLayer):
        yield name or ALLOWED[type(module)], module
    else:
        raise ModelError(_denial(module, name))


def _denial(module: nn.Module, name: str) -> str:
    place = f" at {name}" if name else ""
    hint = "; fold it first: the proof is about the shipped numbers" if hasattr(module, "fold") else ""
    known = ", ".join(sorted(ALLOWED.values()))
    return f"{type(module).__name__}{place} has no proved Lipschitz constant{hint} (known layers: {known})"


def _refuse_tampering(module: nn.Module, name: str) -> None:
    """A hook or a replaced method makes the module another map than its type says."""
    hooked = bool(module._forward_hooks or module._forward_pre_hooks)  # there is no public view of them
    if hooked or {"forward", "claim", "__call__"} & set(vars(module)):
        raise ModelError(
            f"{type(module).__name__} at {name or 'the root'} has hooks or replaced methods: no proof holds"
        )


def _product(layers: Sequence[LayerBound]) -> UpperBound:
    """The product, rounded up; a factor 1 is exact and costs nothing."""
    value = 1.0
    for layer in layers:
        if layer.bound.value != 1.0:
            value = round_up(value * layer.bound.value)
    methods = "; ".join(dict.fromkeys(layer.method for layer in layers))
    return UpperBound(value, f"product over {len(layers)} layers ({methods or 'the identity'})")
