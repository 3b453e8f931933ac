"""Layers: their operators, their constants against Jacobians, and the traps in the bound."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from retr.core.errors import ModelError, UsageError
from retr.embedding.forward_error import ARITHMETIC
from retr.embedding.layers.channel_pad import ChannelPad
from retr.embedding.layers.flatten import Flatten
from retr.embedding.layers.sll_conv import FoldedSLLConv, SLLConv, residual_conv
from retr.embedding.layers.sll_dense import FoldedSLLDense, SLLDense, residual_dense
from retr.embedding.layers.sum_pool import SumPool
from retr.embedding.layers.truncate import Truncate
from retr.embedding.residual import conv_rows, dense_rows, safe_diagonal

ALWAYS_ON = 100.0
"""A bias so large that every relu passes: there the block is linear, and its Jacobian is I − 2WᵀDW."""


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rand64(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=random(seed), dtype=torch.float64)


def jacobian_norm(layer, x: torch.Tensor) -> float:
    jacobian = torch.autograd.functional.jacobian(layer, x)
    assert isinstance(jacobian, torch.Tensor)
    return float(torch.linalg.matrix_norm(jacobian.reshape(-1, x.numel()), 2))


def power_iteration(layer, x: torch.Tensor, steps: int) -> float:
    """The Jacobian's norm at x, from below."""
    jacobian = torch.autograd.functional.jacobian(layer, x)
    assert isinstance(jacobian, torch.Tensor)
    matrix = jacobian.reshape(-1, x.numel())
    v = rand64(x.numel(), seed=5)
    for _ in range(steps):
        v = matrix.T @ (matrix @ (v / v.norm()))
    return float(v.norm().sqrt())


def with_bias(layer, value: float):
    layer.bias.fill_(value)
    return layer


