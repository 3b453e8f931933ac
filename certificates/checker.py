"""An independent checker: claims are tested with exact integers, sharing no arithmetic with what made them.

Every float64 is a fraction with a power-of-two denominator, so ⟨z, w⟩ and ‖w‖² are computed without any
rounding, and "r·L ≤ h" becomes a comparison of integers (both sides squared). Slow and meant to be: it is for
tests and soundness audits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.types import Score

Numbers = Sequence[float] | npt.NDArray[np.float64]
_DIGITS = 120


@dataclass(frozen=True, slots=True)
class Violation:
    """A claim that the exact numbers refute: which row, and what was claimed."""

    row: int
    claimed: float


def top1_violations(
    z: Numbers, winner: Numbers, rivals: Iterable[Numbers], *, score: Score, radius: float, lipschitz: float
) -> list[Violation]:
    """Rivals whose exact half-space distance is below radius·L (T1). An empty list accepts the claim.

    Args:
        z: (d,) query embedding.
        winner: (d,) row i, a unit row for cosine.
        rivals: rows j, each (d,).
        score: cosine or euclidean.
        radius: claimed, in pixels.
        lipschitz: L.

    Raises:
        UsageError: for a negative or non-finite claim.
    """
    _check_claim(radius, lipschitz)
    point, own = _exact(z), _exact(winner)
    reach = Fraction(radius) * Fraction(lipschitz)
    found = (j for j, row in enumerate(rivals) if not _reaches(point, own, _exact(row), score, reach))
    return [Violation(j, radius) for j in found]


def half_space_distance(z: Numbers, winner: Numbers, rival: Numbers, score: Score) -> Decimal:
    """The exact h_ij of T1, rounded once to 120 digits; 0 for identical rows."""
    numerator, width_squared = _half_space(_exact(z), _exact(winner), _exact(rival), score)
    if width_squared == 0:
        return Decimal(0)
    with localcontext(Context(prec=_DIGITS)):
        return _decimal(numerator) / _decimal(width_squared).sqrt()


def signed_distance(z: Numbers, row: Numbers, *, score: Score, threshold: float) -> Decimal:
    """The exact T4/T5 distance in embedding units, positive inside, to about 100 digits (u is made exactly unit).

    Written with chords and cosines of the difference, not as ``verdicts`` writes it: sin(θ − φ) by the addition
    theorem, cos φ = ⟨z,u⟩/(‖z‖‖u‖), sin φ = √(1 − cos²φ).
    """
    point, own = _exact(z), _exact(row)
    with localcontext(Context(prec=_DIGITS)):
        if score == "euclidean":
            return Decimal(threshold) - _decimal(_squared([a - b for a, b in zip(point, own, strict=True)])).sqrt()
        length, width = _squared(point), _squared(own)
        product = _dot(point, own)
        cos_phi = _decimal(product) / (_decimal(length) * _decimal(width)).sqrt()
        sin_phi = (_decimal(1 - product**2 / (length * width))).sqrt()
        tau = Decimal(threshold)
        sin_theta = (1 - tau * tau).sqrt()
        return _decimal(length).sqrt() * _sine(tau, sin_theta, cos_phi, sin_phi)


def _sine(cos_a: Decimal, sin_a: Decimal, cos_b: Decimal, sin_b: Decimal) -> Decimal:
    if cos_a * cos_b + sin_a * sin_b <= 0:  # 90° or more apart: the apex is nearest
        return Decimal(1) if cos_b > cos_a else Decimal(-1)
    return sin_a * cos_b - cos_a * sin_b


def _reaches(z: list[Fraction], own: list[Fraction], rival: list[Fraction], score: Score, reach: Fraction) -> bool:
    numerator, width_squared = _half_space(z, own, rival, score)
    if width_squared == 0:
        return reach == 0
    return reach == 0 or (numerator > 0 and reach**2 * width_squared <= numerator**2)


def _half_space(
    z: list[Fraction], own: list[Fraction], rival: list[Fraction], score: Score
) -> tuple[Fraction, Fraction]:
    """(⟨z, w⟩ or its Euclidean twin, ‖w‖²), exactly."""
    width_squared = _squared([a - b for a, b in zip(own, rival, strict=True)])
    if score == "cosine":
        return _dot(z, own) - _dot(z, rival), width_squared
    near = _squared([a - b for a, b in zip(z, own, strict=True)])
    far = _squared([a - b for a, b in zip(z, rival, strict=True)])
    return (far - near) / 2, width_squared


def _exact(numbers: Numbers) -> list[Fraction]:
    return [Fraction(float(x)) for x in numbers]


def _dot(a: list[Fraction], b: list[Fraction]) -> Fraction:
    """Exact inner product over one common power-of-two denominator: integer work, no gcd per term."""
    left, right = _integers(a), _integers(b)
    total = sum(x * y for x, y in zip(left[0], right[0], strict=True))
    return Fraction(total, left[1] * right[1])


def _integers(a: list[Fraction]) -> tuple[list[int], int]:
    scale = max((x.denominator for x in a), default=1)
    return [x.numerator * (scale // x.denominator) for x in a], scale


def _squared(a: list[Fraction]) -> Fraction:
    return _dot(a, a)


def _decimal(x: Fraction) -> Decimal:
    return Decimal(x.numerator) / Decimal(x.denominator)


def _check_claim(radius: float, lipschitz: float) -> None:
    if not (0 <= radius < float("inf") and 0 < lipschitz < float("inf")):
        raise UsageError(f"a claim needs a finite radius ≥ 0 and L > 0, got {radius} and {lipschitz}")
