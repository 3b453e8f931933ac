"""The formulas behind the bounds of networks, with γ so coarse that each term of rounding counts."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from retr.core.errors import ModelError
from retr.core.types import UpperBound
from retr.embedding import bounds, spectral
from retr.embedding.bounds import LayerBound, Proof
from retr.embedding.forward_error import SLOP, Affine, Claim
from retr.embedding.residual import correlation_sums

ROOM = 1.0 + SLOP
TIGHT: dict[str, Any] = {"rel": 1e-13, "abs": 0}


def coarse(n):
    """In place of γ_n."""
    return 1e-4 * n


@pytest.fixture
def coarsely(monkeypatch):
    monkeypatch.setattr(spectral, "gamma", coarse)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def frobenius(matrix):
    return float(matrix.norm()) * ROOM


# ---- matrices and kernels ----


@pytest.mark.parametrize("shape", [(1, 7), (4, 9), (9, 4), (6, 6)])
def test_a_matrix(shape, coarsely):
    """‖G‖ ≤ (row sums of |VᵀGV| + its rounding)/σ_min(V)² + the rounding of G."""
    matrix = drawn(*shape)
    a = matrix if shape[0] <= shape[1] else matrix.T
    m, n = a.shape
    gram = a @ a.T
    v = torch.linalg.eigh(gram).eigenvectors
    size = frobenius(v) ** 2
    of_middle = (2 * coarse(m) + coarse(m) ** 2) * size * frobenius(gram)
    room = 1.0 - ROOM * (frobenius(v.T @ v - torch.eye(m)) + coarse(m) * size)
    whole = (float((v.T @ gram @ v).abs().sum(1).max()) + of_middle) / room + coarse(n) * frobenius(a) ** 2
    assert spectral.spectral_bound(matrix) == pytest.approx(ROOM * math.sqrt(ROOM * whole), **TIGHT)


def test_eigenvectors_that_are_not_orthogonal_prove_nothing(monkeypatch):
    for share, fails in ((0.49, False), (0.51, True)):
        monkeypatch.setattr(spectral, "gamma", lambda n, share=share: share / 2)  # ‖V‖² is 2
        if fails:
            with pytest.raises(ModelError, match="not orthogonal"):
                spectral.spectral_bound(torch.eye(2))
        else:
            assert spectral.spectral_bound(torch.eye(2)) > 1.0


@pytest.mark.parametrize("size", [2, 3])
def test_the_gram_bound(size, coarsely):
    """‖K‖² ≤ ‖Σ|K⋆K|‖ + γ·‖K‖_F² for each of (2k − 1)² shifts."""
    kernel = drawn(3, 4, size, size)
    rounding = (2 * size - 1) ** 2 * coarse(4 * size * size) * ROOM * frobenius(kernel) ** 2
    whole = spectral.spectral_bound(correlation_sums(kernel)) + rounding
    assert spectral.gram_bound(kernel) == pytest.approx(ROOM * math.sqrt(ROOM * whole), **TIGHT)


@pytest.mark.parametrize(("size", "grid"), [(2, 16), (3, 16), (5, 64)])
def test_the_grid_bound(size, grid, coarsely):
    """The largest norm on the grid and its rounding, over cos(π(k − 1)/N)."""
    kernel = drawn(3, 4, size, size)
    on_grid = spectral._batch_norm(spectral._symbol(kernel, grid))
    rounding = coarse(4 * size * size + 32) * frobenius(kernel.abs().sum((2, 3)))
    exact = ROOM * (on_grid + rounding) / (math.cos(math.pi * (size - 1) / grid) * (1 - SLOP))
    assert spectral.grid_bound(kernel, grid) == pytest.approx(exact, **TIGHT)


@pytest.mark.parametrize("grid", [5, 8])
def test_the_symbol_is_the_fourier_transform_on_half_of_the_grid(grid):
    kernel = drawn(2, 3, 3, 3)
    expected = torch.fft.fft2(kernel, s=(grid, grid)).permute(2, 3, 0, 1)[: grid // 2 + 1].flatten(0, 1)
    assert torch.allclose(spectral._symbol(kernel, grid).conj(), expected, atol=1e-13, rtol=0)


def test_the_smallest_grid_is_more_than_twice_the_taps():
    kernel = drawn(1, 1, 3, 3)
    assert spectral.grid_bound(kernel, 5) > 0
    with pytest.raises(ModelError, match="more than 4 frequencies, got 4"):
        spectral.grid_bound(kernel, 4)


def test_norms_by_squaring(coarsely):
    """‖G‖² = ‖G²‖, undone with the rounding of each product; the last power by its norm or its row sums."""
    symbols = torch.complex(drawn(5, 3, 4), drawn(5, 3, 4, seed=1))
    symbols[1] *= 1e-3
    unit = 8 * coarse(4 + 2)
    expected = []
    for matrix in symbols.numpy():
        norm = lambda x: np.linalg.norm(x) * ROOM  # noqa: E731
        power, factors, roundings = matrix @ matrix.conj().T, [], [unit * norm(matrix) ** 2]
        for _ in range(8):
            factors.append(2.0 ** math.floor(math.log2(norm(power))))
            power = power / factors[-1]
            roundings.append(unit * norm(power) ** 2)
            power = power @ power
        value = min(norm(power), np.abs(power).sum(1).max())
        for factor, rounding in zip(factors[::-1], roundings[:0:-1], strict=True):
            value = math.sqrt((value + rounding) * ROOM) * factor * ROOM
        expected.append(ROOM * math.sqrt((value + roundings[0]) * ROOM))
    assert spectral._batch_norm(symbols) == pytest.approx(max(expected), rel=1e-12, abs=0)
    assert spectral._batch_norm(symbols[1:2]) == pytest.approx(expected[1], rel=1e-12, abs=0)


def test_norms_by_squaring_of_nothing_and_of_a_diagonal():
    assert 0.0 <= spectral._batch_norm(torch.zeros(1, 2, 2, dtype=torch.complex128)) < 1e-100
    diagonal = torch.diag(torch.tensor([3.0, 1.0, 0.5])).to(torch.complex128)[None]
    assert 3.0 <= spectral._batch_norm(diagonal) <= 3.0 * (1 + 1e-7)
    ones = torch.ones(1, 4, 4, dtype=torch.complex128)  # equal singular values of none: one is 4
    assert 4.0 <= spectral._batch_norm(ones) <= 4.0 * (1 + 1e-7)


def test_the_largest_grid_that_is_worth_its_work():
    kernels = {(26, 3): 64, (27, 3): 32, (42, 3): 32, (43, 3): 16, (67, 3): 16, (68, 3): None}
    kernels |= {(2, 16): 64, (2, 17): None, (30, 8): 32, (30, 9): None, (50, 4): 16, (50, 5): None}
    for (channels, taps), size in kernels.items():
        assert spectral._grid_size(torch.empty(channels, 70, taps, taps)) == size, (channels, taps)


def test_the_smaller_bound_of_the_smaller_side_counts():
    wide = drawn(2, 5, 3, 3)
    grid, gram = spectral.grid_bound(wide, 64), spectral.gram_bound(wide)
    assert grid < gram
    for kernel in (wide, wide.transpose(0, 1)):
        bound = spectral.conv_bound(kernel)
        assert bound.value == pytest.approx(grid, rel=1e-12, abs=0)
        assert bound.method.endswith("N = 64")
    # one entry alone: the correlations know its norm to the last digits, the grid loses a cosine
    single = torch.zeros(1, 1, 3, 3)
    single[0, 0, 1, 1] = 2.0
    assert spectral.conv_bound(single).method == spectral.GRAM
    assert spectral.conv_bound(single).value == pytest.approx(2.0, rel=1e-8, abs=0)
    assert spectral.conv_bound(drawn(4, 3, 1, 1)).method == spectral.MATRIX


def test_the_gram_bound_is_that_of_the_smaller_side():
    """Seventeen taps are too many for a grid, so the Gram bound stands alone; the two sides differ in it."""
    wide = drawn(2, 5, 17, 17)
    smaller, larger = spectral.gram_bound(wide), spectral.gram_bound(wide.transpose(0, 1))
    assert abs(smaller / larger - 1) > 1e-3
    for kernel in (wide, wide.transpose(0, 1)):
        assert spectral.conv_bound(kernel).value == pytest.approx(smaller, rel=1e-9, abs=0)


# ---- networks ----


def layer(name, constant, offset=0.0, slope=0.0, intercept=0.0):
    errors = dict.fromkeys((torch.float32, torch.float64), Affine(slope, intercept))
    return LayerBound(name, Claim("test", UpperBound(constant, name), offset, (2, 3, 4), errors))


def test_the_forward_error_of_a_network():
    """An error E becomes L·E and the layer's own on an input of X + E; X becomes offset + L·X."""
    layers = layer("one", 1.5, 0.25, 1e-3, 1e-2), layer("two", 0.75, 0.5, 2e-3, 3e-2), layer("three", 2.0)
    proof = Proof(UpperBound(2.25, "test"), layers, (3, 4, 5))
    size0 = ROOM * math.sqrt(60)
    error1 = ROOM * (1e-3 * size0 + 1e-2)
    size1 = ROOM * (0.25 + 1.5 * size0)
    error2 = ROOM * (0.75 * error1 + 2e-3 * (size1 + error1) + 3e-2)
    found = proof.rounding(torch.float64)
    assert found is not None
    assert found.value == pytest.approx(ROOM * 2.0 * error2, rel=1e-14, abs=0)
    assert Proof(UpperBound(1.0, "test"), (), (3, 4, 5)).output_shape == (3, 4, 5)
    assert proof.output_shape == (2, 3, 4)
    endless = Proof(UpperBound(1.0, "test"), (layer("far", 1.0, 0.0, math.inf),), (3, 4, 5))
    assert endless.rounding(torch.float64) is None


def test_the_product_is_rounded_up_and_a_factor_of_1_is_free():
    ones = bounds._product([layer("one", 1.0)] * 50)
    assert ones.value == 1.0
    factors = [1.1, 1.0, 0.7, 1.3]
    product = bounds._product([layer(str(factor), factor) for factor in factors])
    exact = Fraction(1.1) * Fraction(0.7) * Fraction(1.3)
    assert exact <= Fraction(product.value) <= exact * (1 + Fraction(2) ** -50)
    assert product.method == "product over 4 layers (1.1; 1.0; 0.7; 1.3)"
    for value in np.random.default_rng(0).uniform(0.5, 2, size=200):
        squared = bounds._product([layer("x", float(value))] * 2).value
        assert Fraction(float(value)) ** 2 <= Fraction(squared)
