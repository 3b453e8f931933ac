"""SwinIQA: squared differences of Swin features, attended to by the reference (Liu, Li, Peng, Yu & Chen 2022).

The weights are the authors' file, given by path (``test_weights.pt`` of USTC-IMCL/SwinIQA). Each image passes a
Swin-T, pixels as they are; what every stage hands on (after merging patches) is enlarged to 28 × 28 and stacked. The
squared difference of both stacks attends to itself, is then asked by the reference, and a small head makes one number
of the mean. The network sees crops of 224 px: larger images are covered by crops side by side, the last ones flush
with the border, and the mean counts, as in the authors' code; smaller ones, which that code refuses, are enlarged.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..images.resize import resize_operator
from .checkpoints import read_tensors, require_file, require_tensors
from .contract import Facts, Measure, Metric, in_float32

SIDE = 224
CELLS = 28
STACKED = 2112
"""Channels of the four stages together: 192 + 384 + 768 + 768."""
WIDTH, HEADS, HIDDEN = 512, 8, 128

FACTS = Facts(
    name="swiniqa",
    title="SwinIQA",
    source=(
        "Liu, Li, Peng, Yu & Chen 2022 (arXiv 2205.04264), the score of one image against its reference; mean over "
        f"crops of {SIDE} px, smaller images enlarged"
    ),
    highest=1.0,
    zero_at_identity=False,
    licence="Apache-2.0 (retr); the file: its authors', whose repository states no licence",
    weights="a file: the authors' test_weights.pt",
)

THEIRS = {
    "trunk.": "swin_extractor.",
    "embed.": "crossatten.to_patch_embedding.1.",
    "places": "crossatten.pos_embedding",
    "within_norm.": "crossatten.transformer.layers.0.0.norm.",
    "within.": "crossatten.transformer.layers.0.0.fn.to_qkv.",
    "within_out.": "crossatten.transformer.layers.0.0.fn.to_out.0.",
    "across_norm.": "crossatten.transformer.layers.0.1.norm.",
    "across.": "crossatten.transformer.layers.0.1.fn.to_qkv.",
    "across_out.": "crossatten.transformer.layers.0.1.fn.to_out.0.",
    "mix_norm.": "crossatten.transformer.layers.0.2.norm.",
    "mix.": "crossatten.transformer.layers.0.2.fn.net.",
    "head.": "head.",
}
"""How names of this network begin, and how they begin in the file."""


class SwinIQA(nn.Module):
    """Predicted distance of crops: (b, 3, 224, 224) in [0, 1] twice → (b,) in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        import timm  # heavy, and only this metric asks for it

        self.trunk: Any = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False, num_classes=0)
        self.embed = nn.Linear(STACKED, WIDTH)
        self.places = nn.Parameter(torch.zeros(1, CELLS**2 + 1, WIDTH))  # one more than are used, as in the file
        self.within_norm, self.across_norm, self.mix_norm = (nn.LayerNorm(WIDTH) for _ in range(3))
        self.within, self.across = (nn.Linear(WIDTH, 3 * WIDTH, bias=False) for _ in range(2))
        self.within_out, self.across_out = (nn.Linear(WIDTH, WIDTH) for _ in range(2))
        # The third layer stands where theirs drops out.
        self.mix = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Identity(), nn.Linear(HIDDEN, WIDTH))
        self.head = nn.Sequential(nn.Linear(WIDTH, 10), nn.ReLU(), nn.Linear(10, 1), nn.Sigmoid())

    def forward(self, ref: Tensor, img: Tensor) -> Tensor:
        """The head's answer to the attended squared difference."""
        seen, given = self.features(ref), self.features(img)  # b 784 2112
        places = self.places[:, : CELLS**2]
        x, asking = self.embed((given - seen) ** 2) + places, self.embed(seen) + places
        x = x + self.within_out(attention(*self.within(self.within_norm(x)).chunk(3, dim=2)))
        _, keys, values = self.across(self.across_norm(x)).chunk(3, dim=2)
        queries, _, _ = self.across(self.across_norm(asking)).chunk(3, dim=2)
        x = x + self.across_out(attention(queries, keys, values))
        x = x + self.mix(self.mix_norm(x))
        return self.head(x.mean(1))[:, 0]

    def features(self, x: Tensor) -> Tensor:
        """(b, 3, 224, 224) → (b, 784, 2112): what the four stages hand on, at 28 × 28 places."""
        h = self.trunk.patch_embed(x)  # b 56 56 96
        handed_on = []
        for number, stage in enumerate(self.trunk.layers):
            h = stage.downsample(h)  # of the stage before, as timm counts; the first has none
            if number:
                handed_on.append(h)
            h = stage.blocks(h)
        maps = [m.permute(0, 3, 1, 2) for m in (*handed_on, h)]
        size = (CELLS, CELLS)
        maps = [functional.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps]
        return torch.cat(maps, dim=1).flatten(2).mT


def load_swiniqa(rest: str) -> Metric:
    """The metric ``swiniqa:FILE``.

    Raises:
        UsageError: where no file is named.
        ModelError: where it is absent, or holds other tensors.
    """
    path = require_file(rest, form="swiniqa:FILE")
    network = SwinIQA()
    network.load_state_dict(_renamed(network, path))
    return Metric(FACTS, in_float32(over_crops(network)), spec=f"swiniqa:{path}", module=network)


def over_crops(measure: Measure) -> Measure:
    """The mean of a measure of crops, for images of any size."""

    def mean(ref: Tensor, img: Tensor) -> Tensor:
        pairs = zip(crops(enlarged(ref)), crops(enlarged(img)), strict=True)
        return torch.stack([measure(first, second) for first, second in pairs]).mean(0)

    return mean


def attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Eight heads of 64: (b, n, 512) three times → (b, n, 512)."""
    q, k, v = (x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in (queries, keys, values))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def enlarged(x: Tensor) -> Tensor:
    """Images whose shorter side is under 224 px, in the same proportions with that side at 224; others unchanged."""
    height, width = x.shape[2:]
    shorter = min(height, width)
    if shorter >= SIDE:
        return x
    target = (-(-height * SIDE // shorter), -(-width * SIDE // shorter))  # rounded up
    return resize_operator((height, width), target).apply(x)


def crops(x: Tensor) -> Iterator[Tensor]:
    """Crops (b, 3, 224, 224) that cover (b, 3, h, w): side by side from the corner, the last flush with the border."""
    tops, lefts = ([*range(0, side - SIDE, SIDE), side - SIDE] for side in x.shape[2:])
    for top in tops:
        for left in lefts:
            yield x[:, :, top : top + SIDE, left : left + SIDE]


def _renamed(network: SwinIQA, path: Path) -> dict[str, Tensor]:
    """The file's tensors under this network's names.

    Raises:
        ModelError: where one is missing or of another shape, by its name in the file.
    """
    tensors, own = read_tensors(path), network.state_dict()
    names = {ours: _their_name(ours) for ours in own}
    fitting = {t: tensors[t] for o, t in names.items() if t in tensors and tensors[t].shape == own[o].shape}
    require_tensors(path, names.values(), fitting)
    return {ours: fitting[theirs] for ours, theirs in names.items()}


def _their_name(ours: str) -> str:
    """The name in the file; there, merging patches belongs to the stage before it, not after."""
    start = next(prefix for prefix in THEIRS if ours.startswith(prefix))
    parts = (THEIRS[start] + ours.removeprefix(start)).split(".")
    if "downsample" in parts:
        parts[2] = str(int(parts[2]) - 1)
    return ".".join(parts)
