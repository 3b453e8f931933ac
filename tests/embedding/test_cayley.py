"""Orthogonal matrices from any square ones, one or many at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from retr.embedding.layers.cayley import cayley


@pytest.mark.parametrize("shape", [(5, 5), (3, 5, 5), (2, 3, 4, 4), (1, 1)])
def test_the_matrices_are_orthogonal_and_their_formula(shape: tuple[int, ...]) -> None:
    parameter = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = cayley(parameter)
    one = torch.eye(shape[-1], dtype=torch.float64)
    skew = parameter - parameter.mT
    assert found.shape == shape
    assert torch.allclose(found @ (one + skew), one - skew, atol=1e-12)
    assert torch.allclose(found @ found.mT, one.expand(shape), atol=1e-12)


def test_gradients_of_many_are_right() -> None:
    parameter = torch.randn(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(cayley, parameter.requires_grad_())


def test_on_a_cpu_no_batch_is_solved_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of large matrices hung: two pools of threads, one inside the other."""
    solve, shapes = torch.linalg.solve, []

    def recorded(left: Tensor, right: Tensor) -> Tensor:
        shapes.append(tuple(left.shape))
        return solve(left, right)

    monkeypatch.setattr(torch.linalg, "solve", recorded)
    cayley(torch.zeros(2, 3, 4, 4))
    assert shapes == [(4, 4)] * 6
