"""Families that change values and leave content in its place; distributions are listed in ``images.copy_edits``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter

from . import edits
from .jpeg import through_jpeg

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB."""
Drawn = dict[str, Any]


def draw_nothing(rng: np.random.Generator) -> Drawn:
    """No parameters."""
    del rng
    return {}


def identity(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """The same pixels."""
    del drawn
    return pixels.copy()


def draw_jpeg(rng: np.random.Generator) -> Drawn:
    """Quality 10…60."""
    return {"quality": int(rng.integers(10, 61))}


def jpeg(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Through JPEG and back, 4:2:0 chroma."""
    return through_jpeg(pixels, quality=drawn["quality"])


def draw_blur(rng: np.random.Generator) -> Drawn:
    """σ as a share of the short side."""
    return {"sigma_share": float(rng.uniform(0.004, 0.015))}


def blur(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Gaussian blur, at least 0.5 px."""
    sigma = max(0.5, drawn["sigma_share"] * min(pixels.shape[:2]))
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def draw_noise(rng: np.random.Generator) -> Drawn:
    """σ in levels, and the seed of the noise itself."""
    return {"sigma": float(rng.uniform(4, 20)), "seed": int(rng.integers(2**32))}


def noise(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Independent Gaussian noise, clipped to 0…255."""
    noisy = pixels + np.random.default_rng(drawn["seed"]).normal(0.0, drawn["sigma"], pixels.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def draw_factor(rng: np.random.Generator) -> Drawn:
    """A factor well away from 1: less or more, each as often."""
    return {"factor": either(rng, (0.6, 0.85), (1.15, 1.5))}


def brightness(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """All values times the factor."""
    return np.array(ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(drawn["factor"]))


def contrast(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Distances from the mean grey times the factor."""
    return np.array(ImageEnhance.Contrast(Image.fromarray(pixels)).enhance(drawn["factor"]))


def draw_gamma(rng: np.random.Generator) -> Drawn:
    """An exponent well away from 1."""
    return {"exponent": either(rng, (0.5, 0.8), (1.25, 2.0))}


def gamma(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Values in 0…1 to the power of the exponent."""
    curve = 255.0 * (np.arange(256) / 255.0) ** drawn["exponent"]
    return np.rint(curve).astype(np.uint8)[pixels]


def draw_saturation(rng: np.random.Generator) -> Drawn:
    """A factor well away from 1; 0 is grey."""
    return {"factor": either(rng, (0.0, 0.6), (1.4, 2.0))}


def saturation(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Distances from each pixel's grey times the factor."""
    return np.array(ImageEnhance.Color(Image.fromarray(pixels)).enhance(drawn["factor"]))


def greyscale(pixels: Pixels, drawn: Mapping[str, Any]) -> Pixels:
    """Luma in all three channels."""
    del drawn
    return edits.greyscale(pixels, np.random.default_rng(0))


def either(rng: np.random.Generator, less: tuple[float, float], more: tuple[float, float]) -> float:
    """Uniform in one of two intervals, each as often: a factor near 1 would edit nothing."""
    return float(rng.uniform(*(less if rng.random() < 0.5 else more)))


def pick_colour(rng: np.random.Generator) -> list[int]:
    """Black, white or a random colour, each as often."""
    return [[0, 0, 0], [255, 255, 255], [int(c) for c in rng.integers(0, 256, 3)]][int(rng.integers(3))]
