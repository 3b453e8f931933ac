"""Benign edits for training on copies, drawn and applied to whole batches: stronger than those of the copy benchmark.

Every image gets its own draw. All geometry is one affine map and one bilinear sampling, so that a crop of a rotated,
framed image costs what a flip costs. The map is drawn in the proportions of the source image, although pixels come
squashed to a square.

| part | chance | range |
|---|---|---|
| crop | 0.45 | keeps 45–100 % of each side, anywhere; half the time the same share of both |
| frame | 0.25 | the image becomes 59–100 % of the frame, off centre; a letterbox in a third of cases |
| rotation | 0.25 | up to 22° either way |
| flip | 0.25 | left to right |
| blur | 0.2 | Gaussian, σ up to 3.6 % of the side |
| covers | 2 × 0.25 | boxes and bars up to 25 % of a side thick, opaque or as dense as text |
| colour | 0.4 | gamma 0.55–1.8, saturation 0.2–1.9, contrast 0.55–1.6, brightness 0.55–1.5 and ± 20 % |
| greyscale | 0.15 | ITU-R 601 luma |
| noise | 0.2 | Gaussian, σ 1–7 % |
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..images.resize import resize_operator

_LUMA = (0.299, 0.587, 0.114)
_BLURS = (0.0, 0.5 / 64, 0.8 / 64, 1.2 / 64, 1.7 / 64, 2.3 / 64)
"""Standard deviations by share of the side; drawing from a few lets a batch share its matrices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditChances:
    """How often each part is drawn, in [0, 1]; ``scaled`` makes an edit rarer."""

    crop: float = 0.45
    frame: float = 0.25
    rotation: float = 0.25
    flip: float = 0.25
    blur: float = 0.2
    cover: float = 0.25
    colour: float = 0.4
    grey: float = 0.15
    noise: float = 0.2

    @classmethod
    def only(cls, **chances: float) -> EditChances:
        """These parts and no other."""
        return cls(**{**dict.fromkeys(cls.__dataclass_fields__, 0.0), **chances})


def to_input(pixels: Tensor, side: int) -> Tensor:
    """Clean views: (b, n, n, 3) uint8 → (b, 3, side, side) float32 in [0, 1], by the resize that queries go through."""
    images = pixels.permute(0, 3, 1, 2).float() / 255
    size = (images.shape[-2], images.shape[-1])
    return images if size == (side, side) else resize_operator(size, (side, side)).apply(images)


def edit_batch(
    pixels: Tensor, aspect: Tensor, *, side: int, generator: torch.Generator, chances: EditChances | None = None
) -> Tensor:
    """Edited views of a batch, one each.

    Args:
        pixels: (b, n, n, 3) uint8, squashed to a square.
        aspect: (b,) width divided by height of the source images.
        side: of the result.
        generator: source of all draws; the same generator state gives the same views.
        chances: how often each part is drawn.

    Returns:
        (b, 3, side, side) float32 in [0, 1].
    """
    draw, chances = _Draw(len(pixels), generator), chances or EditChances()
    views = _place(pixels, aspect, side, draw, chances)
    _blur(views, draw, chances.blur)
    for _ in range(2):
        _cover(views, draw, chances.cover)
    return _noise(_colour(views, draw, chances), draw, chances.noise).clamp_(0, 1)


@dataclass(frozen=True, slots=True)
class _Draw:
    """Random numbers, one per image."""

    count: int
    generator: torch.Generator

    def uniform(self, low: float, high: float) -> Tensor:
        return torch.rand(self.count, generator=self.generator) * (high - low) + low

    def chance(self, probability: float) -> Tensor:
        return torch.rand(self.count, generator=self.generator) < probability

    def below(self, high: int) -> Tensor:
        return torch.randint(high, (self.count,), generator=self.generator)

    def colours(self) -> Tensor:
        """(b, 3): black, grey or white in half the cases, else any."""
        plain = torch.round(self.uniform(0, 2)) / 2
        any_colour = torch.rand(self.count, 3, generator=self.generator)
        return torch.where(self.chance(0.5)[:, None], plain[:, None], any_colour)

    def of(self, chosen: Tensor) -> _Draw:
        """The same source for some of the images."""
        return _Draw(len(chosen), self.generator)


def _place(pixels: Tensor, aspect: Tensor, side: int, draw: _Draw, chances: EditChances) -> Tensor:
    """Crop, rotate, flip and frame by one sampling. Coordinates run from −1 to 1 over an image."""
    crop = draw.chance(chances.crop)
    keep_x = torch.where(crop, draw.uniform(0.45, 1), 1.0)
    keep_y = torch.where(crop & draw.chance(0.5), draw.uniform(0.45, 1), keep_x)
    at_x, at_y = draw.uniform(-1, 1) * (1 - keep_x), draw.uniform(-1, 1) * (1 - keep_y)
    flip = torch.where(draw.chance(chances.flip), -1.0, 1.0)
    x, y = _framed(side, aspect * keep_x / keep_y, draw, chances)
    inside = ((x.abs() <= 1) & (y.abs() <= 1))[:, None].float()
    source_x = x * (flip * keep_x)[:, None, None] + at_x[:, None, None]
    source_y = y * keep_y[:, None, None] + at_y[:, None, None]
    grid = torch.stack((source_x, source_y), -1)
    images = pixels.permute(0, 3, 1, 2).float() / 255
    sampled = torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return torch.lerp(draw.colours()[:, :, None, None], sampled, inside)


