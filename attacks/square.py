"""Square attack, score-based, in an ℓ2 or ℓ∞ ball (Andriushchenko et al. 2020, arXiv 1912.00049, Algorithms 1 to 3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .projections import Ball, column, project, size
from .restarts import Start, with_restarts
from .result import AttackResult, Best
from .target import Target, loss_alone

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After how many of 10,000 queries the share of changed pixels halves."""
_TINY = 1e-12


def square(
    target: Target,
    x: Tensor,
    *,
    norm: Ball,
    eps: Tensor,
    steps: int,
    seeds: Sequence[int],
    p_init: float = 0.8,
    restarts: int = 1,
    stop_on_success: bool = True,
) -> AttackResult:
    """Random search: change a random square, keep the change where the loss rises; squares shrink as queries go by.

    Unlike in AutoAttack's code every sample draws squares of its own, so that its image does not depend on its batch.

    Args:
        target: the system under attack; only its value is used.
        x: (b, 3, H, W) clean images in [0, 1], float32 or float64, on any device.
        norm: ``l2`` or ``linf``.
        eps: (b,) radius of each sample's ball.
        steps: evaluations of the loss per start (the paper's N).
        seeds: b integers ≥ 0.
        p_init: share of pixels in the first square (the paper's p; 0.8 is AutoAttack's choice).
        restarts: random starts.
        stop_on_success: stop working on a sample once its loss is > 0.

    Returns:
        The image of largest loss per sample, within its ball and the pixel box.
    """
    return with_restarts(
        partial(_search, target, norm=norm, queries=steps, p_init=p_init, stop_on_success=stop_on_success),
        x,
        norm=norm,
        eps=eps,
        restarts=restarts,
        seeds=seeds,
        stop_on_success=stop_on_success,
    )


def _search(
    target: Target, start: Start, *, norm: Ball, queries: int, p_init: float, stop_on_success: bool
) -> AttackResult:
    x, sources = start.x, start.generators()
    best, rows = Best(x), torch.arange(len(x), device=x.device)
    change = _FIRST[norm](_Draw(x.shape, sources), start.eps).to(x)
    image = project(x, x + change, norm=norm, eps=start.eps)
    for query in range(queries):
        loss = loss_alone(target, image, start.samples[rows])
        best.see(rows, image, loss)
        if stop_on_success:
            rows = rows[~(loss > 0)]
        if len(rows) == 0 or query == queries - 1:
            break
        draw = _Draw((len(rows), *x.shape[1:]), [sources[i] for i in rows.tolist()])
        side = _side(p_init, query / queries, x.shape[-2:], norm)
        clean, eps = x[rows], start.eps[rows]
        image = _NEXT[norm](draw, side, clean, best.x()[rows], eps)
    return best.result()


def _side(p_init: float, done: float, shape: Sequence[int], norm: Ball) -> int:
    """Side of the square, when this share of the queries is spent; odd and at least 3 for ℓ2."""
    share = p_init / 2 ** sum(10_000 * done > number for number in _HALVINGS)
    side = round(math.sqrt(share * shape[0] * shape[1]))
    side = max(1, side) if norm == "linf" else max(3, side + 1 - side % 2)
    return min(side, *shape)


@dataclass(frozen=True)
class _Draw:
    """Random numbers for some rows, each from its own source; shape is (b, 3, H, W)."""

    shape: Sequence[int]
    sources: Sequence[torch.Generator]

    def signs(self, *shape: int) -> Tensor:
        """(b, *shape) of ±1."""
        return torch.stack([2 * torch.randint(2, shape, generator=one) - 1 for one in self.sources])

    def flips(self) -> Tensor:
        """(b, 3, 1) of ±1, one of them −1 at least."""
        bits = torch.tensor([int(torch.randint(1, 8, (), generator=one)) for one in self.sources])
        return 1 - 2 * ((bits[:, None] >> torch.arange(3)) & 1)[..., None]

    def eta(self, side: int) -> Tensor:
        """(b, 1, side²) float64: the pattern η, upright or on its side."""
        pattern = _eta(side)
        coins = [bool(torch.randint(2, (), generator=one)) for one in self.sources]
        return torch.stack([(pattern.T if coin else pattern).flatten() for coin in coins])[:, None]

    def window(self, side: int) -> _Window:
        """A square somewhere in each image."""
        high, wide = self.shape[-2] - side + 1, self.shape[-1] - side + 1
        tops = [int(torch.randint(high, (), generator=one)) for one in self.sources]
        lefts = [int(torch.randint(wide, (), generator=one)) for one in self.sources]
        return _Window(torch.tensor(tops), torch.tensor(lefts), side, self.shape[-1])