# --- the operators -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("image", [(7, 7), (4, 9), (2, 1)])
def test_the_matrix_form_is_the_convolution(size, image):
    kernel, bias, diagonal = rand64(3, 5, size, size), rand64(3, seed=1), rand64(3, seed=2).abs()
    x = rand64(2, 5, *image, seed=3)
    inside = torch.relu(F.conv2d(x, kernel, bias, padding=size // 2)) * diagonal[:, None, None]
    expected = x - 2 * F.conv_transpose2d(inside, kernel, padding=size // 2)
    assert torch.allclose(residual_conv(x, kernel, bias, diagonal), expected, atol=1e-12, rtol=0)


def test_the_dense_block_is_its_formula():
    w, b, d, x = rand64(4, 6), rand64(4, seed=1), rand64(4, seed=2).abs(), rand64(1, 6, seed=3)
    expected = x[0] - 2 * w.T @ torch.diag(d) @ torch.relu(w @ x[0] + b)
    assert torch.allclose(residual_dense(x, w, b, d)[0], expected, atol=1e-12, rtol=0)


def test_gradients_are_right():
    x = rand64(1, 2, 4, 3).requires_grad_(True)
    kernel = rand64(2, 2, 3, 3, seed=1).requires_grad_(True)
    bias, diagonal = rand64(2, seed=2).requires_grad_(True), rand64(2, seed=3).abs().requires_grad_(True)
    assert torch.autograd.gradcheck(residual_conv, (x, kernel, bias, diagonal))
    v = rand64(2, 5).requires_grad_(True)
    w = rand64(3, 5, seed=1).requires_grad_(True)
    dense = (rand64(3, seed=2).requires_grad_(True), rand64(3, seed=3).abs().requires_grad_(True))
    assert torch.autograd.gradcheck(residual_dense, (v, w, *dense))


@pytest.mark.parametrize("q_form", ["published", "right"])
def test_the_trainable_diagonal_has_right_gradients(q_form):
    layer = SLLConv(2, 3, q_form=q_form, generator=random(0)).double()

    def diagonal(kernel, q):
        return torch.func.functional_call(_Diagonal(layer), {"layer.kernel": kernel, "layer.q": q}, ())

    assert torch.autograd.gradcheck(diagonal, (layer.kernel, layer.q))


class _Diagonal(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self):
        return self.layer.diagonal()


def test_sum_pool_is_an_average_times_its_size():
    x = rand64(2, 3, 8, 12)
    assert torch.allclose(SumPool(4)(x), F.avg_pool2d(x, 4) * 4, atol=1e-14, rtol=0)
    assert jacobian_norm(SumPool(4), rand64(1, 2, 8, 8)) == pytest.approx(1.0, abs=1e-12)


def test_pad_flatten_truncate():
    x = rand64(2, 3, 4, 5)
    padded = ChannelPad(7)(x)
    assert padded.shape == (2, 7, 4, 5)
    assert torch.equal(padded[:, :3], x)
    assert not padded[:, 3:].any()
    assert torch.equal(Truncate(5)(Flatten()(x)), x.reshape(2, -1)[:, :5])


# --- the constant --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("q_form", ["published", "right"])
@pytest.mark.parametrize("bias", [None, ALWAYS_ON])
def test_a_folded_convolution_is_1_lipschitz(size, q_form, bias):
    layer = SLLConv(4, 6, size=size, q_form=q_form, generator=random(size)).fold()
    assert layer.claim((4, 6, 5)).bound.value == 1.0
    if bias is not None:
        layer = with_bias(layer, bias)
    for seed in range(3):
        assert jacobian_norm(layer, rand64(1, 4, 6, 5, seed=seed)) <= 1 + 1e-9


@pytest.mark.parametrize("bias", [None, ALWAYS_ON])
def test_a_folded_dense_layer_is_1_lipschitz(bias):
    layer = SLLDense(12, 30, generator=random(0)).fold()
    assert layer.claim((12,)).bound.value == 1.0
    if bias is not None:
        layer = with_bias(layer, bias)
    for seed in range(3):
        assert jacobian_norm(layer, rand64(1, 12, seed=seed)) <= 1 + 1e-9


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.5, 10.0])
def test_a_diagonal_too_large_is_bounded_not_believed(factor):
    conv = with_bias(SLLConv(3, 2, generator=random(1)).fold(), ALWAYS_ON)
    conv.diagonal.mul_(factor)
    dense = with_bias(SLLDense(5, 3, generator=random(1)).fold(), ALWAYS_ON)
    dense.diagonal.mul_(factor)
    for layer, x in ((conv, rand64(1, 3, 9, 9)), (dense, rand64(1, 5))):
        bound = layer.claim(tuple(x.shape[1:])).bound.value
        assert (bound == 1.0) == (factor == 1.0)
        assert power_iteration(layer, x, 1000) <= bound * (1 + 1e-12)


def test_the_bound_of_a_violated_premise_is_attained():
    weight = torch.tensor([[3.0, 4.0]])
    layer = FoldedSLLDense(weight, torch.tensor([ALWAYS_ON]), torch.tensor([2.0 / 25.0]), torch.ones(1))
    bound = layer.claim((2,)).bound.value
    attained = jacobian_norm(layer, torch.zeros(1, 2, dtype=torch.float64))
    assert attained <= bound <= attained * (1 + 1e-6)
    assert bound == pytest.approx(3.0, rel=1e-6)


def test_without_the_absolute_value_the_convolution_is_not_1_lipschitz():
    """Σ K = (Σ kernel)² = 1/4 here, while the true squared norm is 3.5²."""
    kernel = torch.zeros(1, 1, 3, 3)
    kernel[0, 0, 1] = torch.tensor([1.0, -1.5, 1.0])
    without = torch.tensor([1 / 0.25])
    wrong = FoldedSLLConv(kernel, torch.tensor([ALWAYS_ON]), without, torch.ones(1))
    right = FoldedSLLConv(
        kernel, torch.tensor([ALWAYS_ON]), safe_diagonal(conv_rows(kernel, torch.ones(1))), torch.ones(1)
    )
    x = rand64(1, 1, 9, 9)
    assert jacobian_norm(wrong, x) > 50
    assert wrong.claim((1, 9, 9)).bound.value >= jacobian_norm(wrong, x)
    assert jacobian_norm(right, x) <= 1 + 1e-9


def test_without_the_absolute_value_the_dense_layer_is_not_1_lipschitz():
    weight = torch.tensor([[1.0, 0.0], [-0.9, 0.1]])
    sums = (weight @ weight.T).sum(1)
    layer = FoldedSLLDense(weight, torch.full((2,), ALWAYS_ON), (1 / sums).abs(), torch.ones(2))
    x = torch.zeros(1, 2, dtype=torch.float64)
    assert jacobian_norm(layer, x) > 1.5
    assert layer.claim((2,)).bound.value >= jacobian_norm(layer, x)


def test_rows_bound_the_exact_sums_also_near_the_border():
    kernel = torch.randn(2, 3, 3, 3, generator=random(3))
    rows = conv_rows(kernel, torch.ones(2))
    operator = torch.autograd.functional.jacobian(
        lambda x: F.conv2d(x[None], kernel.double(), padding=1).flatten(), rand64(3, 5, 5)
    ).reshape(-1, 75)
    gram = operator @ operator.T
    scaled = torch.diag(rows.repeat_interleave(25)) - gram
    assert float(torch.linalg.eigvalsh(scaled).min()) >= 0


def test_q_is_used_rightly_and_helps_where_rows_differ_in_size():
    weight = torch.tensor([[10.0, 0.0], [0.1, 0.1]])
    plain, scaled = dense_rows(weight, torch.ones(2)), dense_rows(weight, torch.tensor([10.0, 0.1]))
    gram = (weight.double() @ weight.double().T).abs()
    q = torch.tensor([10.0, 0.1], dtype=torch.float64)
    assert torch.allclose(scaled, (gram * q[None, :] / q[:, None]).sum(1), rtol=1e-6)
    assert float(scaled[0]) < float(plain[0])


def test_in_the_published_convolution_q_has_no_effect():
    layer = SLLConv(3, 4, q_form="published", generator=random(0))
    before = layer.fold()
    with torch.no_grad():
        layer.q.add_(torch.randn(4, generator=random(9)))
    assert torch.equal(layer.fold().diagonal, before.diagonal)
    layer.q_form = "right"
    assert not torch.equal(layer.fold().diagonal, before.diagonal)


def test_the_published_convolution_is_the_published_formula():
    layer = SLLConv(3, 4, q_form="published", generator=random(0))
    correlation = F.conv2d(layer.kernel, layer.kernel, padding=2).abs()
    q = layer.q.reshape(-1, 1, 1, 1)
    t = (torch.exp(-q) * correlation * torch.exp(q)).sum((1, 2, 3))
    assert torch.allclose(layer.diagonal(), 1 / t, rtol=1e-5)
    assert torch.allclose(layer.fold().diagonal, 1 / t, rtol=1e-5)


@pytest.mark.parametrize("q_form", ["published", "right"])
def test_folded_and_unfolded_agree(q_form):
    conv, dense = SLLConv(4, 3, q_form=q_form, generator=random(1)), SLLDense(9, 5, generator=random(1))
    x, v = rand64(2, 4, 6, 6).float(), rand64(2, 9).float()
    assert torch.allclose(conv(x), conv.fold()(x), atol=1e-5, rtol=1e-5)
    assert torch.allclose(dense(v), dense.fold()(v), atol=1e-5, rtol=1e-5)


def test_an_empty_row_gets_zero_and_stays_finite():
    layer = SLLDense(3, 2, generator=random(0))
    with torch.no_grad():
        layer.weight[0] = 0
    folded = layer.fold()
    assert float(folded.diagonal[0]) == 0.0
    assert folded.claim((3,)).bound.value == 1.0
    layer.diagonal().sum().backward()
    assert layer.weight.grad is not None
    assert bool(torch.isfinite(layer.weight.grad).all())


@pytest.mark.parametrize("spoil", [("diagonal", -1.0), ("diagonal", math.nan), ("weight", math.inf), ("scale", 0.0)])
def test_numbers_that_prove_nothing_are_refused(spoil):
    layer = SLLDense(3, 2, generator=random(0)).fold()
    getattr(layer, spoil[0]).view(-1)[0] = spoil[1]
    with pytest.raises(ModelError):
        layer.claim((3,))


def test_shipped_numbers_are_float32():
    for layer, shape in ((SLLDense(3, 2).fold(), (3,)), (SLLConv(3, 2).fold(), (3, 4, 4))):
        with pytest.raises(ModelError, match="float32"):
            layer.double().claim(shape)


def test_shapes_that_do_not_fit_are_refused():
    for layer, shape in (
        (ChannelPad(2), (3, 4, 4)),
        (SumPool(4), (3, 6, 8)),
        (Truncate(9), (8,)),
        (SLLDense(3, 2).fold(), (4,)),
        (SLLConv(3, 2).fold(), (4, 5, 5)),
    ):
        with pytest.raises(ModelError):
            layer.claim(shape)
    with pytest.raises(UsageError, match="odd"):
        SLLConv(3, 2, size=4)


# --- rounding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_forward_errors_stay_below_their_bound(seed):
    conv, dense = SLLConv(6, 4, size=5, generator=random(seed)).fold(), SLLDense(50, 40, generator=random(seed)).fold()
    for layer, x in (
        (conv, rand64(1, 6, 9, 9, seed=seed)),
        (dense, rand64(1, 50, seed=seed)),
        (SumPool(4), rand64(1, 2, 8, 8)),
    ):
        x = x.float()
        error = float((layer(x).double() - layer(x.double())).norm())
        claim = layer.claim(tuple(x.shape[1:]))
        norm = float(x.norm()) * (1 + 1e-6)
        assert 0 < error <= claim.errors[torch.float32](norm) + claim.errors[torch.float64](norm)


def test_the_rounding_bound_covers_the_worst_order_of_summation():
    """One large pixel first: added one by one to it, every other pixel is lost."""
    n = 1000
    layer = FoldedSLLDense(torch.ones(1, n), torch.zeros(1), torch.tensor([1.0 / n]), torch.ones(1))
    x = np.ones(n, dtype=np.float32)
    x[0] = 2.0**24
    inside = np.cumsum(x, dtype=np.float32)[-1]
    assert inside == 2.0**24
    computed = x - 2 * (layer.diagonal.numpy() * inside)
    error = np.linalg.norm(computed - layer(torch.from_numpy(x)[None].double())[0].numpy())
    bound = layer.claim((n,)).errors[torch.float32](float(np.linalg.norm(x)) * (1 + 1e-6))
    assert 50 < error <= bound


def test_offsets_bound_the_image_of_zero():
    conv, dense = SLLConv(6, 4, generator=random(0)).fold(), SLLDense(50, 40, generator=random(0)).fold()
    for layer, shape in ((conv, (6, 9, 9)), (dense, (50,))):
        at_zero = float(layer(torch.zeros(1, *shape, dtype=torch.float64)).norm())
        assert 0 < at_zero <= layer.claim(shape).offset


def test_bounds_exist_for_the_two_certified_formats():
    assert set(ARITHMETIC) == {torch.float32, torch.float64}
