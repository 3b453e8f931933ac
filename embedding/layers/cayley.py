"""Orthogonal matrices from any square ones."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def cayley(parameter: Tensor) -> Tensor:
    """(I − A)·(I + A)⁻¹ with A = P − Pᵀ: orthogonal, because A is skew (Cayley, 1846).

    I + A is always regular: the eigenvalues of A are imaginary. Only rotations without the eigenvalue −1 are reached.

    Args:
        parameter: P, (..., n, n); its dtype is the arithmetic's, never less than float32.
    """
    skew = parameter - parameter.mT
    one = torch.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device)
    return torch.linalg.solve(one + skew, one - skew)  # the factors commute


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off: what makes a layer 1-Lipschitz is computed in the precision of its parameters."""
    return torch.autocast(x.device.type, enabled=False)