@dataclass(frozen=True)
class _Window:
    """One square per image: (b,) tops and lefts."""

    tops: Tensor
    lefts: Tensor
    side: int
    width: int

    def places(self, like: Tensor) -> Tensor:
        """(b, 3, side²) places of the square's pixels in the flattened planes."""
        span = torch.arange(self.side)
        down = self.tops[:, None, None] + span[None, :, None]
        along = self.lefts[:, None, None] + span[None, None, :]
        flat = (down * self.width + along).flatten(1).to(like.device)
        return flat[:, None, :].expand(-1, like.shape[1], -1)

    def read(self, image: Tensor) -> Tensor:
        """(b, 3, side²) values inside."""
        return image.flatten(2).gather(2, self.places(image))

    def write(self, image: Tensor, values: Tensor) -> Tensor:
        """A copy of the image with other values inside."""
        return image.flatten(2).scatter(2, self.places(image), values).view_as(image)


def _first_linf(draw: _Draw, eps: Tensor) -> Tensor:
    """Vertical stripes."""
    stripes = draw.signs(draw.shape[1], 1, draw.shape[3]).expand(-1, -1, draw.shape[2], -1)
    return stripes.to(eps) * column(eps)


def _next_linf(draw: _Draw, side: int, x: Tensor, image: Tensor, eps: Tensor) -> Tensor:
    window = draw.window(side)
    signs = draw.signs(draw.shape[1], 1).to(x)
    clean, radius = window.read(x), eps.to(x).view(-1, 1, 1)
    moved = (clean + signs * radius).clamp(0.0, 1.0)
    # A square that is this colour already would waste the query; the ball is a hair smaller than its radius.
    same = ((moved - window.read(image)).abs() < 0.5 * radius).all(dim=2).all(dim=1).view(-1, 1, 1)
    moved = torch.where(same, clean + signs * draw.flips().to(x) * radius, moved)
    return project(x, window.write(image, moved), norm="linf", eps=eps)


def _first_l2(draw: _Draw, eps: Tensor) -> Tensor:
    """Tiles of the pattern η, five across."""
    high, wide = draw.shape[2], draw.shape[3]
    side = max(1, min(high, wide) // 5)
    down, along = math.ceil(high / side), math.ceil(wide / side)
    signs = draw.signs(draw.shape[1], down, along).to(torch.float64)
    tiles = torch.einsum("bcij,uv->bciujv", signs, _eta(side)).flatten(2, 3).flatten(3)
    tiles = tiles[:, :, :high, :wide].to(eps.device)
    return tiles * column(eps.double() / size(tiles, norm="l2"))


def _next_l2(draw: _Draw, side: int, x: Tensor, image: Tensor, eps: Tensor) -> Tensor:
    """Move the mass of one square to another, with what the ball has left over, in the shape of η."""
    change = image - x
    new, old = draw.window(side), draw.window(side)
    inside = new.read(change)
    unused = (eps.double() ** 2 - size(change, norm="l2") ** 2).clamp(min=0.0).to(x)
    mass = _mass(new, old, change, inside)
    pattern = (draw.eta(side) * draw.signs(draw.shape[1], 1)).to(x)
    pattern = pattern + inside / (_length(inside) + _TINY)
    pattern = pattern / (_length(pattern) + _TINY)
    target = (unused.view(-1, 1, 1) / x.shape[1] + mass).sqrt()
    change = old.write(change, torch.zeros_like(inside))
    change = new.write(change, pattern * target)
    change = change * column((eps.double() / size(change, norm="l2").clamp(min=_TINY)).to(x))
    return project(x, x + change, norm="l2", eps=eps)


def _mass(new: _Window, old: _Window, change: Tensor, inside: Tensor) -> Tensor:
    """(b, 3, 1) squared length of the change in both squares, what they share counted once."""
    rest = old.read(new.write(change, torch.zeros_like(inside)))
    return _length(inside).square() + _length(rest).square()


def _length(values: Tensor) -> Tensor:
    return torch.linalg.vector_norm(values, dim=2, keepdim=True)


def _eta(side: int) -> Tensor:
    """(side, side) of norm 1: two humps of opposite sign, one above the other."""
    top = side // 2
    pattern = torch.cat([_hump(top, side), -_hump(side - top, side)])
    return pattern / pattern.norm().clamp(min=_TINY)


def _hump(high: int, wide: int) -> Tensor:
    """(high, wide): 1 + 1/4 + 1/9 + … at the centre, without its first D terms at a distance of D pixels (eq. 2)."""
    terms = max(high, wide) // 2 + 1
    tails = torch.arange(1, terms + 1, dtype=torch.float64).square().reciprocal().flip(0).cumsum(0).flip(0)
    down = (torch.arange(high) - high // 2).abs()
    along = (torch.arange(wide) - wide // 2).abs()
    return tails[torch.maximum(down[:, None], along[None, :])]


_FIRST: dict[Ball, Callable[[_Draw, Tensor], Tensor]] = {"l2": _first_l2, "linf": _first_linf}
_NEXT: dict[Ball, Callable[[_Draw, int, Tensor, Tensor, Tensor], Tensor]] = {"l2": _next_l2, "linf": _next_linf}
