"""The copy network: pixels folded into channels stage by stage, channels mixed, one dense layer at the end.

centre → pixel-unshuffle → per stage: [pixel-unshuffle 2] → channels padded or cut to the stage's width → blocks of
(layer, shift, activation) → flatten → dense head. Inputs are in [0, 1], not normalised; the first layer removes the
mean of every channel. Every layer has constant at most 1, and with the ``orthogonal`` and ``mix`` layers most of them
are isometries but for channels that are cut and what zero padding crops, so little of the distance between images is
lost on the way.
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..core.errors import ModelError, UsageError
from ..core.types import Score
from .layers.absolute import Absolute
from .layers.aol_conv import AOLConv
from .layers.aol_dense import AOLDense
from .layers.centre import Centre
from .layers.channel_pad import ChannelPad
from .layers.channel_truncate import ChannelTruncate
from .layers.cpl_conv import CPLConv, FoldedCPLConv
from .layers.flatten import Flatten
from .layers.linear import LinearDense
from .layers.linear_conv import LinearConv
from .layers.maxmin import MaxMin
from .layers.orthogonal_conv import OrthogonalConv
from .layers.orthogonal_dense import OrthogonalDense
from .layers.orthogonal_mix import OrthogonalMix
from .layers.pixel_unshuffle import PixelUnshuffle
from .layers.recentre import Recentre, Translate
from .layers.shift import Shift
from .layers.sll_conv import FoldedSLLConv, SLLConv
from .network import Blueprint

KERNEL = 3
"""Taps per axis of every layer but ``mix``."""

Generator = torch.Generator | None


@dataclass(frozen=True, slots=True)
class LayerKind:
    """One choice of layer.

    Attributes:
        trainable: channels and a source of weights → the trainable layer.
        folded: channels → the shipped layer with unset numbers.
        multiplications: per pixel, of the shipped layer, by channels.
        residual: holds its own activation.
        shifted: needs shifts between pixels.
    """

    trainable: Callable[[int, Generator], nn.Module]
    folded: Callable[[int], nn.Module]
    multiplications: Callable[[int], int]
    residual: bool = False
    shifted: bool = False


def _empty_conv(channels: int, size: int) -> LinearConv:
    return LinearConv(torch.empty(channels, channels, size, size), torch.empty(channels))


def _empty_sll(channels: int) -> FoldedSLLConv:
    vectors = (torch.empty(channels), torch.empty(channels), torch.empty(channels))
    return FoldedSLLConv(torch.empty(channels, channels, KERNEL, KERNEL), *vectors)


def _empty_cpl(channels: int) -> FoldedCPLConv:
    return FoldedCPLConv(torch.empty(channels, channels, KERNEL, KERNEL), torch.empty(channels), torch.empty(1))


def _one(channels: int) -> int:
    return (KERNEL * channels) ** 2


def _two(channels: int) -> int:
    return 2 * _one(channels)


LAYERS: dict[str, LayerKind] = {
    "mix": LayerKind(
        lambda c, g: OrthogonalMix(c, generator=g), lambda c: _empty_conv(c, 1), lambda c: c * c, shifted=True
    ),
    "orthogonal": LayerKind(
        lambda c, g: OrthogonalConv(c, c, size=KERNEL, generator=g), lambda c: _empty_conv(c, KERNEL), _one
    ),
    "aol": LayerKind(lambda c, g: AOLConv(c, c, size=KERNEL, generator=g), lambda c: _empty_conv(c, KERNEL), _one),
    "sll": LayerKind(lambda c, g: SLLConv(c, c, size=KERNEL, generator=g), _empty_sll, _two, residual=True),
    "cpl": LayerKind(lambda c, g: CPLConv(c, c, size=KERNEL, generator=g), _empty_cpl, _two, residual=True),
}
"""The layers a network can be built of."""

HEADS: dict[str, Callable[[int, int, Generator], nn.Module]] = {
    "orthogonal": lambda inputs, outputs, g: OrthogonalDense(inputs, outputs, generator=g),
    "aol": lambda inputs, outputs, g: AOLDense(inputs, outputs, generator=g),
}
"""The last layer: inputs, outputs and a source of weights → the trainable layer. Both ship as a plain matrix."""

CENTRINGS = ("none", "homogeneous", "plain", "head", "all")
"""Where the embedding has its origin, and which layers read channels of mean zero."""
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"maxmin": MaxMin, "abs": Absolute}


@dataclass(frozen=True, slots=True)
class RetrArchitecture:
    """The numbers that fix a network's shape.

    Attributes:
        image: side of the square input, in pixels.
        patch: factor of the first pixel-unshuffle.
        widths: channels of each stage.
        depths: blocks of each stage.
        layer: one of LAYERS.
        activation: one of ACTIVATIONS; residual layers bring their own.
        dim: length of the embedding.
        head: one of HEADS.
        centring: ``homogeneous``: no layer adds a constant, so c times the contrast gives c times the embedding, in the
            same direction. ``plain`` only puts the origin of the embedding where plain images lie (they all lie at one
            point, for the first layer removes the mean of every channel): one translation, in the bias of the head.
            ``head`` and ``all`` let the head, or every layer as well, read channels of mean zero (``layers.recentre``).
    """

    image: int = 64
    patch: int = 4
    widths: tuple[int, ...] = (48, 128, 256)
    depths: tuple[int, ...] = (3, 3, 3)
    layer: str = "orthogonal"
    activation: str = "maxmin"
    dim: int = 256
    head: str = "orthogonal"
    centring: str = "plain"

    def __post_init__(self) -> None:
        counts = (self.image, self.patch, self.dim, *self.widths, *self.depths)
        if any(not isinstance(n, int) or isinstance(n, bool) or n < 1 for n in counts):
            raise UsageError(f"a retr architecture takes positive whole numbers, got {counts}")
        if not self.widths or len(self.widths) != len(self.depths):
            raise UsageError(f"a retr architecture needs one depth per width, got {self.widths} and {self.depths}")
        if self.layer not in LAYERS or self.activation not in ACTIVATIONS:
            raise UsageError(
                f"unknown layer {self.layer!r} or activation {self.activation!r}; choose from {', '.join(LAYERS)} and "
                f"{', '.join(ACTIVATIONS)}"
            )
        if self.head not in HEADS:
            raise UsageError(f"unknown head {self.head!r}; choose from {', '.join(HEADS)}")
        if self.centring not in CENTRINGS:
            raise UsageError(f"unknown centring {self.centring!r}; choose from {', '.join(CENTRINGS)}")
        if self.image % self.reduction:
            raise UsageError(f"an image side of {self.image} cannot be divided by {self.reduction}")
        if self.activation == "maxmin" and not LAYERS[self.layer].residual and any(w % 2 for w in self.widths):
            raise UsageError(f"maxmin sorts pairs of channels; the widths must be even, got {self.widths}")

    @property
    def reduction(self) -> int:
        """By how much the stages reduce the side of the image."""
        return self.patch * 2 ** (len(self.widths) - 1)

    @property
    def features(self) -> int:
        """Length of the vector that the dense layer reads."""
        return self.widths[-1] * (self.image // self.reduction) ** 2

    def as_json(self) -> dict[str, Any]:
        """The numbers by name."""
        return {**asdict(self), "widths": list(self.widths), "depths": list(self.depths)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RetrArchitecture:
        """The reverse of :meth:`as_json`.

        Raises:
            ModelError: for unknown or missing names, or numbers that do not fit together.
        """
        known = set(cls().as_json())
        if set(value) != known:
            raise ModelError(
                f"a retr architecture has exactly {', '.join(sorted(known))}; got {', '.join(sorted(value))}"
            )
        try:
            return cls(**{**value, "widths": tuple(value["widths"]), "depths": tuple(value["depths"])})
        except (UsageError, TypeError) as error:
            raise ModelError(f"not a retr architecture: {error}") from None


RETR_S = RetrArchitecture()
"""The small network."""
RETR_M = RetrArchitecture(image=128, widths=(48, 128, 256, 384), depths=(3, 3, 3, 3))
"""The medium network: one stage more, about twice the parameters, four times the pixels."""


class RetrNetwork(nn.Module):
    """The trainable network.

    Args:
        architecture: the shape.
        generator: source of the initial weights; None for torch's global one.
    """

    def __init__(self, architecture: RetrArchitecture, *, generator: Generator = None) -> None:
        super().__init__()
        self.architecture = architecture
        kind = LAYERS[architecture.layer]
        head = HEADS[architecture.head](architecture.features, architecture.dim, generator)
        self.body = _assemble(architecture, lambda width: kind.trainable(width, generator), Recentre, head)
        if architecture.centring == "homogeneous":
            self.drop_constants()

    @torch.no_grad()
    def drop_constants(self) -> None:
        """Set what the layers add to zero, for good."""
        for name, parameter in self.named_parameters():
            if name.rpartition(".")[2] == "bias":
                parameter.zero_().requires_grad_(False)

    @torch.no_grad()
    def pass_through(self, depths: tuple[int, ...]) -> None:
        """Set all blocks beyond these depths so that they hand their input on: a deeper network begins as a shallower.

        What a block ends with, sorted pairs or absolute values, does not change what another block has ended with.

        Args:
            depths: of the shallower network, at least 1 per stage.

        Raises:
            UsageError: for stages that are deeper there, and layers that cannot do so.
        """
        own, layer = self.architecture.depths, self.architecture.layer
        if len(depths) != len(own) or any(not 1 <= few <= many for few, many in zip(depths, own, strict=True)):
            raise UsageError(f"a network of depths {own} cannot begin as one of depths {depths}")
        if depths != own and (layer != "orthogonal" or self.architecture.centring == "all"):
            raise UsageError("only a network of orthogonal layers, without centrings between, can begin as a shallower")
        for stage, few in enumerate(depths):
            for block in range(few, own[stage]):
                added = self.body.get_submodule(f"stage{stage}.block{block}.layer")
                assert isinstance(added, OrthogonalConv)
                added.pass_through()

    def forward(self, x: Tensor) -> Tensor:  # b 3 image image -> b dim
        """Embed a batch with values in [0, 1]."""
        # Channels-last is the layout in which mixing is one matrix product, without copies.
        if self.architecture.centring != "plain":
            return self.body(x.contiguous(memory_format=torch.channels_last))
        with_plain = torch.cat((x, torch.zeros_like(x[:1])))
        embedded = self.body(with_plain.contiguous(memory_format=torch.channels_last))
        return embedded[:-1] - embedded[-1:]

    @torch.no_grad()
    def settle(self, x: Tensor) -> None:
        """Set the constants that stand for batch means to the means of a batch: after weights were averaged.

        Args:
            x: (b, 3, image, image), a few hundred images like those to come.
        """
        centrings = [module for module in self.modules() if isinstance(module, Recentre)]
        if not centrings:
            return
        for module in centrings:
            module.settling = True
        self(x)
        for module in centrings:
            module.settling = False

    def fold(self) -> nn.Sequential:
        """The shipped network: the same map in plain float32 numbers, which ``bounds.prove`` accepts."""
        folded = _folded(self.body)
        if self.architecture.centring == "plain":
            _put_origin_at_plain(folded, self.architecture.image)
        return folded


def folded_skeleton(architecture: RetrArchitecture) -> nn.Sequential:
    """The shipped network with unset numbers on the meta device, for ``load_state_dict(..., assign=True)``."""
    with torch.device("meta"):
        head = LinearDense(torch.empty(architecture.dim, architecture.features), torch.empty(architecture.dim))
        return _assemble(architecture, LAYERS[architecture.layer].folded, _empty_translate, head)


def retr_blueprint(architecture: RetrArchitecture, score: Score) -> Blueprint:
    """The blueprint of a network of this family."""
    return Blueprint("retr", architecture.as_json(), (architecture.image, architecture.image), score)


def parameter_count(architecture: RetrArchitecture) -> int:
    """How many parameters the trainable network has."""
    with torch.device("meta"):
        network = RetrNetwork(architecture)
    return sum(math.prod(p.shape) for p in network.parameters())


def flops(architecture: RetrArchitecture) -> int:
    """Floating-point operations of the shipped network on one image: multiplications and additions of its products."""
    a, total = architecture, architecture.features * architecture.dim
    for stage, (width, depth) in enumerate(zip(a.widths, a.depths, strict=True)):
        places = (a.image // (a.patch * 2**stage)) ** 2
        total += places * depth * LAYERS[a.layer].multiplications(width)
    return 2 * total


@torch.no_grad()
def _put_origin_at_plain(folded: nn.Sequential, image: int) -> None:
    """Take the embedding of plain images off the head's bias."""
    head = folded[-1]
    assert isinstance(head, LinearDense)
    plain = copy.deepcopy(folded).cpu().double()(torch.zeros(1, 3, image, image, dtype=torch.float64))[0]
    head.bias -= plain.to(head.bias)


