"""The relaxations against the libraries, and against PDQ as its description has it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scenes import scene

from retr.core.errors import UsageError
from retr.evaluation.systems import hash_relaxation
from retr.evaluation.systems.baselines import HASHES
from retr.evaluation.systems.hash_relaxation import RELAXATIONS, relaxation

SIZES = [(256, 256), (150, 211), (130, 64), (40, 31)]
LEAST = {"phash": 0.97, "dhash": 0.97, "pdq": 0.95}


def planes(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].double() / 255.0


def relaxed_bits(name: str, image: np.ndarray) -> np.ndarray:
    return (relaxation(name, (image.shape[0], image.shape[1])).depths(planes(image)) > 0).numpy()[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", list(HASHES))
def test_its_signs_are_the_bits_of_the_library(name: str, size: tuple[int, int]) -> None:
    pytest.importorskip(HASHES[name].package, reason="an optional package: pip install 'retr[baselines]'")
    images = [scene(seed, size) for seed in range(6)]
    equal = [relaxed_bits(name, image) == HASHES[name].apply(image) for image in images]
    assert np.mean(equal) >= LEAST[name]


@pytest.mark.parametrize("size", [*SIZES, (257, 128)])
def test_pdq_follows_its_description(size: tuple[int, int]) -> None:
    image = scene(5, size)
    assert np.mean(relaxed_bits("pdq", image) == described_pdq(image)) > 0.99


def described_pdq(image: np.ndarray) -> np.ndarray:
    """PDQ step by step: luma, box filters along rows and columns twice, 64×64, DCT, median; bits backwards."""
    luma = image @ np.array([0.299, 0.587, 0.114])
    for _ in range(2):
        luma = np.stack([box(row, -(-luma.shape[1] // 128)) for row in luma])
        luma = np.stack([box(column, -(-luma.shape[0] // 128)) for column in luma.T], axis=1)
    rows, columns = ([int((i + 0.5) * side / 64) for i in range(64)] for side in luma.shape)
    small = luma[np.ix_(rows, columns)]
    transform = np.array([[math.cos(math.pi / 128 * i * (2 * j + 1)) for j in range(64)] for i in range(1, 17)])
    z = (transform @ small @ transform.T).ravel()
    return (z > np.median(z))[::-1]


def box(line: np.ndarray, width: int) -> np.ndarray:
    """A sliding mean of ``width`` values, one more after than before where that is even, cut at the ends."""
    after = width // 2
    before = width - 1 - after
    return np.array([line[max(0, i - before) : i + after + 1].mean() for i in range(len(line))])


@pytest.mark.parametrize("source", [9, 20, 33, 100])
def test_the_resize_is_pillows(source: int) -> None:
    """Pillow resizes floats without rounding to levels."""
    line = np.random.default_rng(source).random((1, source), dtype=np.float32)
    for target in (8, 9, 32):
        pillow = np.asarray(Image.fromarray(line).resize((target, 1), Image.Resampling.LANCZOS))[0]
        assert hash_relaxation._lanczos(source, target) @ line[0] == pytest.approx(pillow, abs=1e-5)


@pytest.mark.parametrize("name", list(RELAXATIONS))
def test_depths_are_distances_in_pixels(name: str) -> None:
    """A step of that length along the gradient brings the bit to its border; the gradient's norm is 1."""
    relaxed, x = relaxation(name, (37, 50)), planes(scene(1, (37, 50)))
    centre = relaxed.depths(x).detach()
    for bit in range(0, centre.shape[1], 7):
        moved = x.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(relaxed.depths(moved)[0, bit], moved)
        assert float(gradient.norm()) == pytest.approx(1.0)
        if relaxed.centre is not None:  # a median moves too
            there = relaxed.depths(x - centre[0, bit] * gradient)
            assert float(there[0, bit]) == pytest.approx(0.0, abs=1e-9)


def test_float32_sees_the_same_sides() -> None:
    for name in RELAXATIONS:
        relaxed, x = relaxation(name, (64, 64)), planes(scene(2, (64, 64)))
        exact, fast = relaxed.depths(x), relaxed.depths(x.float())
        assert fast.dtype == torch.float64
        torch.testing.assert_close(fast, exact, atol=1e-4, rtol=1e-3)


def test_a_hash_without_one_is_refused() -> None:
    with pytest.raises(UsageError, match="no relaxation of the hash 'md5'"):
        relaxation("md5", (8, 8))
