"""Shift-tolerant LPIPS (Ghildyal & Liu 2022): LPIPS on trunks that blur before every stride.

The authors' weights, trunk included, come inside the wheel of the package ``stlpips-pytorch``. Only that file is read.
The package itself is not imported: beside the authors' BSD-2-Clause code it carries files that their headers put under
CC BY-NC-SA 4.0, and it needs ipython and torchsummary without declaring them. The networks are written here from the
paper: Alex with a first convolution of stride 1 followed by a blur, pooling of stride 1 followed by a blur; VGG with
pooling of stride 1 followed by a blur. Blurs are [1, 2, 1]² / 16 with stride 2 after reflecting two pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import ModelError
from .checkpoints import read_tensors, require_tensors
from .contract import Facts, Metric, in_float32

Trunk = Literal["alex", "vgg"]
PACKAGE, EXTRA = "stlpips_pytorch", "st-lpips"
TITLES: dict[Trunk, str] = {"alex": "Alex", "vgg": "VGG"}
SMALLEST: dict[Trunk, int] = {"alex": 21, "vgg": 18}
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""LPIPS's normalisation of pixels in [−1, 1]."""


_VGG_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def facts(trunk: Trunk) -> Facts:
    """ST-LPIPS on one trunk."""
    return Facts(
        name=f"st-lpips-{trunk}",
        title=f"ST-LPIPS ({TITLES[trunk]})",
        source="Ghildyal & Liu 2022 (arXiv 2207.13686), weights vST0.0",
        smallest_side=SMALLEST[trunk],
        licence="weights: BSD-2-Clause by their authors; their wheel also carries CC BY-NC-SA 4.0 code, not used here",
        weights=f"inside the wheel of stlpips-pytorch: pip install 'retr[{EXTRA}]'",
    )


class Blur(nn.Module):
    """[1, 2, 1]² / 16 of stride 2 over two reflected pixels on every side: (b, c, h, w) → (b, c, (h + 1)//2 + 1, …)."""

    def forward(self, x: Tensor) -> Tensor:
        """Blur and halve every channel."""
        taps = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
        kernel = (taps[:, None] * taps[None, :]).expand(x.shape[1], 1, 3, 3)
        return functional.conv2d(functional.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=x.shape[1])


class ShiftTolerant(nn.Module):
    """The distance: (b, 3, h, w) in [0, 1] twice → (b,).

    Attributes:
        slices: five parts of the trunk; each one's output is compared.
        linear: five (1, c, 1, 1) weights, ≥ 0.
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.slices = nn.ModuleList(_alex() if trunk == "alex" else _vgg())
        widths = [[m for m in part.modules() if isinstance(m, nn.Conv2d)][-1].out_channels for part in self.slices]
        self.linear = nn.ParameterList([nn.Parameter(torch.ones(1, width, 1, 1)) for width in widths])

    def forward(self, ref: Tensor, img: Tensor) -> Tensor:
        """Weighted squared differences of unit-length features, averaged over places, summed over slices."""
        pairs = zip(self.features(ref), self.features(img), self.linear, strict=True)
        per_slice = [((first - second) ** 2 * weight).sum(1).mean((1, 2)) for first, second, weight in pairs]
        return torch.stack(per_slice).sum(0)

    def stacked(self, x: Tensor) -> Tensor:
        """(b, d): every feature times the root of its weight in the distance, which is a squared distance of these."""
        parts = zip(self.features(x), self.linear, strict=True)
        return torch.cat([(part * (weight / part[0, 0].numel()).sqrt()).flatten(1) for part, weight in parts], dim=1)

    def features(self, x: Tensor) -> list[Tensor]:
        """Five (b, c, h, w), each place divided by its length."""
        shift, scale = (torch.tensor(v, dtype=x.dtype, device=x.device).view(3, 1, 1) for v in (SHIFT, SCALE))
        x = (2 * x - 1 - shift) / scale
        outputs = []
        for part in self.slices:
            x = part(x)
            outputs.append(x / (_length(x) + 1e-10))
        return outputs


def load_st_lpips(trunk: Trunk) -> Metric:
    """The metric ``st-lpips-<trunk>``.

    Raises:
        ModelError: where the package with the weights is absent, or its file holds other tensors.
    """
    path = weights_file(trunk)
    if path is None:
        raise ModelError(f"st-lpips-{trunk} needs the weights in stlpips-pytorch: pip install 'retr[{EXTRA}]'")
    network = ShiftTolerant(trunk)
    network.load_state_dict(_renamed(network, path))
    network.to(memory_format=torch.channels_last)  # a fifth faster on CPUs
    return Metric(facts(trunk), in_float32(network), features=network.stacked, module=network)


def weights_file(trunk: Trunk) -> Path | None:
    """The file inside the installed package; None where it is not installed. Imports nothing."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "weights" / "vST0.0" / f"{trunk}_shift_tolerant.pth"
    return path if path.is_file() else None


def st_lpips_missing(trunk: Trunk) -> str | None:
    """Why it does not run now, or None."""
    return None if weights_file(trunk) else f"the weights in stlpips-pytorch: pip install 'retr[{EXTRA}]'"


def _alex() -> Iterator[nn.Sequential]:
    yield nn.Sequential(nn.Conv2d(3, 64, 11, padding=2), Blur(), nn.ReLU())
    yield nn.Sequential(nn.MaxPool2d(3, 1), Blur(), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU())
    yield nn.Sequential(nn.MaxPool2d(3, 1), Blur(), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU())
    yield nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU())
    yield nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU())


def _vgg() -> Iterator[nn.Sequential]:
    before = 3
    for stage, (width, count) in enumerate(_VGG_STAGES):
        layers: list[nn.Module] = [nn.MaxPool2d(2, 1), Blur()] if stage else []
        for _ in range(count):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
        yield nn.Sequential(*layers)


def _renamed(network: ShiftTolerant, path: Path) -> dict[str, Tensor]:
    """The file's tensors under this network's names: convolutions in order of depth, then linear layers.

    Raises:
        ModelError: where they do not fit.
    """
    tensors, own = read_tensors(path), network.state_dict()
    theirs = sorted((k for k in tensors if k.startswith("net.") and k.endswith(("weight", "bias"))), key=_depth)
    ours = sorted((k for k in own if k.startswith("slices.")), key=_depth)
    found = {mine: tensors[key] for mine, key in zip(ours, theirs, strict=False)}
    found |= {f"linear.{i}": tensors[key] for i in range(5) if (key := f"lin{i}.model.1.weight") in tensors}
    fitting = {key: value for key, value in found.items() if own[key].shape == value.shape}
    require_tensors(path, own, fitting)
    return fitting


def _depth(key: str) -> tuple[int, int, str]:
    """Sorts ``slices.2.0.weight`` and ``net.slice3.9.weight`` by slice, place and kind."""
    *_, part, place, kind = key.split(".")
    return int(part.removeprefix("slice")), int(place), kind


def _length(x: Tensor) -> Tensor:
    """Euclidean length over channels, with slope 0 (not NaN) where every channel is 0."""
    squares = (x**2).sum(1, keepdim=True)
    empty = squares == 0
    return torch.where(empty, 0.0, torch.sqrt(torch.where(empty, 1.0, squares)))
