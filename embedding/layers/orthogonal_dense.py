"""The dense layer with orthonormal rows, trainable.

y = L⁻¹·W·x + b with L·Lᵀ = W·Wᵀ (Cholesky): the rows of L⁻¹·W are orthonormal, so the map is an orthogonal
projection on their span followed by a translation, and 1-Lipschitz (T8). Every singular value is 1, where the AOL
scaling of a wide matrix leaves most of them far below once its rows are correlated. Source: Gram–Schmidt
orthogonalisation in the form of Golub and Van Loan, *Matrix Computations*, §5.2.7.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.errors import UsageError
from .cayley import full_precision
from .linear import LinearDense, ship_dense

_ENTRY = 0.1
"""Size of the initial entries. The map does not depend on the scale of W; a step of the optimiser turns it by the
ratio of the two, and orthonormal rows of thousands of entries would be turned around within a few steps."""


class OrthogonalDense(nn.Module):
    """Trainable form: the rows are made orthonormal in every step. Prove and ship the folded form.

    Args:
        inputs: n.
        outputs: m, at most n.
        generator: source of the initial weights: orthogonal rows.
    """

    def __init__(self, inputs: int, outputs: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if outputs > inputs:
            raise UsageError(f"{outputs} orthonormal rows do not fit into {inputs} dimensions")
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if self.weight.device.type != "meta":
            nn.init.orthogonal_(self.weight, gain=_ENTRY * inputs**0.5, generator=generator)

    def forward(self, x: Tensor) -> Tensor:  # b n -> b m
        """The affine map; the rows are made orthonormal in full precision, the product runs in autocast's.

        The rows are solved for, and not W·x: the gradient's part along W's own rows cancels only in exact arithmetic,
        and rounding W·x to bfloat16 before the solution would leave a remainder of it.
        """
        with full_precision(x):
            rows = orthonormal_rows(self.weight)
        return nn.functional.linear(x, rows, self.bias)

    @torch.no_grad()
    def fold(self) -> LinearDense:
        """The shipped form: a matrix in float32, proved at most 1."""
        return ship_dense(orthonormal_rows(self.weight.detach().double().cpu()), self.bias)


def orthonormal_rows(weight: Tensor) -> Tensor:
    """L⁻¹·W for a weight (m, n) of full rank, in its own dtype."""
    factor = torch.linalg.cholesky(weight @ weight.mT)
    return torch.linalg.solve_triangular(factor, weight, upper=False)
