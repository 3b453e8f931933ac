"""What of an answer is right: shares over queries before any attack, after attacks, and proved; certified radii."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.statistics import Quantiles, Share, quantiles_of, share_of
from ...core.units import psnr_of
from .columns import Bools, Columns, radii_in_rmse
from .curves import right_verdict


@dataclass(frozen=True)
class Rates:
    """How often the answer is right.

    Attributes:
        first: recall@1, over queries that are copies of something.
        top10: recall@10, likewise.
        verdict: accuracy of the verdict, over all queries; None where the system gives none.
    """

    first: Share
    top10: Share
    verdict: Share | None


@dataclass(frozen=True)
class RadiusLine:
    """Certified radii over the queries that are answered right (0 for those without a certificate).

    Attributes:
        queries: how many those are.
        l2, rmse, psnr: the median radius, RMSE in 8-bit levels; psnr is None where that is 0.
        spread: quantiles of the radius as RMSE.
    """

    queries: int
    l2: float
    rmse: float
    psnr: float | None
    spread: Quantiles


@dataclass(frozen=True)
class _Right:
    """Per query, what of its answer is right."""

    first: Bools
    top10: Bools
    verdict: Bools


def clean_rates(clean: Columns) -> Rates:
    """Before any attack."""
    return _rates(clean, _right(clean))


def rates_left(clean: Columns, images: Columns) -> Rates:
    """What stays right under all of these images."""

    def fell(lost: Bools) -> Bools:
        return np.isin(clean["case"], images["case"][lost])

    before = _right(clean)
    left = _Right(
        before.first & ~fell(~images["attacked_first"]),
        before.top10 & ~fell(~images["attacked_top10"]),
        before.verdict & ~fell(images["attacked_verdict"] != right_verdict(images)),
    )
    return _rates(clean, left)


def proved_rates(clean: Columns, l2: np.ndarray) -> Rates:
    """What is right and certified beyond these norms."""
    before = _right(clean)
    first = before.first & (clean.radius("radius_top1") > l2)
    return _rates(clean, _Right(first, first, before.verdict & (clean.radius("radius_verdict") > l2)))


def radius_line(clean: Columns, name: str) -> RadiusLine | None:
    """Radii of the first place or of the verdict, by the name of their column; None without certificates."""
    right = _right(clean)
    answered = clean.where(right.first if name == "radius_top1" else right.verdict)
    if np.isnan(answered[name]).all():
        return None
    l2 = answered.radius(name)
    spread = quantiles_of(radii_in_rmse(l2, answered.values))
    assert spread is not None, "some radius is a number"
    # RMSE/255 is ℓ2/√n, for n = 255² too.
    return RadiusLine(len(answered), float(np.median(l2)), spread.p50, psnr_of(spread.p50, 255**2), spread)


def certified(clean: Columns) -> bool:
    """Whether any certificate was given."""
    return not bool(np.isnan(clean["radius_top1"]).all() and np.isnan(clean["radius_verdict"]).all())


def certificates(images: Columns) -> int:
    """Images inside a certified radius."""
    return int((images["within_top1"] | images["within_top10"] | images["within_verdict"]).sum())


def _right(clean: Columns) -> _Right:
    return _Right(clean["clean_first"], clean["clean_top10"], clean["clean_verdict"] == right_verdict(clean))


def _rates(clean: Columns, right: _Right) -> Rates:
    """Shares of what is right; strangers have a verdict and no recall."""
    known, judged = ~clean["stranger"], clean["clean_verdict"] != None  # noqa: E711 - an array is compared
    return Rates(
        first=share_of(right.first[known]),
        top10=share_of(right.top10[known]),
        verdict=share_of(right.verdict[judged]) if judged.any() else None,
    )
