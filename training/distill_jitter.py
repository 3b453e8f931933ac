"""The second view of distillation: flips, colour and grey as in LipSim's code, small affine maps on request.

Parameters are drawn here, from a generator of the step; torchvision's transforms v2 only apply them, because they
themselves would draw from a generator that all threads share.

| | `paper` | `affine` |
|---|---|---|
| horizontal flip | half of the images | the same |
| brightness, contrast, saturation, hue, in random order | ± 0.4, 0.4, 0.2, 0.1 for 80 % | the same |
| grey | 20 % | the same |
| rotation, shift, zoom | none | ± 10°, ± 5 % of the side, ± 10 % |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

_GREY = [128.0, 128.0, 128.0]


@dataclass(frozen=True, slots=True)
class Jitter:
    """Ranges of the jitter: half-widths of uniform distributions, and shares of images.

    Attributes:
        brightness: of a factor around 1.
        contrast: the same.
        saturation: the same.
        hue: in turns of the colour circle.
        coloured: share of images that get these four.
        grey: share that lose their colour.
        flipped: share mirrored left to right.
        degrees: of rotation.
        shift: in shares of the side.
        zoom: of a factor around 1.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    coloured: float = 0.8
    grey: float = 0.2
    flipped: float = 0.5
    degrees: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0


JITTERS = {"paper": Jitter(), "affine": Jitter(degrees=10.0, shift=0.05, zoom=0.1)}
"""By the name of ``--jitter``."""


def jittered(images: Tensor, jitter: Jitter, *, rng: np.random.Generator) -> Tensor:
    """Jitter every image on its own.

    Args:
        images: (b, 3, h, w) uint8.
        jitter: the ranges.
        rng: source of all parameters; each image takes as many numbers, whatever they decide.

    Returns:
        (b, 3, h, w) uint8.
    """
    return torch.stack([_one(image, jitter, rng.random(11), rng.permutation(4)) for image in images])


def _one(image: Tensor, jitter: Jitter, draws: np.ndarray, order: np.ndarray) -> Tensor:
    u = draws.tolist()
    if u[0] < jitter.flipped:
        image = functional.horizontal_flip(image)
    if jitter.degrees or jitter.shift or jitter.zoom:
        image = _moved(image, jitter, u[1:5])
    if u[5] < jitter.coloured:
        image = _coloured(image, jitter, u[6:10], order)
    if u[10] < jitter.grey:
        image = functional.rgb_to_grayscale(image, num_output_channels=3)
    return image


def _around(half: float, u: float) -> float:
    """Uniform in ± half."""
    return half * (2.0 * u - 1.0)


def _moved(image: Tensor, jitter: Jitter, u: list[float]) -> Tensor:
    side = image.shape[-1]
    return functional.affine(
        image,
        angle=_around(jitter.degrees, u[0]),
        translate=[_around(jitter.shift, u[1]) * side, _around(jitter.shift, u[2]) * side],
        scale=1.0 + _around(jitter.zoom, u[3]),
        shear=[0.0, 0.0],
        interpolation=InterpolationMode.BILINEAR,
        fill=_GREY,
    )


def _coloured(image: Tensor, jitter: Jitter, u: list[float], order: np.ndarray) -> Tensor:
    for which in order.tolist():
        if which == 0:
            image = functional.adjust_brightness(image, 1.0 + _around(jitter.brightness, u[0]))
        elif which == 1:
            image = functional.adjust_contrast(image, 1.0 + _around(jitter.contrast, u[1]))
        elif which == 2:
            image = functional.adjust_saturation(image, 1.0 + _around(jitter.saturation, u[2]))
        else:
            image = functional.adjust_hue(image, _around(jitter.hue, u[3]))
    return image
