"""Writes a teacher for distillation: the features that ST-LPIPS (Alex) compares, as one vector an image.

    python docs/benchmarks/trunk_teacher.py teacher.pt [--side 64] [--fields 2]
    retr train distill PHOTOS -o run --teacher torchscript:teacher.pt@64x64

Every slice of the trunk is weighed as in the distance (Ghildyal & Liu 2022, arXiv 2207.13686) and averaged over
fields × fields places, so that ‖t(x) − t(y)‖² is ST-LPIPS up to that averaging: a teacher of perceptual similarity that
needs no download, its weights coming inside the wheel of stlpips-pytorch. It computes in bfloat16: it proves nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from retr.metrics.registry import load_metric
from retr.metrics.st_lpips import ShiftTolerant


class PooledTrunk(nn.Module):
    """(b, 3, side, side) in [0, 1] → (b, fields² · channels) float32."""

    def __init__(self, network: ShiftTolerant, fields: int) -> None:
        super().__init__()
        self.network, self.fields = network, fields

    def forward(self, x: Tensor) -> Tensor:
        """Weighed features, averaged over fields."""
        maps = self.network.features(x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last))
        pooled = [
            functional.adaptive_avg_pool2d(part.float() * weight.float().sqrt(), self.fields).flatten(1) / self.fields
            for part, weight in zip(maps, self.network.linear, strict=True)
        ]
        return torch.cat(pooled, dim=1)


def main() -> None:
    """Trace and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--fields", type=int, default=2)
    options = parser.parse_args()
    network = load_metric("st-lpips-alex").module
    assert isinstance(network, ShiftTolerant)
    network = network.to(torch.bfloat16).to(memory_format=torch.channels_last)
    trunk = PooledTrunk(network, options.fields).eval()
    with torch.no_grad():
        traced = torch.jit.trace(trunk, torch.rand(2, 3, options.side, options.side))
    assert isinstance(traced, torch.jit.ScriptModule)
    traced.save(str(options.out))


if __name__ == "__main__":
    main()
