"""The resize is linear, ρ is its norm, and the stated rounding holds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import interpolate

from retr.core.errors import UsageError
from retr.core.types import UpperBound
from retr.images.resize import Resize, resize_axis, resize_operator, spectral_norm

sides = st.integers(1, 40)
sizes = st.tuples(sides, sides)
small = st.tuples(st.integers(1, 7), st.integers(1, 7))
REAL = [(375, 500), (500, 375), (256, 384), (64, 64), (31, 17), (1, 1), (1, 300), (300, 1), (63, 65), (1200, 900)]


def images(size: tuple[int, int], seed: int, count: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((count, 3, *size)))


def dense(operator: Resize) -> np.ndarray:
    """The operator on one channel as one matrix."""
    return np.kron(operator.rows, operator.columns)


def norm2(x: torch.Tensor) -> float:
    return float(x.double().norm())


@given(sizes, sizes, st.integers(0, 99), st.floats(-3, 3))
@settings(max_examples=60, deadline=None)
def test_linear(source, target, seed, factor):
    operator = resize_operator(source, target)
    x, y = images(source, seed)
    together = operator.apply(x + factor * y)
    assert torch.allclose(together, operator.apply(x) + factor * operator.apply(y), rtol=0, atol=1e-12)
    assert not operator.apply(torch.zeros_like(x)).any()


@given(small, small)
@settings(max_examples=60, deadline=None)
def test_rho_is_the_norm_of_the_dense_operator(source, target):
    operator = resize_operator(source, target)
    exact = np.linalg.svd(dense(operator), compute_uv=False)[0]
    assert exact * (1 - 1e-14) <= operator.norm.value <= exact * (1 + 1e-12)


@given(small, small, st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_apply_is_the_dense_operator(source, target, seed):
    operator = resize_operator(source, target)
    x = images(source, seed, count=1)[0]
    expected = dense(operator) @ x.reshape(3, -1).numpy().T
    assert np.allclose(operator.apply(x).reshape(3, -1).numpy(), expected.T, rtol=0, atol=1e-13)


@given(sizes, sizes, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_no_image_grows_more_than_rho(source, target, seed):
    operator = resize_operator(source, target)
    x = images(source, seed, count=1)[0] - 0.5
    assert norm2(operator.apply(x)) <= operator.norm.value * norm2(x) * (1 + 1e-12)


@pytest.mark.parametrize("source", REAL)
@pytest.mark.parametrize("target", [(64, 64), (100, 90), (16, 16)])
def test_power_iteration_stays_below_and_comes_near(source, target):
    operator = resize_operator(source, target)
    rng = np.random.default_rng(0)
    x = rng.random((source[0], source[1])) + 0.1
    for _ in range(60):
        y = operator.rows.T @ (operator.rows @ x @ operator.columns.T) @ operator.columns
        x = y / np.linalg.norm(y)
    reached = float(np.linalg.norm(operator.rows @ x @ operator.columns.T))
    assert reached <= operator.norm.value * (1 + 1e-13)
    assert reached >= operator.norm.value * 0.97


@pytest.mark.parametrize(("source", "target"), [((10, 10), (64, 64)), ((1, 1), (5, 7)), ((30, 100), (60, 100))])
def test_enlarging_has_a_norm_above_one(source, target):
    assert resize_operator(source, target).norm.value > 1


def test_known_norms():
    """A constant image attains ρ where rows do not overlap; a halved side has norm 1/√2 up to its edges."""
    assert resize_operator((1, 1), (4, 9)).norm.value == pytest.approx(6.0, abs=1e-12)
    assert resize_operator((7, 5), (7, 5)).norm.value == pytest.approx(1.0, abs=1e-12)
    assert resize_operator((7, 5), (1, 1)).norm.value < 1 / np.sqrt(20)


@pytest.mark.parametrize("source", REAL)
@pytest.mark.parametrize("target", [(64, 64), (224, 224), (5, 90)])
def test_agrees_with_torch(source, target):
    x = images(source, 1, count=1)
    expected = interpolate(x, target, mode="bilinear", antialias=True, align_corners=False)
    assert float((resize_operator(source, target).apply(x) - expected).abs().max()) < 1e-6


def test_agrees_with_pillow_up_to_its_rounding():
    pixels = np.random.default_rng(0).integers(0, 256, (97, 130, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(pixels).resize((40, 30), Image.Resampling.BILINEAR)).astype(float)
    x = torch.from_numpy(pixels.transpose(2, 0, 1) / 255.0)
    found = 255 * resize_operator((97, 130), (30, 40)).apply(x).numpy().transpose(1, 2, 0)
    assert np.abs(found - expected).max() <= 1.5


@given(sizes, sizes, st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_constant_images_stay(source, target, level):
    found = resize_operator(source, target).apply(torch.full((3, *source), level, dtype=torch.float64))
    assert found.shape == (3, *target)
    assert torch.allclose(found, torch.full_like(found, level), rtol=0, atol=1e-14)


@pytest.mark.parametrize("source", REAL)
def test_rows_are_weights(source):
    operator = resize_operator(source, (24, 50))
    for axis in (operator.vertical, operator.horizontal):
        assert (axis.matrix >= 0).all()
        assert np.allclose(axis.matrix.sum(axis=1), 1, rtol=0, atol=1e-14)
        assert not axis.matrix.flags.writeable
        exact = max(sum(map(Fraction, row)) for row in axis.matrix.tolist())
        assert exact <= axis.mass < 1 + 1e-14


@given(sizes, sizes, st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_rounding_bounds_the_float64_error(source, target, seed):
    operator = resize_operator(source, target)
    x = images(source, seed, count=1)[0]
    rows, columns, plane = (
        [[Fraction(v) for v in row] for row in m.tolist()] for m in (operator.rows, operator.columns, x[0])
    )
    tall = [
        [sum(a * b for a, b in zip(row, column, strict=True) if a) for column in zip(*plane, strict=True)]
        for row in rows
    ]
    exact = [[sum(a * b for a, b in zip(row, line, strict=True) if a) for row in columns] for line in tall]
    found = operator.apply(x)[0].tolist()
    squares = sum(
        (Fraction(f) - e) ** 2 for fr, er in zip(found, exact, strict=True) for f, e in zip(fr, er, strict=True)
    )
    assert squares <= Fraction(operator.rounding.value) ** 2
    assert isinstance(operator.rounding, UpperBound)
    assert operator.rounding.value < 1e-11


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_spectral_norm_of_any_non_negative_matrix(height, width, seed):
    """Also where the leading vector has zeros: sparse matrices with separate blocks."""
    rng = np.random.default_rng(seed)
    matrix = rng.random((height, width)) * (rng.random((height, width)) < 0.5)
    if not matrix.any():
        matrix[0, 0] = 1.0
    exact = np.linalg.svd(matrix, compute_uv=False)[0]
    assert exact * (1 - 1e-14) <= spectral_norm(matrix).value


def test_spectral_norm_refuses_what_its_theorem_does_not_cover():
    with pytest.raises(ValueError, match="non-negative"):
        spectral_norm(np.array([[1.0, -1.0]]))
    with pytest.raises(ValueError, match="non-zero"):
        spectral_norm(np.zeros((2, 2)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_shape_gradient(dtype):
    operator = resize_operator((20, 30), (8, 9))
    x = images((20, 30), 0, count=6).to(dtype).reshape(2, 3, 3, 20, 30).requires_grad_()
    found = operator.apply(x)
    assert found.shape == (2, 3, 3, 8, 9)
    assert found.dtype == dtype
    found.sum().backward()
    assert x.grad is not None
    expected = operator.rows.sum(0)[:, None] * operator.columns.sum(0)
    assert np.allclose(x.grad[0, 0, 0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("source", [(375, 500), (40, 31)])
def test_an_image_does_not_depend_on_its_batch(source, dtype):
    operator = resize_operator(source, (64, 64))
    x = images(source, 2, count=5).to(dtype)
    together = operator.apply(x)
    for index in range(5):
        assert torch.equal(together[index], operator.apply(x[index]))
        assert torch.equal(together[index : index + 1], operator.apply(x[index : index + 1]))


def test_float32_is_near_float64():
    operator = resize_operator((375, 500), (224, 224))
    x = images((375, 500), 3, count=1)
    assert float((operator.apply(x.float()) - operator.apply(x)).abs().max()) < 1e-6


def test_operators_are_kept():
    assert resize_operator((33, 44), (8, 8)) is resize_operator((33, 44), (8, 8))
    assert resize_axis(33, 8) is resize_operator((33, 44), (8, 8)).vertical


def test_wrong_input_is_refused():
    operator = resize_operator((8, 9), (4, 4))
    for x in (torch.zeros(3, 9, 8), torch.zeros(3, 8, 9, dtype=torch.float16), torch.zeros(3, 8, 9, dtype=torch.uint8)):
        with pytest.raises(UsageError, match="resize"):
            operator.apply(x)
    with pytest.raises(UsageError, match="at least 1"):
        resize_operator((0, 5), (4, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("source", "target"), [((1500, 1100), (256, 256)), ((257, 5000), (64, 48))])
def test_strips_of_levels_give_the_same_bits(source, target, dtype):
    levels = np.random.default_rng(5).integers(0, 256, (*source, 3), dtype=np.uint8)
    levels.setflags(write=False)
    operator = resize_operator(source, target)
    kind = np.float32 if dtype == torch.float32 else np.float64
    planes = torch.from_numpy(levels.transpose(2, 0, 1).astype(kind, order="C")).div_(255.0)
    whole, strips = operator.apply(planes), operator.apply_levels(levels, dtype)
    assert torch.equal(strips, whole)
    assert strips.stride() == whole.stride()


def test_strips_cut_across_stay_within_the_proved_rounding(monkeypatch):
    source, target = (211, 2003), (16, 16)
    levels = np.random.default_rng(6).integers(0, 256, (*source, 3), dtype=np.uint8)
    operator = resize_operator(source, target)
    whole = operator.apply_levels(levels, torch.float64)
    monkeypatch.setattr("retr.images.resize._WHOLE", 100)
    monkeypatch.setattr("retr.images.resize._AT_ONCE", 1000)
    cut = operator.apply_levels(levels, torch.float64)
    assert float((cut - whole).norm()) <= 2 * operator.rounding.value
    with pytest.raises(UsageError):
        operator.apply_levels(levels[1:], torch.float64)


@pytest.mark.parametrize("source", [(96, 96), (1, 1), (3, 700), (64, 64), (131, 97), (900, 811)])
@pytest.mark.parametrize("target", [(64, 64), (8, 20)])
def test_the_quick_way_is_the_same_resize(source, target):
    levels = np.random.default_rng(8).integers(0, 256, (*source, 3), dtype=np.uint8)
    levels.setflags(write=False)
    operator = resize_operator(source, target)
    quick, exact = operator.quick_levels(levels), operator.apply_levels(levels, torch.float64)
    assert quick.shape == (3, *target)
    assert quick.dtype == torch.float32
    assert float((quick - exact).abs().max()) <= 2e-6


def test_the_quick_way_is_the_same_in_strips(monkeypatch):
    levels = np.random.default_rng(9).integers(0, 256, (211, 203, 3), dtype=np.uint8)
    operator = resize_operator((211, 203), (16, 16))
    whole = operator.quick_levels(levels)
    monkeypatch.setattr("retr.images.resize._WHOLE", 100)
    assert torch.equal(operator.quick_levels(levels), whole)
    with pytest.raises(UsageError, match="211"):
        operator.quick_levels(levels[1:])