def _framed(side: int, aspect: Tensor, draw: _Draw, chances: EditChances) -> tuple[Tensor, Tensor]:
    """Where each place of the result lies in the content: (b, side, side) twice; beyond ±1 is frame."""
    frame = draw.chance(chances.frame)
    wide = torch.where(frame, draw.uniform(1, 1.7), 1.0)
    high = torch.where(frame & draw.chance(0.5), draw.uniform(1, 1.7), wide)
    wide = torch.where(frame & draw.chance(0.15), 1.0, wide)
    high = torch.where(frame & draw.chance(0.15), 1.0, high)
    move_x, move_y = draw.uniform(-0.5, 0.5) * (wide - 1), draw.uniform(-0.5, 0.5) * (high - 1)
    angle = torch.where(draw.chance(chances.rotation), draw.uniform(-22, 22), 0.0) * math.pi / 180
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    ticks = (torch.arange(side) * 2 + 1) / side - 1
    u = ticks[None, None, :] * wide[:, None, None] + move_x[:, None, None]
    v = ticks[None, :, None] * high[:, None, None] + move_y[:, None, None]
    ratio = aspect[:, None, None]
    return cos * u + sin / ratio * v, cos * v - sin * ratio * u


def _blur(views: Tensor, draw: _Draw, chance: float) -> None:
    """Gaussian blur of some views, in place."""
    side, kind = views.shape[-1], torch.where(draw.chance(chance), draw.below(len(_BLURS)), 0)
    chosen = torch.nonzero(kind).flatten()
    matrices = torch.stack([_gaussian(side, share * side) for share in _BLURS])[kind[chosen]][:, None]
    views[chosen] = matrices @ views[chosen] @ matrices.mT


def _cover(views: Tensor, draw: _Draw, chance: float) -> None:
    """An opaque or text-like box or bar over some views, in place."""
    chosen = torch.nonzero(draw.chance(chance)).flatten()
    some, side = draw.of(chosen), views.shape[-1]
    bar, across = some.chance(0.45), some.chance(0.5)
    half_x = torch.where(bar & across, 2.5, some.uniform(0.05, 0.25))
    half_y = torch.where(bar & ~across, 2.5, some.uniform(0.03, 0.25))
    ticks = (torch.arange(side) * 2 + 1) / side - 1
    columns = (ticks[None] - some.uniform(-1, 1)[:, None]).abs() < half_x[:, None]
    rows = (ticks[None] - some.uniform(-1, 1)[:, None]).abs() < half_y[:, None]
    ink = torch.rand(len(chosen), side, side, generator=draw.generator) < 0.5
    mask = columns[:, None, :] & rows[:, :, None] & (ink | some.chance(0.65)[:, None, None])
    views[chosen] = torch.where(mask[:, None], some.colours()[:, :, None, None], views[chosen])


def _colour(views: Tensor, draw: _Draw, chances: EditChances) -> Tensor:
    """Gamma, saturation, contrast and brightness; out of range values are clipped by the caller."""
    changed = draw.chance(chances.colour)

    def factor(low: float, high: float) -> Tensor:
        return torch.where(changed & draw.chance(0.5), draw.uniform(low, high), 1.0)[:, None, None, None]

    gamma = torch.exp(torch.where(changed & draw.chance(0.4), draw.uniform(-0.6, 0.6), 0.0))
    bent = torch.nonzero(gamma != 1).flatten()
    views[bent] = views[bent].clamp(1e-3, 1) ** gamma[bent][:, None, None, None]
    grey = torch.einsum("bchw,c->bhw", views, torch.tensor(_LUMA))[:, None]
    saturation = torch.where(draw.chance(chances.grey)[:, None, None, None], 0.0, factor(0.2, 1.9))
    mean, contrast, brightness = grey.mean((2, 3), keepdim=True), factor(0.55, 1.6), factor(0.55, 1.5)
    added = torch.where(changed & draw.chance(0.3), draw.uniform(-0.2, 0.2), 0.0)[:, None, None, None]
    coloured = torch.lerp(grey, views, saturation)
    return (coloured - mean) * (contrast * brightness) + (mean * brightness + added)


def _noise(views: Tensor, draw: _Draw, chance: float) -> Tensor:
    chosen = torch.nonzero(draw.chance(chance)).flatten()
    strength = draw.of(chosen).uniform(0.01, 0.07)[:, None, None, None]
    views[chosen] += strength * torch.randn(views[chosen].shape, generator=draw.generator)
    return views


def _gaussian(side: int, sigma: float) -> Tensor:
    """(side, side) blur along one axis, rows summing to 1."""
    ticks = torch.arange(side, dtype=torch.float32)
    if sigma == 0:
        return torch.eye(side)
    weights = torch.exp(-((ticks[:, None] - ticks[None]) ** 2) / (2 * sigma**2))
    return weights / weights.sum(1, keepdim=True)
