"""Bounds of matrices and convolutions: never below the truth, and not far above."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from retr.core.errors import ModelError, UsageError
from retr.embedding.layers.l2_pool import L2Pool
from retr.embedding.layers.linear_conv import LinearConv, ship_conv
from retr.embedding.layers.maxmin import MaxMin
from retr.embedding.layers.orthogonal_conv import OrthogonalConv
from retr.embedding.layers.pixel_unshuffle import PixelUnshuffle
from retr.embedding.layers.shift import Shift
from retr.embedding.spectral import conv_bound, gram_bound, grid_bound, spectral_bound, unshuffle_kernel


def rand64(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def operator(layer, *shape: int) -> torch.Tensor:
    rows = torch.autograd.functional.jacobian(layer, torch.zeros(1, *shape, dtype=torch.float64))
    assert isinstance(rows, torch.Tensor)
    return rows.reshape(-1, math.prod(shape))


def exact_norm(matrix: torch.Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, 2))


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 3), (64, 64), (200, 300)])
def test_a_matrix_is_bounded_tightly(shape):
    matrix = rand64(*shape)
    exact = exact_norm(matrix)
    assert exact * (1 - 1e-14) <= spectral_bound(matrix) <= exact * (1 + 1e-7)


def test_special_matrices():
    assert spectral_bound(torch.zeros(3, 4)) == 0.0
    assert spectral_bound(torch.ones(50, 50)) == pytest.approx(50.0, rel=1e-7)
    orthogonal = torch.linalg.qr(rand64(128, 128))[0]
    assert 1.0 <= spectral_bound(orthogonal) <= 1.0 + 1e-7
    nearly_double = torch.diag(torch.tensor([1.0, 1.0 - 1e-12, 0.5], dtype=torch.float64))
    assert 1.0 <= spectral_bound(nearly_double) <= 1.0 + 1e-8
    with pytest.raises(ModelError, match="finite"):
        spectral_bound(torch.tensor([[math.inf]]))


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("channels", [(1, 1), (2, 5), (5, 2)])
def test_both_bounds_of_a_convolution_hold_everywhere(size, channels):
    kernel = rand64(*channels, size, size, seed=size)
    spectrum = torch.linalg.svdvals(torch.fft.fft2(kernel, s=(256, 256)).permute(2, 3, 0, 1))
    exact = float(spectrum.max())
    assert gram_bound(kernel) >= exact
    for grid in (16, 32, 64):
        cosine = math.cos(math.pi * (size - 1) / grid)
        assert exact <= grid_bound(kernel, grid) <= exact / cosine * 1.01
    with pytest.raises(ModelError, match="grid"):
        grid_bound(kernel, 2 * (size - 1))


def test_a_peak_between_the_frequencies_of_the_grid_is_covered():
    """The symbol of this kernel is largest half-way between two frequencies of the grid of 16."""
    angle = 2 * math.pi * 4.5 / 16
    wave = torch.cos(torch.arange(5) * angle)
    kernel = torch.outer(wave, wave)[None, None].double()
    on_grid = float(torch.fft.fft2(kernel, s=(16, 16)).abs().max())
    between = float(torch.fft.fft2(kernel, s=(512, 512)).abs().max())
    assert on_grid < between <= grid_bound(kernel, 16)


@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_the_plain_convolution_is_torch_s_and_its_bound_holds(padding, size, stride, groups):
    kernel, bias = rand64(4, 6 // groups, size, size).float(), rand64(4, seed=1).float()
    layer = LinearConv(kernel, bias, stride=stride, padding=padding, groups=groups)
    x = rand64(2, 6, 6, 6, seed=2)
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    mode = "constant" if padding == "zeros" else "circular"
    padded = F.pad(x, (before, after, before, after), mode=mode)
    expected = F.conv2d(padded, kernel.double(), bias.double(), stride=stride, groups=groups)
    assert torch.allclose(layer(x), expected, atol=1e-12, rtol=0)
    assert exact_norm(operator(layer, 6, 6, 6)) <= layer.claim((6, 6, 6)).bound.value


def test_zero_padding_of_an_image_that_the_stride_does_not_divide():
    layer = LinearConv(rand64(4, 3, 3, 3).float(), torch.zeros(4), stride=2)
    assert exact_norm(operator(layer, 3, 7, 5)) <= layer.claim((3, 7, 5)).bound.value
    assert layer.claim((3, 7, 5)).output == tuple(layer(torch.zeros(1, 3, 7, 5)).shape[1:]) == (4, 4, 3)


def test_a_stride_around_the_torus_must_divide_it():
    layer = LinearConv(rand64(4, 3, 2, 2).float(), torch.zeros(4), stride=2, padding="circular")
    with pytest.raises(ModelError, match="multiples of 2"):
        layer.claim((3, 7, 6))


def test_a_strided_bound_is_not_that_of_all_rows():
    kernel = torch.ones(1, 1, 2, 2)
    assert conv_bound(kernel).value == pytest.approx(4.0, rel=0.05)
    assert conv_bound(kernel, stride=2).value == pytest.approx(2.0, rel=1e-7)


def test_unshuffling_the_kernel_is_the_same_operator():
    kernel, x = rand64(3, 2, 3, 3), rand64(1, 2, 8, 8, seed=1)
    other = F.conv2d(PixelUnshuffle(2)(x), unshuffle_kernel(kernel, 2))
    assert torch.allclose(other, F.conv2d(x, kernel, stride=2)[..., :3, :3], atol=1e-12)


def test_groups_take_the_largest_and_not_the_product():
    kernel = torch.tensor([2.0, 3.0]).reshape(2, 1, 1, 1)
    assert conv_bound(kernel, groups=2).value == pytest.approx(3.0, rel=1e-7)


@pytest.mark.parametrize(("size", "stride", "outputs"), [(3, 1, 3), (4, 1, 3), (2, 2, 12), (4, 2, 12)])
def test_an_orthogonal_convolution_is_an_isometry_around_the_torus(size, stride, outputs):
    layer = OrthogonalConv(3, outputs, size=size, stride=stride, padding="circular").double()
    values = torch.linalg.svdvals(operator(layer, 3, 6, 6))
    assert float((values - 1).abs().max()) < 1e-9


def test_numbers_far_from_1_lipschitz_are_not_shipped_as_if_they_were():
    shipped = ship_conv(3 * rand64(4, 4, 3, 3), torch.zeros(4))
    assert shipped.claim((4, 5, 5)).bound.value <= 1.0
    wrong: list[dict[str, Any]] = [{"stride": 0}, {"padding": "mirror"}, {"groups": 3}]
    for options in wrong:
        with pytest.raises(UsageError):
            LinearConv(torch.ones(4, 4, 3, 3), torch.zeros(4), **options)
    with pytest.raises(UsageError, match="multiple"):
        OrthogonalConv(3, 3, size=3, stride=2)


def test_shifts_move_four_groups():
    x = torch.arange(9.0).reshape(1, 1, 3, 3).expand(1, 5, 3, 3)
    up, down, left, right, rest = Shift()(x)[0]
    assert up.tolist() == [[3, 4, 5], [6, 7, 8], [0, 0, 0]]
    assert down.tolist() == [[0, 0, 0], [0, 1, 2], [3, 4, 5]]
    assert left.tolist() == [[1, 2, 0], [4, 5, 0], [7, 8, 0]]
    assert right.tolist() == [[0, 0, 1], [0, 3, 4], [0, 6, 7]]
    assert torch.equal(rest, x[0, 4])


def test_pairs_are_sorted_and_ties_have_a_gradient_of_norm_1():
    x = torch.tensor([[1.0, 5.0, 2.0, 4.0]], requires_grad=True)
    assert MaxMin()(x).tolist() == [[2.0, 5.0, 1.0, 4.0]]
    tied = torch.ones(1, 4, dtype=torch.float64)
    assert torch.equal(operator(lambda x: MaxMin()(x + tied), 4), torch.eye(4, dtype=torch.float64))


def test_the_norm_of_an_empty_block_has_gradient_0():
    x = torch.zeros(1, 1, 2, 2, requires_grad=True)
    L2Pool(2)(x).sum().backward()
    assert x.grad is not None
    assert not x.grad.any()
    assert L2Pool(2)(torch.tensor([3.0, 0.0, 4.0, 0.0]).reshape(1, 1, 2, 2)).item() == 5.0


@pytest.mark.parametrize("layer", [Shift(), MaxMin(), PixelUnshuffle(2)], ids=lambda m: type(m).__name__)
def test_the_channels_last_layout_is_kept(layer):
    x = torch.randn(2, 8, 4, 4).contiguous(memory_format=torch.channels_last)
    assert layer(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.parametrize(("size", "groups"), [(1, 1), (3, 1), (5, 1), (3, 2)])
def test_an_orthogonal_convolution_can_pass_its_input_on_and_learn(size, groups, padding):
    layer = OrthogonalConv(8, 8, size=size, groups=groups, padding=padding).double()
    layer.pass_through()
    x = torch.rand(2, 8, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(layer(x), x, rtol=0, atol=1e-14)
    torch.testing.assert_close(layer.fold().double()(x), x, rtol=0, atol=1e-6)
    (layer(x) * torch.rand_like(x)).sum().backward()
    assert layer.skew.grad is not None
    assert all(layer.skew.grad[:, step].abs().max() > 0 for step in range(layer.skew.shape[1]))


@pytest.mark.parametrize("shape", [{"outputs": 6}, {"size": 2}, {"size": 4, "stride": 2}, {"groups": 8}])
def test_one_that_cannot_pass_its_input_on_says_so(shape):
    with pytest.raises(UsageError, match="pass its input on"):
        OrthogonalConv(**{"inputs": 8, "outputs": 8, **shape}).pass_through()
