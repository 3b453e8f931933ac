"""LipSim, the paper's network, and its registration with timm.

Importing this module makes ``timm.create_model("lipsim_small")`` work: the trainable network, random weights. The
embedders of this room do not need timm; use ``lipsim:random`` or a converted model file.
"""

from __future__ import annotations

from typing import Any

from timm.models import register_model

from ..core.errors import UsageError, WeightsUnavailable
from .sll_network import LIPSIM_SMALL, SLLNetwork


class TimmLipSim(SLLNetwork):
    """SLLNetwork with the attributes that timm's tools look for: input size, no normalisation, feature count."""

    def __init__(self) -> None:
        super().__init__(LIPSIM_SMALL)
        side = LIPSIM_SMALL.image
        self.num_classes = 0
        self.num_features = self.head_hidden_size = LIPSIM_SMALL.dim
        self.pretrained_cfg = self.default_cfg = {
            "architecture": "lipsim_small",
            "input_size": (3, side, side),
            "fixed_input_size": True,
            "mean": (0.0, 0.0, 0.0),
            "std": (1.0, 1.0, 1.0),
            "crop_pct": 1.0,
            "interpolation": "bilinear",
            "num_classes": 0,
        }


@register_model
def lipsim_small(pretrained: bool = False, num_classes: int = 0, **options: Any) -> TimmLipSim:
    """LipSim (arXiv 2310.18274) for timm: (b, 3, 224, 224) in [0, 1] → (b, 1792).

    Args:
        pretrained: refused; no weights are hosted for it.
        num_classes: 0; it embeds and has no classifier.
        **options: timm's own bookkeeping, which this network has no use for; anything else is refused.

    Raises:
        WeightsUnavailable: for pretrained=True.
        UsageError: for a classifier, or an option it does not have.
    """
    if pretrained:
        raise WeightsUnavailable(
            "no weights are hosted for lipsim_small: convert the authors' checkpoint with `retr models convert`"
        )
    if num_classes:
        raise UsageError(f"lipsim_small embeds and has no classifier: num_classes must be 0, got {num_classes}")
    unknown = set(options) - {"pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
    if unknown:
        raise UsageError(f"lipsim_small has no option {', '.join(sorted(unknown))}")
    return TimmLipSim()
