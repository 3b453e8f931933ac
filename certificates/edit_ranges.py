"""T12: one claim for every member of a family of edits, with any change up to ε on top (docs/theory.md, Edits).

A cell of the family has one representative, an image in the resized domain. What is known of it there (how far the
resized image may move before a claim falls) covers a member when the member's resized image lies within ``covered``
of it and ρ·ε more still falls short. All distances are in *resized* units, per probe: after the resize of the member's
own size, before the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.numerics import round_up
from .rounding import Array, down, norm_bounds, up

Bools = npt.NDArray[np.bool_]

RELATIVE = 1e-14
"""More than the roundings by which a margin divided by L_g·ρ differs from one divided by L_g, then by ρ."""


@dataclass(frozen=True, slots=True)
class Moves:
    """How far some members of one cell may be from its representative, an adversary's change included.

    Attributes:
        covered: (m, p) r ≥ ‖R_p V_p T_θ q − c_p‖ for each member (or cell) and probe, resized units.
        resize: (m, p) ρ_p of each member's own size (or the largest over a cell).
        budget: (m,) ε as an ℓ2 norm over the values of the member.
    """

    covered: Array
    resize: Array
    budget: Array

    def __post_init__(self) -> None:
        if self.covered.shape != self.resize.shape or self.budget.shape != self.covered.shape[:1]:
            raise UsageError(
                f"moves need (m, p), (m, p) and (m,), got {self.covered.shape}, {self.resize.shape}, "
                f"{self.budget.shape}"
            )
        if (self.covered < 0).any() or (self.resize <= 0).any() or (self.budget < 0).any():
            raise UsageError("distances and budgets must be ≥ 0, norms of the resize positive")

    @property
    def reached(self) -> Array:
        """(m, p) r + ρ·ε, rounded up: how far the resized image can be from the representative."""
        return up(self.covered + up(self.resize * self.budget[:, None]))


def some_probe_holds(reach: Array, moves: Moves) -> Bools:
    """T12, *copy*: (m,) whether r_p + ρ_p·ε < D_p in some probe.

    Args:
        reach: (p,) D_p/L_g: the copy radius at the representative, of one item or of something, in resized units.
        moves: of the members.
    """
    return np.any(moves.reached < reach, axis=1)


def every_probe_holds(reach: Array, moves: Moves) -> Bools:
    """T12, *copy of nothing* and "not refused": (m,) whether r_p + ρ_p·ε < reach_p in every probe.

    Args:
        reach: (p,) the smallest "not a copy" radius over all rows, listed or not, at the representative.
        moves: of the members.
    """
    return np.all(moves.reached < reach, axis=1)


@dataclass(frozen=True, slots=True)
class Rivals:
    """What one probe knows of all rows that are not the item's, at the representative; resized units.

    Attributes:
        margins: (m,) upper bounds on their margins as computed anywhere near, descending.
        within: (m,) the least T1 radius (``within_channel``) among the rows up to this one.
    """

    margins: Array
    within: Array

    @staticmethod
    def of(margins: Array, within: Array) -> Rivals:
        """Sort them; ``within`` is each row's own T1 radius, −inf where T1 does not apply."""
        order = np.argsort(-margins, kind="stable")
        return Rivals(margins[order], np.minimum.accumulate(within[order]) if len(order) else within)

    def stay_behind(self, ceiling: Array, moved: Array) -> Bools:
        """(m,) whether each row has a margin below the ceiling, or is held back by T1 for a move this long."""
        above = np.searchsorted(-self.margins, -ceiling, side="right")  # rows with margin ≥ ceiling
        least = np.concatenate([[np.inf], self.within])[above]
        return ~np.isnan(ceiling) & (moved < least)


def stays_ahead(own: Array, rivals: Sequence[Rivals], moves: Moves, *, growth: float) -> Bools:
    """T12, first place over several probes: (m,) whether item i keeps the largest margin.

    At a member, with ε on top, i's margin is at least (D_i,p − μ_p)/ρ_p for each probe p, and row j's in probe s at
    most (D_j,s + μ_s)/ρ_s, where μ = r + ρ·ε. Each row of a rival must be below i's best, or be held back by T1
    against a row of i in the same probe for a move of μ_s (T9). ρ is the member's own, so sizes may differ in a cell.

    Args:
        own: (p,) lower bounds on the item's margins in each probe, as computed near the representative; −inf for none.
        rivals: per probe, all other rows, what is not listed included.
        moves: of members of one size each.
        growth: of the errors of margins (``channels.Margins``), the largest of any probe.
    """
    slower = round_up(1.0 + growth)
    moved = up(moves.reached * slower)
    with np.errstate(invalid="ignore"):
        lead = down(own - moved)
        best = down(lead / moves.resize) - np.abs(lead) / moves.resize * RELATIVE
    level = best.max(axis=1)
    holds = np.isfinite(level)
    for place, one in enumerate(rivals):
        scaled = level * moves.resize[:, place]
        ceiling = down(down(scaled - np.abs(scaled) * RELATIVE) - moved[:, place])
        holds &= one.stay_behind(ceiling, moves.reached[:, place])
    return holds


def cover_radius(difference: Array, *, rounding: float) -> Array:
    """r_C of a cell, or the distance of a member from a representative, rounded up.

    Monotone families: over [a, b] every value of T_θ q lies between lo and hi, so with c = R V (lo + hi)/2 and R V
    without negative entries ‖R V T_θ q − c‖ ≤ ‖R V (hi − lo)/2‖. The same holds for any |T_θ q − c'| ≤ h, value by
    value. Finite families: the distance of the two resized images.

    Args:
        difference: (..., d) R V h, or the difference of two resized images, as computed.
        rounding: bound on the ℓ2 error of one resize as computed; taken three times, for h, c and the member.

    Returns:
        (...) in resized units.
    """
    return up(norm_bounds(difference)[1] + round_up(3.0 * rounding))
