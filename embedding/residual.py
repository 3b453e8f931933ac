"""The residual block h(x) = x − 2·Wᵀ·D·σ(W·x + b): its Lipschitz constant and its rounding, from the shipped numbers.

Theorem (T8; Araujo et al., SLL, arXiv 2303.03169). Let D ≥ 0 be diagonal, σ non-decreasing and 1-Lipschitz, and
D^½·W·Wᵀ·D^½ ⪯ (1 + η)·I with η ≥ 0. Then h is (1 + 2η)-Lipschitz; η = 0 gives 1.

Proof. For two inputs apart by v, σ's outputs differ by S·u with u = W·v and S diagonal in [0, 1]. Hence
‖h(x+v) − h(x)‖² = ‖v‖² − 4·uᵀ·D·S·u + 4·(D·S·u)ᵀ·W·Wᵀ·(D·S·u) ≤ ‖v‖² + 4·uᵀ·D·((1+η)·S² − S)·u, since
D·W·Wᵀ·D ⪯ (1+η)·D. On [0, 1] the bracket is at most η, and uᵀ·D·u ≤ (1+η)·‖v‖². So the square is at most
(1 + 4η(1+η))·‖v‖² = (1 + 2η)²·‖v‖². It is attained for S = I, so nothing is given away.

The premise is checked by diagonal dominance under a positive scaling q: if D_i·t_i ≤ 1 + η for every row, where
t_i = Σ_j |K_ij|·q_j/q_i and K = W·Wᵀ, then D^½·K·D^½ has (Gershgorin, after the similarity D^½·Q) spectral radius at
most 1 + η. Any positive q is a valid witness, also a rounded one. The absolute value is essential: Σ_j K_ij can be 0.
Rows with D_i = 0 contribute nothing and are left out by the same formula.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.errors import ModelError
from ..core.numerics import UNIT64, gamma, round_up
from ..core.types import UpperBound
from .forward_error import ARITHMETIC, SLOP, Affine, Arithmetic, Claim, inflate

METHOD = "residual block: D⁻¹ − |W·Wᵀ| diagonally dominant under a positive scaling, in float64, rounded outward"


def dominance_rows(gram: Tensor, norms: Tensor, scale: Tensor, *, terms: int, shifts: int = 1) -> Tensor:
    """Upper bounds on t_i = Σ_j |K_ij|·q_j/q_i from a Gram matrix computed in float64.

    Args:
        gram: (m, m) float64, Σ over shifts of |computed K_ij|.
        norms: (m,) float64, Euclidean norms of the rows of W as computed.
        scale: (m,) positive q.
        terms: products summed in one entry of K; its error is at most γ_terms·‖w_i‖·‖w_j‖ (Cauchy–Schwarz).
        shifts: entries of K summed into one entry of gram.
    """
    q = scale.double()
    rounding = shifts * gamma(terms) * (1.0 + SLOP) ** 2 * norms * (norms @ q)
    return (gram @ q + rounding) / q * (1.0 + SLOP)


def dense_rows(weight: Tensor, scale: Tensor) -> Tensor:
    """The t_i of a matrix W (m, n): one row of K per row of W."""
    w = weight.double()
    return dominance_rows((w @ w.T).abs(), w.norm(dim=1), scale, terms=w.shape[1])


def conv_rows(kernel: Tensor, scale: Tensor) -> Tensor:
    """The t_i of a stride-1 convolution with kernel (m, c, k, k), for zero padding on any image size.

    K is the correlation of the kernel with itself, on the infinite grid. With zero padding the operator is
    P·W_∞·E (E extends by zeros, P crops), so W·Wᵀ = P·W_∞·E·Eᵀ·W_∞ᵀ·Pᵀ ⪯ P·W_∞·W_∞ᵀ·Pᵀ ⪯ D⁻¹: the bound of the
    infinite grid carries over, although single entries of W·Wᵀ near the border can be larger than those of K.
    """
    flat = kernel.double().flatten(1)
    gram = correlation(kernel.double()).abs()
    return dominance_rows(gram.sum(-1), flat.norm(dim=1), scale, terms=flat.shape[1], shifts=gram.shape[-1])


def squared_norm_rows(norm: UpperBound, count: int) -> Tensor:
    """‖W‖² as the t_i of a block whose D is one number for all rows: W·Wᵀ ⪯ ‖W‖²·I needs no dominance."""
    return torch.full((count,), inflate(norm.value**2), dtype=torch.float64)


def correlation(kernel: Tensor) -> Tensor:
    """Correlations of a kernel's channels with one another: (m, c, k, k) → (m, m, (2k−1)²), differentiable."""
    side = kernel.shape[-1]
    windows = torch.nn.functional.unfold(kernel, side, padding=side - 1)  # m c·k² (2k−1)²
    return torch.matmul(kernel.flatten(1), windows)


def correlation_sums(kernel: Tensor) -> Tensor:
    """Σ over shifts of |correlation|: (m, c, k, k) → (m, m), differentiable, at half the work.

    The correlation at a shift is the transpose of the one at the opposite shift.
    """
    side = kernel.shape[-1]
    middle = ((2 * side - 1) ** 2) // 2
    windows = torch.nn.functional.unfold(kernel, side, padding=side - 1)[:, :, : middle + 1]
    gram = torch.matmul(kernel.flatten(1), windows).abs()
    half = gram[:, :, :middle].sum(-1)
    return half + half.T + gram[:, :, middle]


def scale_from(q: Tensor) -> Tensor:
    """The float32 witness exp(q − max q), kept away from zero; any positive witness is a valid one."""
    return torch.exp(q.double() - q.double().max()).float().clamp_min(2.0**-100)


