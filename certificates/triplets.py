"""T6, whoever moves, for both scores, and for many triplets at once (docs/theory.md, Pairs and triplets)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.numerics import UNIT64, dot, gamma, norm, round_up
from ..core.types import Score, UpperBound
from .rounding import Array, check_budget, check_rows, down, gammas, norm_bounds, to_pixels, up

Bools = npt.NDArray[np.bool_]
Mover = Literal["reference", "prey", "other", "all"]
"""Which images move: the reference, the candidate now judged nearer, the other one, or all three by as much each."""
MOVERS: tuple[Mover, ...] = get_args(Mover)

SHORTEST = 1e-9
"""An embedding this short is rounding of the float64 path, not a direction: cosine neither starts nor ends there."""
_HALVINGS = 80


def choices(reference: Array, left: Array, right: Array, *, score: Score) -> npt.NDArray[np.int8]:
    """Which candidate is nearer, in float64.

    Args:
        reference: (n, d) embeddings, not normalised.
        left: (n, d) of the left candidates.
        right: (n, d) of the right ones.
        score: cosine or euclidean.

    Returns:
        (n,) +1 right, −1 left, 0 for a tie, or where cosine meets an embedding without a direction.
    """
    for rows in (reference, left, right):
        check_rows(rows, reference.shape[-1])
    if score == "euclidean":
        lead = norm(reference - left) - norm(reference - right)
        return np.sign(lead).astype(np.int8)
    short = (np.stack([norm(rows) for rows in (reference, left, right)]) <= SHORTEST).any(axis=0)
    lead = dot(reference, _units(right)) - dot(reference, _units(left))
    return np.where(short, 0, np.sign(lead)).astype(np.int8)


def triplet_radii(
    reference: Array,
    prey: Array,
    other: Array,
    *,
    score: Score,
    moving: Mover,
    lipschitz: UpperBound,
    forward_error: float,
) -> Array:
    """T6 in pixels, rigorous, for n triplets.

    Guarantee: while each image that moves does so by ‖δ‖₂ < r, the prey stays nearer than the other candidate, for
    the distance computed in float64 in any order of summation (``metrics.embedders``), and for
    ``decision.ranking_scores``. Norm: ℓ2 over all values of the triplet's images, pixels in [0, 1]. Assumptions: f is
    L-Lipschitz at the size of these images; ``forward_error`` bounds ‖computed f − f‖ at every image; images that do
    not move may be embedded anew. Units: pixels. Source: docs/theory.md; for cosine with unnormalised embeddings.

    Args:
        reference: (n, d) computed embeddings of the references, not normalised.
        prey: (n, d) of the candidates now judged nearer, not normalised.
        other: (n, d) of the other ones.
        score: cosine or euclidean.
        moving: who moves.
        lipschitz: proved bound on L of resize and network together.
        forward_error: e ≥ 0 in embedding units.

    Returns:
        (n,) ≥ 0; 0 where nothing is proved: a tie, the other one nearer, an embedding without a direction (cosine).

    Raises:
        UsageError: for inputs no theorem holds for.
    """
    check_budget(lipschitz, forward_error)
    still = round_up(2.0 * forward_error)
    reach = triplet_reach(reference, prey, other, score=score, moving=moving, still=still)
    return np.maximum(0.0, to_pixels(reach, lipschitz, forward_error))


def triplet_reach(
    reference: Array, prey: Array, other: Array, *, score: Score, moving: Mover, still: float = 0.0
) -> Array:
    """T6 in embedding units: each embedding that moves may do so by less than this, and the prey stays nearer.

    Args:
        reference: (n, d) computed embeddings, not normalised.
        prey: (n, d) of the candidates now judged nearer.
        other: (n, d) of the other ones.
        score: cosine or euclidean.
        moving: who moves.
        still: how far the embeddings of the other images may lie from those given, being computed anew.

    Returns:
        (n,) the largest reach found by bisection for which the sufficient condition was checked with all rounding
        against it; it holds for every smaller one too, since the condition is monotone. 0 where none was found.

    Raises:
        UsageError: for unknown words, or shapes that do not fit.
    """
    if moving not in MOVERS or score not in ("cosine", "euclidean"):
        raise UsageError(f"unknown setting {moving!r} or score {score!r}; choose {', '.join(MOVERS)}")
    for rows in (reference, prey, other):
        check_rows(rows, reference.shape[-1])
    if len({len(rows) for rows in (reference, prey, other)}) != 1:
        raise UsageError(f"triplets need as many of each, got {len(reference)}, {len(prey)} and {len(other)}")
    corner = (_Cosine if score == "cosine" else _Euclidean).of(reference, prey, other)
    return _largest(lambda reach: corner.holds(_Steps.of(moving, reach, still)), corner.farthest)


def published_radii(
    sound: Array, reference: Array, *, lipschitz: UpperBound, forward_error: float
) -> tuple[Array, Bools]:
    """T6 as LipSim prints it (arXiv 2310.18274, Theorem 1): the sound radius of the reference divided by ‖f(x)‖.

    The paper normalises f and takes the result for L-Lipschitz. z/‖z‖ is so only where ‖z‖ ≥ 1 on the whole ball, and
    the network does not ensure it: where ‖f‖ ≥ 1 is not proved this is a number of the paper's and no certificate.

    Args:
        sound: (n,) :func:`triplet_radii` with the reference moving, cosine.
        reference: (n, d) its embeddings; of no length above SHORTEST gives 0.
        lipschitz: proved bound on L.
        forward_error: e ≥ 0 in embedding units.

    Returns:
        (n,) pixels, and (n,) whether ‖f‖ ≥ 1 is proved on the ball of that radius: ‖z‖ − e − L·r ≥ 1.
    """
    check_budget(lipschitz, forward_error)
    low, high = norm_bounds(reference)
    usable = low > SHORTEST
    radii = np.where(usable, np.maximum(0.0, down(sound / np.where(usable, high, 1.0))), 0.0)
    least = down(down(low - forward_error) - up(lipschitz.value * radii))
    return radii, least >= 1.0


@dataclass(frozen=True)
class _Steps:
    """(n,) or a number: how far each of the three embeddings may go."""

    reference: Array | float
    prey: Array | float
    other: Array | float

    @classmethod
    def of(cls, moving: Mover, reach: Array, still: float) -> _Steps:
        return cls(*(reach if moving in (who, "all") else still for who in ("reference", "prey", "other")))


@dataclass(frozen=True)
class _Cosine:
    """The angles of n triplets, times ‖z‖: a = ‖z‖·cos φ, b = ‖z‖·sin φ for each candidate."""

    length: Array
    low: Array
    sizes: tuple[Array, Array]
    along: tuple[Array, Array]
    across: tuple[Array, Array]
    width: Array
    dim: int

    @classmethod
    def of(cls, z: Array, prey: Array, other: Array) -> _Cosine:
        units = _units(prey), _units(other)
        along = dot(z, units[0]), dot(z, units[1])
        across = tuple(norm(z - a[:, None] * u) for a, u in zip(along, units, strict=True))
        low, high = norm_bounds(z)
        sizes = norm_bounds(prey)[0], norm_bounds(other)[0]
        return cls(high, low, sizes, along, (across[0], across[1]), norm(units[0] - units[1]), z.shape[-1])

    @property
    def farthest(self) -> Array:
        """No direction is left beyond; a candidate that does not move limits nothing, which the condition knows."""
        return np.maximum(self.low, np.maximum(*self.sizes))

    def holds(self, steps: _Steps) -> Bools:
        """Whether the prey's angle surely stays the smaller one (docs/theory.md, T6, cosine)."""
        g = gammas(self.dim, 5)
        doubt = 9.0 * g * self.length  # of each of the four numbers below
        turned = [self._turned(0, steps.prey), self._turned(1, steps.other)]
        (near_cos, near_sin, near_chord), (far_cos, far_sin, far_chord) = turned
        fine = self._alive(steps) & self._in_range(near_sin, far_sin, doubt)
        arithmetic = _cosine_doubt(self.dim) * (self.length + steps.reference)
        width = np.minimum(2.0, self.width + near_chord + far_chord) * (1.0 + 4.0 * g) + 4.0 * g
        lead = near_cos - far_cos - 2.0 * doubt
        apart = 0.5 * np.hypot(near_cos - far_cos, near_sin - far_sin) - 3.0 * doubt
        need = steps.reference * (1.0 + 4.0 * g) + 1e-140
        by_plane = lead - arithmetic > need * width
        by_angle = 2.0 * (apart - need) * np.maximum(apart, 0.0) > arithmetic * self.length * (1.0 + 4.0 * g)
        return fine & (lead > 0) & (by_plane | by_angle)

    def _turned(self, which: int, step: Array | float) -> tuple[Array, Array, Array]:
        """(cos, sin)·‖z‖ of the candidate's angle after the worst turn by arcsin(step/size), and the chord of it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            sine = np.minimum(1.0, np.nan_to_num(up(step / self.sizes[which]), nan=1.0, posinf=1.0))
        cosine = np.sqrt((1.0 - sine) * (1.0 + sine))
        a, b = self.along[which], self.across[which]
        sign = 1.0 if which == 0 else -1.0  # the prey turns away from the reference, the other one towards it
        chord = sine * np.sqrt(2.0 / (1.0 + cosine))
        return a * cosine - sign * b * sine, b * cosine + sign * a * sine, chord

    def _in_range(self, near_sin: Array, far_sin: Array, doubt: Array) -> Bools:
        """Neither angle has passed 180° or 0°, where a further turn would help instead of harm."""
        below = (self.along[0] > doubt) | (near_sin > doubt)
        above = (self.along[1] < -doubt) | (far_sin > doubt)
        return below & above

    def _alive(self, steps: _Steps) -> Bools:
        """Every embedding keeps a direction."""
        pairs = ((self.low, steps.reference), (self.sizes[0], steps.prey), (self.sizes[1], steps.other))
        return np.logical_and.reduce([down(size - step) > SHORTEST for size, step in pairs])


@dataclass(frozen=True)
class _Euclidean:
    """The sides of n triangles: bounds on both distances, and between the candidates."""

    near: Array
    far: Array
    far_high: Array
    width: Array
    dim: int

    @classmethod
    def of(cls, z: Array, prey: Array, other: Array) -> _Euclidean:
        far_low, far_high = norm_bounds(z - other)
        return cls(norm_bounds(z - prey)[1], far_low, far_high, norm_bounds(prey - other)[1], z.shape[-1])

    @property
    def farthest(self) -> Array:
        """Any mover that goes so far can sit down on its rival."""
        return up(self.near + self.far_high)

    def holds(self, steps: _Steps) -> Bools:
        """Whether the prey's distance surely stays the smaller one (docs/theory.md, T6, Euclidean)."""
        near, far = up(self.near + steps.prey), down(self.far - steps.other)
        width = up(up(self.width + steps.prey) + steps.other)
        moved = up(2.0 * np.asarray(steps.reference))
        most = up(up(up(self.near + self.far_high) + moved) + up(np.asarray(steps.prey) + steps.other))
        doubt = _euclidean_doubt(self.dim)
        gap = down(far - near)
        by_triangle = down(gap - moved) > up(doubt * most) + 1e-140
        by_plane = down(gap * down(far + near)) > up(up(moved * width) + up(doubt * up(most * most))) + 1e-300
        return (far > 0) & (gap > 0) & (by_triangle | by_plane)


def _units(rows: Array) -> Array:
    """Unit rows; a row of no length stays as it is, and is refused elsewhere."""
    lengths = norm(rows)[:, None]
    return np.divide(rows, lengths, out=rows.copy(), where=lengths > 0)


def _cosine_doubt(dim: int) -> float:
    """How far 1 − cos of two computed embeddings lies from the true one, for both candidates, any order of sums."""
    return round_up(2.0 * round_up(gamma(3 * dim + 16) + 2.0 * UNIT64))


def _euclidean_doubt(dim: int) -> float:
    """Relative error of a computed distance or its square, any order of sums; doubled, since squares are compared."""
    return round_up(2.0 * gamma(dim + 8))


def _largest(holds: Callable[[Array], Bools], farthest: Array) -> Array:
    """(n,) per triplet the largest reach for which ``holds`` was seen to be true; 0 for none."""
    low, high = np.zeros_like(farthest), farthest.copy()
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        good = holds(middle)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return low
