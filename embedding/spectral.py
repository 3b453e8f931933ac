"""Upper bounds on the norm of matrices and convolutions, from the shipped numbers, in float64 and rounded outward.

Nothing here trusts an eigenvalue routine: eigenvectors are only a change of basis, whose quality is measured.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..core.errors import ModelError
from ..core.numerics import gamma
from ..core.types import UpperBound
from .forward_error import SLOP, inflate
from .residual import correlation_sums, require_representable

MATRIX = "largest singular value: |Vᵀ·W·Wᵀ·V| row sums for a measured, nearly orthogonal V, rounded outward"
GRAM = "norm of the summed absolute correlations of the kernel with itself, rounded outward"
GRID = "largest norm of the kernel's symbol on a grid of frequencies / cos(π(k−1)/N), rounded outward"
SQUARINGS = 8
GRID_WORK = 2.5e9
"""Most operations that one convolution may cost on a grid, about half a second: a model is proved when it is loaded."""


def spectral_bound(matrix: Tensor) -> float:
    """Upper bound on ‖A‖₂ for a real matrix (m, n).

    With G = A·Aᵀ (the smaller side) and V the eigenvectors as computed, ‖G‖ ≤ ‖Vᵀ·G·V‖/σ_min(V)² and
    σ_min(V)² ≥ 1 − ‖Vᵀ·V − I‖. The middle matrix is nearly diagonal, so its largest row sum is nearly ‖G‖. Each
    product's rounding is added in the Frobenius norm (Higham, ASNA, §3.5).

    Raises:
        ModelError: for numbers that are not finite, or too many to sum.
    """
    a = _finite(matrix).double()
    a = a if a.shape[0] <= a.shape[1] else a.T
    m, n = a.shape
    require_representable(n)
    gram = a @ a.T
    basis = torch.linalg.eigh(gram).eigenvectors
    middle = basis.T @ gram @ basis
    skewed = _frobenius(basis.T @ basis - torch.eye(m, dtype=a.dtype))
    length = _frobenius(basis) ** 2
    of_gram = gamma(n) * _frobenius(a) ** 2
    of_middle = (2 * gamma(m) + gamma(m) ** 2) * length * _frobenius(gram)
    room = 1.0 - inflate(skewed + gamma(m) * length)
    if room < 0.5:
        raise ModelError("the eigenvectors of a layer are not orthogonal; it has no bound")
    return inflate(math.sqrt(inflate((float(middle.abs().sum(1).max()) + of_middle) / room + of_gram)))


def dense_bound(weight: Tensor) -> UpperBound:
    """Bound on a matrix (m, n)."""
    return UpperBound(spectral_bound(weight), MATRIX)


def conv_bound(kernel: Tensor, *, stride: int = 1, groups: int = 1) -> UpperBound:
    """Bound on a convolution on images of any size, zero-padded, or circular where the stride divides the image.

    A stride s is a pixel-unshuffle by s, an isometry, and then a convolution of stride 1 whose kernel holds the same
    numbers rearranged; both are the same operator, so the bound of the second is one of the first. On a torus the
    symbol is sampled at some frequencies, and zero padding crops the operator of the infinite grid: both norms are at
    most the largest norm of the symbol over all frequencies. Groups act on disjoint channels: the largest counts.

    Args:
        kernel: (o, c/groups, k, k).
        stride: s.
        groups: number of groups.

    Raises:
        ModelError: for numbers that prove nothing.
    """
    whole = unshuffle_kernel(_finite(kernel).double(), stride)
    bounds = [_plain_bound(part) for part in whole.chunk(groups)]
    return max(bounds, key=lambda bound: bound.value)


def unshuffle_kernel(kernel: Tensor, stride: int) -> Tensor:
    """The stride-1 kernel on pixel-unshuffled images: (o, c, k, k) → (o, c·s², ⌈k/s⌉, ⌈k/s⌉), differentiable."""
    if stride == 1:
        return kernel
    missing = -kernel.shape[-1] % stride
    return torch.nn.functional.pixel_unshuffle(torch.nn.functional.pad(kernel, (0, missing, 0, missing)), stride)


def gram_bound(kernel: Tensor) -> float:
    """‖K‖² ≤ ‖Σ_shift |K⋆K(shift)|‖ for a float64 kernel (m, n, k, k): AOL's argument with the best rescaling.

    Source: Prach and Lampert, arXiv 2208.03160; any positive rescaling gives a bound, and the best is the norm of the
    matrix of sums. The correlations' rounding is at most γ·‖k_i‖·‖k_j‖ per shift.
    """
    terms, shifts = kernel[0].numel(), (2 * kernel.shape[-1] - 1) ** 2
    require_representable(terms)
    rounding = shifts * gamma(terms) * inflate(_frobenius(kernel.flatten(1)) ** 2)
    return inflate(math.sqrt(inflate(spectral_bound(correlation_sums(kernel)) + rounding)))


def grid_bound(kernel: Tensor, size: int) -> float:
    """The largest ‖K̂(θ)‖ over all θ, from the N×N grid of frequencies, N > 2(k−1).

    For unit vectors u, v the function Re e^{iφ}·uᵀ·K̂(θ)·v·e^{−i(k−1)θ/2} is real of exponential type (k−1)/2 in each
    coordinate. Where such a function attains its maximum M it stays above M·cos((k−1)t/2) at distance t (Duffin and
    Schaeffer, 1938), and a grid point lies within π/N. One coordinate after the other: M is at most the grid's maximum
    divided by cos²(π(k−1)/2N), which is at least cos(π(k−1)/N). Half of the grid will do: K is real.
    """
    k = kernel.shape[-1]
    if size <= 2 * (k - 1):
        raise ModelError(f"a kernel of {k} taps needs a grid of more than {2 * (k - 1)} frequencies, got {size}")
    symbol = _symbol(kernel, size)
    # Entries of the symbol are off by at most the rounding of k² products with factors known to 8 roundings.
    rounding = gamma(4 * k * k + 32) * _frobenius(kernel.abs().sum((2, 3)))
    return inflate((_batch_norm(symbol) + rounding) / (math.cos(math.pi * (k - 1) / size) * (1.0 - SLOP)))


def _plain_bound(kernel: Tensor) -> UpperBound:
    if kernel.shape[-1] == 1:
        return UpperBound(spectral_bound(kernel.flatten(1)), MATRIX)
    # Kernel and transposed kernel are operators of one norm; correlating the smaller side is cheaper.
    kernel = kernel if kernel.shape[0] <= kernel.shape[1] else kernel.transpose(0, 1)
    bounds = [UpperBound(gram_bound(kernel), GRAM)]
    size = _grid_size(kernel)
    if size is not None:
        bounds.append(UpperBound(grid_bound(kernel, size), f"{GRID}, N = {size}"))
    return min(bounds, key=lambda bound: bound.value)


def _grid_size(kernel: Tensor) -> int | None:
    work = 4.0 * SQUARINGS * kernel.shape[0] ** 3
    fitting = [n for n in (64, 32, 16) if n > 4 * (kernel.shape[-1] - 1) and n * n * work <= GRID_WORK]
    return fitting[0] if fitting else None


def _symbol(kernel: Tensor, size: int) -> Tensor:
    """K̂ on half of the grid: (m, n, k, k) → (frequencies, m, n) complex."""
    k = kernel.shape[-1]
    # Products modulo N first, so that the angles are accurate.
    turns = torch.outer(torch.arange(size), torch.arange(k)).remainder(size).double() * (2 * math.pi / size)
    wave = torch.polar(torch.ones_like(turns), turns)  # N k
    half = wave[: size // 2 + 1]
    return torch.einsum("mnuv,pu,qv->pqmn", kernel.to(wave.dtype), half, wave).flatten(0, 1)


def _batch_norm(symbol: Tensor) -> float:
    """Bound on the largest norm of complex matrices (f, m, n): the Gram matrix squared again and again.

    ‖G‖² = ‖G²‖ for a Hermitian G; the last power is bounded by its Frobenius norm or row sums, and every square root
    on the way back adds the rounding of the product it undoes. Source: Delattre et al., arXiv 2305.16173.
    """
    unit = 8 * gamma(max(symbol.shape[1:]) + 2)
    sizes, roundings = [], []
    power = symbol @ symbol.mH
    roundings.append(unit * _norms(symbol) ** 2)
    for _ in range(SQUARINGS):
        # Rescaling by powers of two is exact; it keeps the powers from overflowing.
        scale = torch.exp2(torch.floor(torch.log2(_norms(power).clamp_min(1e-300))))
        power = power / scale[:, None, None]
        roundings.append(unit * _norms(power) ** 2)
        sizes.append(scale)
        power = power @ power
    value = torch.minimum(_norms(power), power.abs().sum(2).amax(1))
    for scale, rounding in zip(reversed(sizes), reversed(roundings[1:]), strict=True):
        value = torch.sqrt((value + rounding) * (1 + SLOP)) * scale * (1 + SLOP)
    return inflate(float(torch.sqrt((value + roundings[0]) * (1 + SLOP)).max()))


def _norms(matrices: Tensor) -> Tensor:
    return matrices.flatten(1).abs().square().sum(1).sqrt() * (1 + SLOP)


def _frobenius(matrix: Tensor) -> float:
    return inflate(float(matrix.norm()))


def _finite(values: Tensor) -> Tensor:
    if not bool(torch.isfinite(values).all()):
        raise ModelError("a layer holds numbers that are not finite; it has no bound")
    return values.detach().cpu()
