"""E-LPIPS: LPIPS averaged over random transformations of both images (Kettunen, Härkönen & Lehtinen 2019).

Each draw shrinks both images by k (probability ∝ 1/k², only where 64 px are left), shifts them by up to 7 px over
reflected borders, mirrors, transposes, permutes the colours and multiplies each by a factor in [0.2, 1]. Different
from the authors' network: LPIPS's own trunk and linear layers (theirs pool by averages and compare more layers), no
dropout inside the trunk, and a fixed set of draws per metric, so that distances can be compared and differentiated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional

from ..core.errors import UsageError
from .contract import Facts, Measure, Metric
from .lpips import Trunk, lpips_measure, lpips_network
from .trunks import LICENCE

DEFAULT_TRUNK: Trunk = "vgg"
DEFAULT_DRAWS = 32
LARGEST_OFFSET = 7
LARGEST_SCALE = 8
LEAST_SIDE_AFTER_SCALING = 64
ORDERS = tuple(permutations(range(3)))

FACTS = Facts(
    name="e-lpips",
    title="E-LPIPS",
    source=(
        "Kettunen, Härkönen & Lehtinen 2019 (arXiv 1906.03973): LPIPS averaged over fixed random transformations; "
        "e-lpips[:TRUNK[:DRAWS[:SEED]]], by default e-lpips:vgg:32:0 (the paper averages 200 draws)"
    ),
    smallest_side=32,
    licence=f"BSD-2-Clause (lpips); {LICENCE}",
    weights="as LPIPS on the same trunk",
)


@dataclass(frozen=True, slots=True)
class Draw:
    """One random transformation, for images of any size.

    Attributes:
        scale: in [0, 1), chooses the factor of shrinking.
        phase: two in [0, 1): where the grid of shrinking starts, by height and width.
        offset: two of 0 … LARGEST_OFFSET: shift by height and width.
        mirror: flip vertically, flip horizontally.
        transpose: whether height and width are exchanged.
        order: which channel comes first, second, third.
        gains: factors of the channels, in [0.2, 1].
    """

    scale: float
    phase: tuple[float, float]
    offset: tuple[int, int]
    mirror: tuple[bool, bool]
    transpose: bool
    order: tuple[int, int, int]
    gains: tuple[float, float, float]


def sample_draws(count: int, *, seed: int) -> list[Draw]:
    """``count`` draws from a generator of this seed; the first of them are those of a smaller count."""
    generator = torch.Generator().manual_seed(seed)
    return [_draw(torch.rand(12, generator=generator, dtype=torch.float64).tolist()) for _ in range(count)]


def transform(x: Tensor, draw: Draw) -> Tensor:
    """Apply one draw to a batch (b, 3, h, w) → (b, 3, h', w') or (b, 3, w', h')."""
    x = _shrink(x, draw)
    down, right = draw.offset
    x = functional.pad(x, (LARGEST_OFFSET - right, right, LARGEST_OFFSET - down, down), mode="reflect")
    x = x.flip([axis for axis, flipped in zip((2, 3), draw.mirror, strict=True) if flipped])
    x = x.mT if draw.transpose else x
    gains = torch.tensor(draw.gains, dtype=x.dtype, device=x.device).view(3, 1, 1)
    return x[:, list(draw.order)] * gains


def averaged(measure: Measure, draws: list[Draw]) -> Measure:
    """The mean of a measure over draws, each applied to both images."""

    def mean(ref: Tensor, img: Tensor) -> Tensor:
        return torch.stack([measure(transform(ref, draw), transform(img, draw)) for draw in draws]).mean(0)

    return mean


def scale_factor(draw: Draw, height: int, width: int) -> int:
    """The factor k, drawn with probability ∝ 1/k², among those that leave LEAST_SIDE_AFTER_SCALING pixels."""
    count = max(1, min(LARGEST_SCALE, min(height, width) // LEAST_SIDE_AFTER_SCALING))
    shares = [1 / k**2 for k in range(1, count + 1)]
    reached, threshold = 0.0, draw.scale * math.fsum(shares)
    for k, share in enumerate(shares, 1):
        reached += share
        if threshold < reached:
            return k
    return count


def load_e_lpips(rest: str) -> Metric:
    """The metric ``e-lpips[:TRUNK[:DRAWS[:SEED]]]``.

    Raises:
        UsageError: for a trunk, a number of draws or a seed that is none.
        ModelError: where the package lpips is absent.
        WeightsUnavailable: where the trunk cannot be loaded.
    """
    trunk, draws, seed = _options(rest)
    network = lpips_network(trunk, wanted_by=FACTS.name)
    measure = averaged(lpips_measure(network), sample_draws(draws, seed=seed))
    return Metric(FACTS, measure, spec=f"e-lpips:{trunk}:{draws}:{seed}", module=network)


def _options(rest: str) -> tuple[Trunk, int, int]:
    words: list[str] = rest.split(":") if rest else []
    trunk, draws, seed = (*words, *("", "", "")[len(words) :])[:3] if len(words) <= 3 else ("", "x", "")
    trunks: dict[str, Trunk] = {"": DEFAULT_TRUNK, "alex": "alex", "vgg": "vgg", "squeeze": "squeeze"}
    numbers = (draws or str(DEFAULT_DRAWS), seed or "0")
    if trunk not in trunks or not all(n.isascii() and n.isdigit() and len(n) < 10 for n in numbers):
        raise UsageError(f"e-lpips:{rest} is not e-lpips[:alex|vgg|squeeze[:DRAWS[:SEED]]]")
    if int(numbers[0]) < 1:
        raise UsageError(f"e-lpips:{rest} averages over no draws; give at least 1")
    return trunks[trunk], int(numbers[0]), int(numbers[1])


def _draw(u: list[float]) -> Draw:
    """Twelve numbers of [0, 1) as a draw."""
    offset = (int(u[3] * (LARGEST_OFFSET + 1)), int(u[4] * (LARGEST_OFFSET + 1)))
    gains = (0.2 + 0.8 * u[9], 0.2 + 0.8 * u[10], 0.2 + 0.8 * u[11])
    order = ORDERS[int(u[8] * len(ORDERS))]
    return Draw(u[0], (u[1], u[2]), offset, (u[5] < 0.5, u[6] < 0.5), u[7] < 0.5, (order[0], order[1], order[2]), gains)


def _shrink(x: Tensor, draw: Draw) -> Tensor:
    """Average over k × k blocks of a grid that starts at a random phase, borders reflected."""
    k = scale_factor(draw, *x.shape[2:])
    if k == 1:
        return x
    (top, bottom), (left, right) = (_borders(n, k, phase) for n, phase in zip(x.shape[2:], draw.phase, strict=True))
    return functional.avg_pool2d(functional.pad(x, (left, right, top, bottom), mode="reflect"), k)


def _borders(side: int, k: int, phase: float) -> tuple[int, int]:
    before = int(phase * k)
    return before, -(side + before) % k
