"""T9 where one channel decides for both items: T1 holds there, and needs no half (docs/theory.md, Several tests)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..core.errors import UsageError
from ..core.numerics import dot, round_down, round_up
from ..core.types import UpperBound
from .rounding import (
    UNDERFLOW,
    Array,
    check_budget,
    check_embedding,
    check_rows,
    divide_down,
    down,
    gammas,
    norm_bounds,
    to_pixels,
    unit_tolerance,
    up,
)
from .shortlist import unseen_radius


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a cosine channel is.

    Attributes:
        threshold: τ of the channel, at least 0: the theorem needs a half-angle of at most 90°.
        lipschitz: proved bound on its L.
        forward_error: e ≥ 0 in embedding units.
        growth: of the error of its margins (``channels.Margins``).
    """

    threshold: float
    lipschitz: UpperBound
    forward_error: float
    growth: float

    def __post_init__(self) -> None:
        check_budget(self.lipschitz, self.forward_error)
        if not 0.0 <= self.threshold <= 1.0:
            raise UsageError(f"the threshold must lie between 0 and 1, got {self.threshold}")
        if not self.growth >= 0.0:
            raise UsageError(f"the growth of the errors must be ≥ 0, got {self.growth}")

    def needed(self, z: Array, errors: Array, nu: Array) -> Array:
        """How far ⟨z',u_i⟩ must lead, so that the computed margins keep their order.

        At the attacked image: no radius exceeds ‖z‖/L, because the origin lies on the edge of every half-space.

        Args:
            z: (d,) computed query embedding.
            errors: (m,) the errors of both margins at the query, added up, in pixels.
            nu: (m,) bounds |‖u‖ − 1| of both rows.
        """
        length = float(norm_bounds(z)[1])
        reach = round_up(length / self.lipschitz.value)
        moved = up(errors + round_up(round_up(2.0 * self.growth) * reach))
        square = round_down(round_down(1.0 - self.threshold) * (1.0 + self.threshold))
        if square <= 0.0:  # a cone without an inside: the margin says nothing of the angle near 0
            return np.full(errors.shape, np.inf)
        sine = round_down(math.sqrt(square))
        farthest = round_up(round_up(2.0 * length) * (1.0 + 1e-15) + round_up(2.0 * self.forward_error))
        off = up(up(2.0 * nu) * farthest) * (1.0 + 1e-12)
        return up(up(up(moved * self.lipschitz.value) / sine) + off)


def within_channel_radii(
    z: Array, winner: Array, rivals: Array, *, errors: Array, surroundings: Surroundings, nu: Array | None = None
) -> Array:
    """T9 within one cosine channel: the winner's margin stays above rival j's, as computed, for every ‖δ‖ < r_j.

    Guarantee: for each j and each δ with ‖δ‖₂ < r_j, the float64 margins of T5 computed at the attacked image
    keep m_i > m_j. Norm: ℓ2, pixels. Assumptions: f is L-Lipschitz, ``forward_error`` holds at both images, τ ≥ 0.
    Proof: with s = ⟨z',u⟩, m = sin θ·s − cos θ·√(‖z'‖² − s²) where the angle is at most 90°, and m ≤ −cos θ·‖z'‖
    beyond. If s_i > 0, the margins differ by at least sin θ·(s_i − max(s_j, 0)); both s_i − s_j > t and s_i > t are
    half-spaces (T1). Source: docs/theory.md.

    Args:
        z: (d,) computed query embedding.
        winner: (d,) a unit row of item i.
        rivals: (m, d) unit rows of other items.
        errors: (m,) the errors of the winner's and the rival's margin (``channels.Margins``), added up, in pixels.
        surroundings: the channel.
        nu: (m,) proved bounds on |‖u‖ − 1| of the winner and each rival; None to compute them.

    Returns:
        (m,) signed, in pixels.

    Raises:
        UsageError: for inputs the theorem does not hold for.
    """
    check_embedding(z, "cosine")
    check_rows(winner[np.newaxis], z.shape[0])
    check_rows(rivals, z.shape[0])
    if not len(rivals):
        return np.zeros(0)
    if nu is None:
        nu = np.maximum(unit_tolerance(rivals), unit_tolerance(winner[np.newaxis]))
    need = surroundings.needed(z, errors, nu)
    ahead = _reach(z, winner - rivals, need)
    front = _reach(z, winner[np.newaxis], need)
    reach = np.maximum(np.minimum(ahead, front), -norm_bounds(z)[1])
    return to_pixels(reach, surroundings.lipschitz, surroundings.forward_error)


def unseen_within_channel(
    z: Array, winner: Array, *, a: float, b: float, errors: Array, surroundings: Surroundings
) -> float:
    """A floor under :func:`within_channel_radii` of every row that lies at least b away.

    Args:
        z: (d,) computed query embedding.
        winner: (d,) a unit row of item i.
        a: upper bound on ‖ẑ − u_i‖.
        b: lower bound on ‖ẑ − u_j‖ of every unseen row; inf where there is none.
        errors: (1,) the winner's error and one that holds for all unseen margins (``channels.unseen_margins``), added
            up, in pixels.
        surroundings: the channel.

    Returns:
        Pixels, signed.
    """
    if math.isinf(b):
        return math.inf
    low = float(norm_bounds(z)[0])
    gap = round_down(b - a)
    if gap <= 0.0 or low <= 0.0:
        return -math.inf
    nu = unit_tolerance(winner[np.newaxis]) + 1e-12  # stored unit rows are rounded in float64 or checked
    need = surroundings.needed(z, errors, nu)
    shared = {"lipschitz": surroundings.lipschitz, "forward_error": surroundings.forward_error}
    half_space = unseen_radius(a, b, score="cosine", z_norm=low, dim=z.shape[0], **shared)
    taken = up(up(need / gap) / surroundings.lipschitz.value)
    front = to_pixels(_reach(z, winner[np.newaxis], need), **shared)
    return float(min(down(half_space - taken)[0], front[0]))


def _reach(z: Array, w: Array, need: Array) -> Array:
    """Lower bounds on (⟨z,w⟩ − need)/‖w‖; entries of w may carry one rounding of a difference."""
    g = gammas(z.shape[0], 3)
    low, high = norm_bounds(w)
    product = down(down(dot(z, w) - up(up(g * norm_bounds(z)[1]) * high)) - UNDERFLOW)
    with np.errstate(invalid="ignore"):
        return np.where(need < np.inf, divide_down(down(product - need), low, high), -np.inf)
