"""Floors under how far a row stays ahead of others that are known by bounds alone (THEORY T1, §6.4)."""

from __future__ import annotations

import numpy as np

from ..core.numerics import round_up
from ..core.types import UpperBound
from .ranking import before_zero
from .rounding import Array, check_budget, down, gammas, norm_bounds, to_pixels, up
from .shortlist import stored_row_tolerance


def rival_floors(
    z: Array, near: Array, far: Array, widths: Array, *, lipschitz: UpperBound, forward_error: float
) -> Array:
    """Floors, in pixels, under ``ranking.pair_radii`` of rows of which only distances are bounded (cosine).

    h_ij = ‖z‖·(b_j² − a_i²)/(2‖u_i − u_j‖), which falls as a_i and the width grow and rises with b_j. What rounding
    takes from the radius that ``pair_radii`` computes, with rows that are not exactly of unit length, is at most
    14·γ_{t+8}·‖z‖ over the width, t = ⌈log₂ d⌉ (docs/theory.md, Exact answers); 32·γ_{t+8}·‖z‖ is taken off.

    Args:
        z: (d,) query embedding.
        near: (w,) upper bounds on ‖ẑ − u_i‖ of rows that are ahead.
        far: (m,) lower bounds on ‖ẑ − u_j‖ of the others.
        widths: (w, m) upper bounds on ‖u_i − u_j‖.
        lipschitz: proved bound on L.
        forward_error: e ≥ 0 in embedding units.

    Returns:
        (w, m) signed; −inf where b_j is not surely above a_i.
    """
    check_budget(lipschitz, forward_error)
    low, high = (float(bound) for bound in norm_bounds(z))
    slack = round_up(round_up(32.0 * gammas(len(z), 8)) * high) + 1e-140
    lead = down(down(far * far)[None, :] - up(near * near)[:, None])
    numerator = down(down(0.5 * low * lead) - slack)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(numerator > 0.0, down(numerator / widths), -np.inf)
    return to_pixels(np.minimum(reach, before_zero(z)), lipschitz, forward_error)


def widest(products: Array, dim: int) -> Array:
    """Upper bounds on ‖u_i − u_j‖ of unit rows, from lower bounds on the inner products of the stored ones.

    ‖u_i − u_j‖² = ‖u_i‖² + ‖u_j‖² − 2⟨u_i,u_j⟩, and dividing stored rows, which are of unit length up to τ, by their
    lengths moves a product of size at most (1 + τ)² by less than 3τ.

    Args:
        products: of any shape; NaN and −inf say nothing.
        dim: d.
    """
    slack = 8.0 * stored_row_tolerance(dim)
    known = np.maximum(np.nan_to_num(products, nan=-1.0), -1.0)
    return up(np.sqrt(up(np.maximum(0.0, 2.0 - 2.0 * (known - slack)))))