def safe_diagonal(rows: Tensor) -> Tensor:
    """1/t_i rounded toward zero to float32, so that D_i·t_i ≤ 1 with room for a proof on another machine; 0 if t_i = 0.

    The room, SLOP, is far below float32's own spacing.
    """
    exact = torch.where(rows > 0, (1.0 - SLOP) / rows, 0.0).clamp_max(torch.finfo(torch.float32).max)
    rounded = exact.float()
    lower = torch.nextafter(rounded, torch.zeros_like(rounded))
    return torch.where(rounded.double() > exact, lower, rounded)


@dataclass(frozen=True)
class ResidualNumbers:
    """The numbers of one residual block that its claim rests on.

    Attributes:
        rows: (m,) upper bounds t_i.
        diagonal: (m,) the shipped D.
        bias: (m,) the shipped b.
        row_sums: (m,) Σ over the row of |W|.
        column_sums: bound on the largest column sum of D^½·|W|.
        terms: products in one entry of W·x.
        back_terms: products in one entry of Wᵀ·s.
        positions: how often b and D repeat over the image (1 for a dense layer).
        method: how the premise is proved.
    """

    rows: Tensor
    diagonal: Tensor
    bias: Tensor
    row_sums: Tensor
    column_sums: float
    terms: int
    back_terms: int
    positions: int
    method: str = METHOD

    def __post_init__(self) -> None:
        finite = all(bool(torch.isfinite(x).all()) for x in (self.rows, self.diagonal, self.bias, self.row_sums))
        if not (finite and math.isfinite(self.column_sums)):
            raise ModelError("a residual block holds numbers that are not finite; it has no bound")
        if bool((self.diagonal < 0).any()):
            raise ModelError("a residual block has a negative entry in D; the theorem needs D ≥ 0")

    @property
    def excess(self) -> float:
        """η: by how much the largest D_i·t_i exceeds 1; 0 where the premise holds."""
        worst = round_up(float((self.diagonal.double() * self.rows).max()))
        return 0.0 if worst <= 1.0 else inflate(worst - 1.0)

    @property
    def lipschitz(self) -> UpperBound:
        """1 + 2η."""
        excess = self.excess
        return UpperBound(1.0 if excess == 0 else round_up(1.0 + inflate(2.0 * excess)), self.method)

    def claim(self, kind: str, shape: tuple[int, ...]) -> Claim:
        """The block's claim on inputs of a shape."""
        root = self.diagonal.double().sqrt()
        spread = inflate(math.sqrt(self.positions))
        offset = 2.0 * self._operator * inflate(spread * float((root * self.bias.double().clamp_min(0)).norm()))
        errors = {dtype: self._error(arithmetic, math.prod(shape)) for dtype, arithmetic in ARITHMETIC.items()}
        return Claim(kind, self.lipschitz, inflate(offset), shape, errors)

    @property
    def _operator(self) -> float:
        """Bound on ‖D^½·W‖₂: √(1 + η)."""
        return inflate(math.sqrt(1.0 + self.excess))

    @property
    def _absolute(self) -> float:
        """Bound on ‖D^½·|W|‖₂ ≤ √(largest row sum · largest column sum)."""
        root = self.diagonal.double().sqrt()
        return inflate(math.sqrt(float((root * self.row_sums).max()) * self.column_sums))

    def _error(self, arithmetic: Arithmetic, values: int) -> Affine:
        """Error of the block as computed: a = W·x + b, s = D·σ(a), y = Wᵀ·s, x − 2y, in the norms that D gives.

        ‖D^½·error of a‖ ≤ γ·(‖D^½·|W|‖·‖x‖ + ‖D^½·b‖); s adds one rounding; y adds γ·‖D^½·|W|‖·‖D^{−½}·s‖; errors of
        s reach y through ‖Wᵀ·D^½‖ = ‖D^½·W‖. Doubling is exact; the subtraction adds one rounding of the result.
        """
        u, w, c = arithmetic.unit, self._operator, self._absolute
        root = self.diagonal.double().sqrt()
        beta = inflate(math.sqrt(self.positions) * float((root * self.bias.double()).norm()))
        exact = Affine(w, beta)
        of_a = Affine(c, beta).scaled(arithmetic.gamma(self.terms + 1))
        of_s = of_a + (exact + of_a).scaled(u)
        s = exact + of_s
        product = s.scaled(arithmetic.gamma(self.back_terms) * c)
        of_y = of_s.scaled(w) + product
        result = Affine(1.0, 0.0) + s.scaled(2 * w) + product.scaled(2)
        total = of_y.scaled(2) + result.scaled(u) + Affine(0.0, self._underflow(arithmetic, values))
        return total.inflated()

    def _underflow(self, arithmetic: Arithmetic, values: int) -> float:
        """Every operation's underflow, times a bound on how far it can carry to the output, doubled for room."""
        rows = self.rows.numel() * self.positions
        operations = rows * (self.terms + 2) + values * (self.back_terms + 2)
        largest = float(self.diagonal.double().max().sqrt())
        matrix = math.sqrt(self.rows.numel()) * float(self.row_sums.max()) * math.sqrt(self.back_terms)
        return 2.0 * operations * arithmetic.tiny * 2.0 * (1.0 + self._operator * largest + matrix)


def require_representable(terms: int) -> None:
    """Refuse sums so long that SLOP would not cover our own rounding."""
    if terms * UNIT64 * 8 > SLOP:
        raise ModelError(f"a layer sums {terms} products, more than the bound arithmetic covers")
