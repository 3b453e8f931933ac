"""Records as arrays, filtered and grouped together: what every number of an audit is counted from."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...core.units import to_l2
from ..shared.frame import Bools, Floats, Frame

RADIUS = "radius"
"""Unit of budgets that are multiples of each query's own certified radius."""
_CASE = "case"


class Columns(Frame):
    """Records of an audit as arrays. The column ``case`` numbers the pairs of query and edit."""

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """All rows of a table."""
        whole = super().of(table)
        data = {**whole._data, _CASE: whole.numbered("query", "edit")}
        return cls(data, whole._codes, whole._places)

    @property
    def values(self) -> Floats:
        """Number of values 3·H·W per row."""
        return 3.0 * self["width"] * self["height"]


def size_in_l2(columns: Columns, budget: float, unit: str, *, inside: bool = False) -> Floats:
    """A budget as the l2 norm it allows in each row; NaN where it is a multiple of a radius that is not there.

    Rounded up, as what is proved must cover it, or down, as what an attack did must be ``inside`` it.
    """
    if unit == RADIUS:
        own = np.where(columns["goal"] == "verdict", columns["radius_verdict"], columns["radius_top1"])
        own = np.where(columns["goal"] == "rank10", columns["radius_top10"], own)
        return budget * own
    sizes, place = np.unique(columns.values, return_inverse=True)
    return np.asarray([to_l2(budget, unit, int(n), inside=inside) for n in sizes])[place]  # type: ignore[arg-type]


def ball_order(budget: float, unit: str) -> float:
    """Orders budgets of one unit from the smallest ball to the largest; in dB the larger number is the smaller ball."""
    return budget if unit == RADIUS else to_l2(budget, unit, 1)  # type: ignore[arg-type]


def within(columns: Columns, budget: float, unit: str) -> Bools:
    """Which images count at a budget: those given no more, and those whose realised change is within it.

    The first part leaves out attacks that are run once, at the largest budget or without a ball.
    """
    budgets, place = np.unique(columns["budget"], return_inverse=True)
    smaller = np.asarray([ball_order(b, unit) <= ball_order(budget, unit) for b in budgets], dtype=np.bool_)
    return (smaller[place] & ~run_once(columns)) | (columns["l2"] <= size_in_l2(columns, budget, unit, inside=True))


def run_once(columns: Columns) -> Bools:
    """Images of attacks whose budget says nothing of how far they went: minimal ones, and those without an lp ball."""
    return columns["minimal"] | ((columns["norm"] != "l2") & (columns["norm"] != "linf"))


def in_rmse(l2: npt.NDArray[np.float64], values: Floats) -> Floats:
    """Norms as root mean square changes in 8-bit levels, to nearest."""
    return 255.0 * l2 / np.sqrt(values)


def radii_in_rmse(l2: npt.NDArray[np.float64], values: Floats) -> Floats:
    """Certified radii as root mean square changes in 8-bit levels, rounded down."""
    found = in_rmse(l2, values)
    for _ in range(3):  # the square root, the product and the quotient err by at most half a unit each
        found = np.nextafter(found, -np.inf)
    return np.maximum(found, 0.0)
