"""The copy networks, and their registration with timm.

Importing this module makes ``timm.create_model("retr_s")`` and ``("retr_m")`` work: trainable networks with random
weights, or with ``pretrained=True`` the shipped one, folded. The embedders of this room do not need timm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from timm.models import register_model
from torch import Tensor, nn

from ..core.errors import UsageError, WeightsUnavailable
from .model_file import load_model
from .retr_network import RETR_M, RETR_S, RetrArchitecture, RetrNetwork

WEIGHTS = Path(__file__).parent / "weights"
"""Where the weights are that come with the package, one model file per name."""


class TimmRetr(nn.Module):
    """A network with the attributes that timm's tools look for: input size, no normalisation, feature count.

    Args:
        name: its name in timm's registry.
        body: the network, trainable or folded.
        image: side of its input.
        dim: length of its embedding.
    """

    def __init__(self, name: str, body: nn.Module, *, image: int, dim: int) -> None:
        super().__init__()
        self.body = body
        self.num_classes = 0
        self.num_features = self.head_hidden_size = dim
        self.pretrained_cfg = self.default_cfg = {
            "architecture": name,
            "input_size": (3, image, image),
            "fixed_input_size": True,
            "mean": (0.0, 0.0, 0.0),
            "std": (1.0, 1.0, 1.0),
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "interpolation": "bilinear",
            "num_classes": 0,
        }

    def forward(self, x: Tensor) -> Tensor:  # b 3 image image -> b dim
        """Embed a batch with values in [0, 1]."""
        return self.body(x)


@register_model
def retr_s(pretrained: bool = False, num_classes: int = 0, **options: Any) -> TimmRetr:
    """The small copy network for timm.

    Args:
        pretrained: the weights that come with the package, folded: for inference, not for further training.
        num_classes: 0; it embeds and has no classifier.
        **options: timm's own bookkeeping, which this network has no use for; anything else is refused.

    Raises:
        WeightsUnavailable: for pretrained=True where the package was built without weights.
        UsageError: for a classifier, or an option it does not have.
    """
    return _build("retr_s", RETR_S, pretrained, num_classes, options)


@register_model
def retr_m(pretrained: bool = False, num_classes: int = 0, **options: Any) -> TimmRetr:
    """The medium copy network for timm; arguments and errors as for :func:`retr_s`."""
    return _build("retr_m", RETR_M, pretrained, num_classes, options)


def _build(
    name: str, architecture: RetrArchitecture, pretrained: bool, num_classes: int, options: dict[str, Any]
) -> TimmRetr:
    if num_classes:
        raise UsageError(f"{name} embeds and has no classifier: num_classes must be 0, got {num_classes}")
    unknown = set(options) - {"pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
    if unknown:
        raise UsageError(f"{name} has no option {', '.join(sorted(unknown))}")
    if pretrained:
        return _shipped(name)
    return TimmRetr(name, RetrNetwork(architecture), image=architecture.image, dim=architecture.dim)


def _shipped(name: str) -> TimmRetr:
    path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsUnavailable(f"no weights come with this package for {name}: train them with `retr train copies`")
    embedder = load_model(path)
    return TimmRetr(name, embedder.network, image=embedder.input_size[0], dim=embedder.dim)