Build = Callable[[int], nn.Module]


def _empty_translate(channels: int) -> Translate:
    return Translate(torch.empty(channels))


def _assemble(architecture: RetrArchitecture, layer: Build, centring: Build, head: nn.Module) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(centre=Centre(), unshuffle=PixelUnshuffle(architecture.patch))
    channels = 3 * architecture.patch**2
    for stage, width in enumerate(architecture.widths):
        parts[f"stage{stage}"] = _stage(architecture, stage, channels, layer, centring)
        channels = width * 4
    parts["flatten"] = Flatten()
    if architecture.centring in ("head", "all"):
        parts["centring"] = centring(architecture.features)
    parts["head"] = head
    return nn.Sequential(parts)


def _stage(architecture: RetrArchitecture, stage: int, channels: int, layer: Build, centring: Build) -> nn.Sequential:
    """One stage; ``channels`` arrive at it, counted after its own pixel-unshuffle."""
    width = architecture.widths[stage]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if stage > 0:
        parts["unshuffle"] = PixelUnshuffle(2)
    if channels < width:
        parts["pad"] = ChannelPad(width)
    if channels > width:
        parts["cut"] = ChannelTruncate(width)
    for block in range(architecture.depths[stage]):
        parts[f"block{block}"] = _block(architecture, layer(width), centring(width))
    return nn.Sequential(parts)


def _block(architecture: RetrArchitecture, layer: nn.Module, centring: nn.Module) -> nn.Sequential:
    kind = LAYERS[architecture.layer]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if architecture.centring == "all":
        parts["centring"] = centring
    parts["layer"] = layer
    if kind.shifted:
        parts["shift"] = Shift()
    if not kind.residual:
        parts["activation"] = ACTIVATIONS[architecture.activation]()
    return nn.Sequential(parts)


def _folded(module: nn.Sequential) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential):
            parts[name] = _folded(child)
        else:
            fold: Callable[[], nn.Module] | None = getattr(child, "fold", None)
            parts[name] = child if fold is None else fold()
    return nn.Sequential(parts)
