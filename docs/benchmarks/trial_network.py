"""The networks of ``dense_trial.py``: the convolutions of ``retr_s`` as constants, and what is trained behind them."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from retr.embedding.layers.flatten import Flatten
from retr.embedding.layers.maxmin import MaxMin
from retr.embedding.layers.orthogonal_conv import OrthogonalConv
from retr.embedding.layers.orthogonal_dense import OrthogonalDense
from retr.embedding.network import quickly
from retr.embedding.registry import load_embedder
from retr.embedding.retr_network import RETR_S

VARIANTS = ("head", "dense", "deep")
WIDTH, LAYERS, BLOCKS, SLOW = 512, 2, 3, 0.1


class Trial(nn.Module):
    """The convolutions of ``retr_s`` as constants, and the variants behind them.

    Args:
        variants: which of :data:`VARIANTS`.
        generator: of what does not come from ``retr_s``.
    """

    def __init__(self, variants: Sequence[str] = VARIANTS, *, generator: torch.Generator) -> None:
        super().__init__()
        shipped = copy.deepcopy(load_embedder("retr_s").network)  # pyright: ignore[reportAttributeAccessIssue]
        rows = shipped.get_submodule("head").weight
        self.trunk = nn.Sequential(OrderedDict(list(shipped.named_children())[:-2])).requires_grad_(False)
        bodies = {"head": nn.Sequential(), "dense": _neck(rows, generator), "deep": _blocks(generator)}
        for name, body in bodies.items():
            if name != "dense":
                body.add_module("flatten", Flatten())
                body.add_module("head", _dense(rows, generator))
        self.bodies = nn.ModuleDict({name: bodies[name] for name in variants})

    def forward(self, x: Tensor) -> Tensor:  # b 3 64 64 -> b variants·256
        """Embed a batch by every variant, from where plain images lie."""
        with_plain = torch.cat((x, torch.zeros_like(x[:1])))
        with torch.no_grad():
            features = quickly(self.trunk, with_plain.contiguous(memory_format=torch.channels_last))
        embedded = torch.cat([body(features) for body in self.bodies.values()], 1)
        return embedded[:-1] - embedded[-1:]

    @torch.no_grad()
    def fold(self, variant: str) -> nn.Sequential:
        """What stands behind the trunk, in plain float32 numbers, which ``bounds.prove`` accepts."""
        body = _folded(self.bodies[variant])  # pyright: ignore[reportArgumentType]
        whole = copy.deepcopy(nn.Sequential(self.trunk, body)).double()
        body.get_submodule("head").bias -= whole(torch.zeros(1, 3, 64, 64, dtype=torch.float64))[0].float()
        return body


def _folded(module: nn.Sequential) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, child in module.named_children():
        fold = getattr(child, "fold", None)
        parts[name] = _folded(child) if isinstance(child, nn.Sequential) else fold() if fold else child
    return nn.Sequential(parts)


def _dense(rows: Tensor, generator: torch.Generator) -> OrthogonalDense:
    """A trainable layer that begins with these orthonormal rows, in the size that the layer begins with."""
    layer = OrthogonalDense(rows.shape[1], rows.shape[0], generator=generator)
    layer.weight.data = rows * layer.weight.detach().norm(dim=1).mean()
    return layer


def _neck(head: Tensor, generator: torch.Generator) -> nn.Sequential:
    """The rows of the head and others orthogonal to them; then layers that begin as the identity.

    A bias keeps the halves of every MaxMin apart in most images, so that it changes little to begin with.
    """
    more = torch.randn(WIDTH - len(head), head.shape[1], generator=generator)
    rows = torch.linalg.qr(torch.cat((head, more)).T.double()).Q.T.float()
    rows[: len(head)] = head
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=Flatten(), neck=_dense(rows, generator))
    for number in range(LAYERS):
        parts[f"sort{number}"] = MaxMin()
        parts[f"dense{number}"] = _dense(torch.eye(WIDTH), generator)
    parts["neck"].get_parameter("bias").data[WIDTH // 2 :] = -1.5
    parts |= {"sort": MaxMin(), "head": _dense(torch.eye(len(head), WIDTH), generator)}
    return nn.Sequential(parts)


def _blocks(generator: torch.Generator) -> nn.Sequential:
    """Blocks that begin by handing on what they get."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(RETR_S.depths[-1], RETR_S.depths[-1] + BLOCKS):
        added = OrthogonalConv(RETR_S.widths[-1], RETR_S.widths[-1], generator=generator)
        added.pass_through()
        parametrize.register_parametrization(added, "skew", _Slowly(added.skew.detach().clone()))
        parts[f"block{number}"] = nn.Sequential(OrderedDict(layer=added, activation=MaxMin()))
    return nn.Sequential(parts)


class _Slowly(nn.Module):
    """A parameter that moves at a tenth of the rate: fifteen matrices turn in a row, where the head is one.

    At the rate of the head the blocks lost within 80 steps what they had begun with.

    Args:
        base: where it begins.
    """

    base: Tensor

    def __init__(self, base: Tensor) -> None:
        super().__init__()
        self.register_buffer("base", base)

    def forward(self, moved: Tensor) -> Tensor:
        return self.base + SLOW * moved

    def right_inverse(self, value: Tensor) -> Tensor:
        return (value - self.base) / SLOW
