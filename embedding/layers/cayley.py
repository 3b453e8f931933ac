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
    if skew.ndim == 2 or skew.device.type != "cpu":
        return torch.linalg.solve(one + skew, one - skew)  # the factors commute
    # One matrix at a time: a batch makes torch start threads within which MKL starts its own, and waits for some that
    # never come (seen in a process that had run other threads before, with five matrices of 256 and more).
    solved = [torch.linalg.solve(one + one_skew, one - one_skew) for one_skew in skew.flatten(0, -3)]
    return torch.stack(solved).reshape(skew.shape)


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off: what makes a layer 1-Lipschitz is computed in the precision of its parameters."""
    return torch.autocast(x.device.type, enabled=False)
