"""What of an answer is right: shares over queries before any attack, after attacks, and proved; certified radii."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...core.statistics import Quantiles, Share, quantiles_of, share_of
from ...core.units import psnr_of
from ..shared.lines import Line, col
from .columns import Bools, Columns, Floats, radii_in_rmse
from .curves import right_verdict


@dataclass(frozen=True)
class Rates:
    """How often the answer is right.

    Attributes:
        first: recall@1, over queries that are copies of something.
        top10: recall@10, likewise.
        verdict: accuracy of the verdict, over all queries; None where the system gives none.
        companion: the part of it that was the companion's alone before any attack: copies that nothing certified names;
            None where there is no companion. None of it is proved.
    """

    first: Share
    top10: Share
    verdict: Share | None
    companion: Share | None = None


@dataclass(frozen=True)
class Radii:
    """Certified ℓ2 radii of the queries that are answered right, 0 for those without a certificate, and their sizes."""

    l2: Floats
    values: np.ndarray

    @cached_property
    def spread(self) -> Quantiles:
        """As RMSE."""
        found = quantiles_of(radii_in_rmse(self.l2, self.values))
        assert found is not None, "some radius is a number"
        return found


@dataclass(frozen=True)
class RadiusLine(Line):
    """Certified radii over the queries that are answered right; of :class:`Radii`."""

    queries: int = col(lambda radii: len(radii.l2), "how many those are")
    l2: float = col(lambda radii: float(np.median(radii.l2)), "the median radius", "l2", "down")
    rmse: float = col(lambda radii: radii.spread.p50, "the same in 8-bit levels", "rmse", "down")
    # RMSE/255 is ℓ2/√n, for n = 255² too.
    psnr: float | None = col(
        lambda radii: psnr_of(radii.spread.p50, 255**2), "the same; None where the radius is 0", "dB", "up"
    )
    spread: Quantiles = col(lambda radii: radii.spread, "quantiles of the radius", "rmse", "down")


@dataclass(frozen=True)
class _Right:
    """Per query, what of its answer is right."""

    first: Bools
    top10: Bools
    verdict: Bools
    companion: Bools


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
        before.verdict & ~(flipped := fell(images["attacked_verdict"] != right_verdict(images))),
        before.companion & ~flipped,
    )
    return _rates(clean, left)


def proved_rates(clean: Columns, l2: np.ndarray) -> Rates:
    """What is right and certified beyond these norms."""
    before = _right(clean)
    first = before.first & (clean.radius("radius_top1") > l2)
    verdict = before.verdict & (clean.radius("radius_verdict") > l2)
    return _rates(clean, _Right(first, first, verdict, np.zeros_like(verdict)))


def radius_line(clean: Columns, name: str) -> RadiusLine | None:
    """Radii of the first place or of the verdict, by the name of their column; None without certificates."""
    right = _right(clean)
    answered = clean.where(right.first if name == "radius_top1" else right.verdict)
    if np.isnan(answered[name]).all():
        return None
    return RadiusLine.of(Radii(answered.radius(name), answered.values))


def certified(clean: Columns) -> bool:
    """Whether any certificate was given."""
    return not bool(np.isnan(clean["radius_top1"]).all() and np.isnan(clean["radius_verdict"]).all())


def certificates(images: Columns) -> int:
    """Images inside a certified radius."""
    return int((images["within_top1"] | images["within_top10"] | images["within_verdict"]).sum())


def _right(clean: Columns) -> _Right:
    verdict = clean["clean_verdict"] == right_verdict(clean)
    by_companion = verdict & np.asarray(clean["clean_tier"] == "companion", dtype=np.bool_)
    return _Right(clean["clean_first"], clean["clean_top10"], verdict, by_companion)


def _rates(clean: Columns, right: _Right) -> Rates:
    """Shares of what is right; strangers have a verdict and no recall."""
    known, judged = ~clean["stranger"], clean["clean_verdict"] != None  # noqa: E711 - an array is compared
    return Rates(
        first=share_of(right.first[known]),
        top10=share_of(right.top10[known]),
        verdict=share_of(right.verdict[judged]) if judged.any() else None,
        companion=share_of(right.companion[judged]) if judged.any() and _beside_companion(clean) else None,
    )


def _beside_companion(clean: Columns) -> bool:
    return bool((clean["clean_tier"] != None).any())  # noqa: E711 - an array is compared
