"""SLL networks of the LipSim shape: padding, convolutions, sum-pools, dense layers, truncation.

Source of the shape: Ghazanfari et al., "LipSim", arXiv 2310.18274, with the SLL layers of arXiv 2303.03169. All
convolutions run at full resolution; both sum-pools follow the last of them. Inputs are in [0, 1], not normalised.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import ModelError, UsageError
from ..core.types import Score
from .layers.channel_pad import ChannelPad
from .layers.flatten import Flatten
from .layers.sll_conv import FoldedSLLConv, QForm, SLLConv
from .layers.sll_dense import FoldedSLLDense, SLLDense
from .layers.sum_pool import SumPool
from .layers.truncate import Truncate
from .network import Blueprint


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True, slots=True)
class SLLArchitecture:
    """The numbers that fix a network's shape.

    Attributes:
        image: side of the square input, in pixels.
        channels: channel count after zero padding.
        convs: number of SLL convolutions.
        conv_inner: their inner channel count.
        kernel: their kernel size, odd.
        pools: number of sum-pools after the convolutions.
        pool: size k of each.
        denses: number of SLL dense layers.
        dense_inner: their inner width.
        dim: length of the embedding: the first coordinates that are kept.
    """

    image: int = 224
    channels: int = 45
    convs: int = 20
    conv_inner: int = 5
    kernel: int = 3
    pools: int = 2
    pool: int = 4
    denses: int = 7
    dense_inner: int = 1024
    dim: int = 1792

    def __post_init__(self) -> None:
        wrong = [f.name for f in fields(self) if not _is_count(getattr(self, f.name))]
        if wrong:
            raise UsageError(f"an SLL architecture takes non-negative whole numbers; wrong: {', '.join(wrong)}")
        if self.channels < 3 or self.kernel % 2 == 0 or self.pool < 1:
            raise UsageError("an SLL architecture needs at least 3 channels, an odd kernel and a pool of at least 1")
        if self.image == 0 or self.image % self.pool**self.pools:
            raise UsageError(f"an image side of {self.image} cannot be divided by {self.pools} pools of {self.pool}")
        if not 1 <= self.dim <= self.features:
            raise UsageError(f"dim must be between 1 and {self.features}, got {self.dim}")

    @property
    def features(self) -> int:
        """Length of the flattened vector between the convolutions and the dense layers."""
        return self.channels * (self.image // self.pool**self.pools) ** 2

    def as_json(self) -> dict[str, int]:
        """The numbers by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SLLArchitecture:
        """The reverse of :meth:`as_json`.

        Raises:
            ModelError: for unknown or missing names, or numbers that do not fit together.
        """
        known = {f.name for f in fields(cls)}
        if set(value) != known:
            raise ModelError(
                f"an SLL architecture has exactly {', '.join(sorted(known))}; got {', '.join(sorted(value))}"
            )
        try:
            return cls(**value)
        except UsageError as error:
            raise ModelError(str(error)) from None


LIPSIM_SMALL = SLLArchitecture()
"""The published network: 63,276,796 parameters."""


class SLLNetwork(nn.Module):
    """The trainable network. Parameter names are those of the published checkpoints, below their prefix.

    Args:
        architecture: the shape.
        q_form: how the convolutions use q.
        generator: source of the initial weights (the layers' own initialisation); None for torch's global one.
    """

    def __init__(
        self,
        architecture: SLLArchitecture,
        *,
        q_form: QForm = "published",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        a = self.architecture = architecture
        blocks = [
            SLLConv(a.channels, a.conv_inner, size=a.kernel, q_form=q_form, generator=generator) for _ in range(a.convs)
        ]
        denses = [SLLDense(a.features, a.dense_inner, generator=generator) for _ in range(a.denses)]
        self.pad = ChannelPad(a.channels)
        self.convs = nn.Sequential(*blocks, *_pools(a))
        self.linear = nn.Sequential(Flatten(), *denses)
        self.truncate = Truncate(a.dim)

    def forward(self, x: Tensor) -> Tensor:  # b 3 image image -> b dim
        """Embed a batch with values in [0, 1]."""
        return self.truncate(self.linear(self.convs(self.pad(x))))

    def fold(self) -> nn.Sequential:
        """The shipped network: the same map in plain float32 numbers, which ``bounds.prove`` accepts."""
        convs = nn.Sequential(*(m.fold() if isinstance(m, SLLConv) else m for m in self.convs))
        linear = nn.Sequential(*(m.fold() if isinstance(m, SLLDense) else m for m in self.linear))
        return _assemble(self.architecture, convs, linear)


def folded_skeleton(architecture: SLLArchitecture) -> nn.Sequential:
    """The shipped network with unset numbers on the meta device, for ``load_state_dict(..., assign=True)``."""
    a = architecture
    with torch.device("meta"):
        m, n = a.conv_inner, a.dense_inner
        convs = [FoldedSLLConv(torch.empty(m, a.channels, a.kernel, a.kernel), *_vectors(m)) for _ in range(a.convs)]
        denses = [FoldedSLLDense(torch.empty(n, a.features), *_vectors(n)) for _ in range(a.denses)]
    return _assemble(a, nn.Sequential(*convs, *_pools(a)), nn.Sequential(Flatten(), *denses))


def sll_blueprint(architecture: SLLArchitecture, score: Score) -> Blueprint:
    """The blueprint of a network of this family."""
    return Blueprint("sll", architecture.as_json(), (architecture.image, architecture.image), score)


def parameter_count(architecture: SLLArchitecture) -> int:
    """How many parameters the trainable network has."""
    with torch.device("meta"):
        network = SLLNetwork(architecture)
    return sum(math.prod(p.shape) for p in network.parameters())


def _pools(architecture: SLLArchitecture) -> list[SumPool]:
    return [SumPool(architecture.pool) for _ in range(architecture.pools)]


def _vectors(length: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty(length), torch.empty(length), torch.empty(length)


def _assemble(architecture: SLLArchitecture, convs: nn.Sequential, linear: nn.Sequential) -> nn.Sequential:
    parts = [
        ("pad", ChannelPad(architecture.channels)),
        ("convs", convs),
        ("linear", linear),
        ("truncate", Truncate(architecture.dim)),
    ]
    return nn.Sequential(OrderedDict[str, nn.Module](parts))
