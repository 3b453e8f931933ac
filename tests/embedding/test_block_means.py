import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retr.core.errors import UsageError
from retr.embedding.block_means import BlockMeans


def dense_operator(blocks: int) -> torch.Tensor:
    embedder = BlockMeans(blocks)
    n = 3 * 16 * blocks**2
    basis = torch.eye(n, dtype=torch.float64).reshape(n, 3, *embedder.input_size)
    return embedder.forward(basis).T


@pytest.mark.parametrize("blocks", [2, 3, 5])
def test_the_operator_is_a_projection_of_orthonormal_rows(blocks):
    operator = dense_operator(blocks)
    gram = operator @ operator.T
    assert torch.allclose(gram @ gram, gram, atol=1e-12)
    singular = torch.linalg.svdvals(operator)
    assert float(singular.max()) == pytest.approx(1.0, abs=1e-12)
    assert int((singular > 0.5).sum()) == 3 * (blocks**2 - 1)


def test_it_is_the_block_means_times_four_with_the_mean_removed():
    x = np.random.default_rng(0).random((3, 64, 64))
    means = x.reshape(3, 16, 4, 16, 4).mean((2, 4))
    expected = 4 * (means - means.mean((1, 2), keepdims=True))
    assert np.allclose(BlockMeans().forward(torch.from_numpy(x)[None])[0], expected.reshape(-1), atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10**6), st.floats(-0.2, 0.2))
def test_brightness_does_not_matter_and_the_map_is_linear(blocks, seed, shift):
    embedder = BlockMeans(blocks)
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.rand(2, 1, 3, *embedder.input_size, generator=generator, dtype=torch.float64)
    z = embedder.forward(x)
    assert torch.allclose(embedder.forward(x + shift), z, atol=1e-12)
    assert torch.allclose(embedder.forward(x / 2 + y / 2), z / 2 + embedder.forward(y) / 2, atol=1e-12)


@pytest.mark.parametrize("blocks", [2, 16, 64])
def test_rounding_is_bounded_against_exact_sums(blocks):
    """Against float64, whose own error is 2⁻²⁹ of float32's."""
    embedder = BlockMeans(blocks)
    bound = embedder.rounding(torch.float32)
    exact = embedder.rounding(torch.float64)
    assert bound is not None
    assert exact is not None
    x = torch.rand(4, 3, *embedder.input_size, generator=torch.Generator().manual_seed(blocks))
    error = (embedder.forward(x).double() - embedder.forward(x.double())).norm(dim=1)
    assert float(error.max()) <= bound.value + exact.value
    assert exact.value < 1e-9


@pytest.mark.parametrize("blocks", [-1, 0, 1, 257])
def test_block_counts_out_of_range_are_refused(blocks):
    with pytest.raises(UsageError, match="2 to 256"):
        BlockMeans(blocks)
