"""How far an embedding moved, against how far the proved constant lets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...core.numerics import dot_gamma, norm, round_down, round_up
from ...core.statistics import Quantiles, quantiles_of
from ...retrieval.channel import QueryEmbedding


@dataclass(frozen=True, slots=True)
class Shift:
    """‖f(q + δ) − f(q)‖ in the channel where it comes nearest to its limit.

    Attributes:
        moved: rounded down, so that a broken limit is never an artefact of measuring.
        limit: L·‖δ‖, rounded up; None for an embedder without a proved constant.
        broken: moved by more than the limit and what the float64 path may be mistaken by: a wrong constant.
    """

    moved: float
    limit: float | None
    broken: bool


def shift_of(before: Sequence[QueryEmbedding], after: Sequence[QueryEmbedding], l2: float) -> Shift:
    """Compare the embeddings of two images of one size, channel by channel.

    Args:
        before: of the query.
        after: of the query and a change.
        l2: norm of the change, rounded up.
    """
    shifts = [_shift(a, b, l2) for a, b in zip(before, after, strict=True)]
    return max(shifts, key=lambda one: (one.broken, one.moved / one.limit if one.limit else one.moved))


def _shift(before: QueryEmbedding, after: QueryEmbedding, l2: float) -> Shift:
    change = after.z - before.z
    moved = round_down(float(norm(change)) * (1.0 - 2.0 * dot_gamma(change.size)))
    constant = before.lipschitz
    if constant is None or before.forward_error is None or after.forward_error is None:
        return Shift(max(moved, 0.0), None, False)
    limit = round_up(constant.value * l2)
    allowed = round_up(limit + round_up(before.forward_error + after.forward_error))
    return Shift(max(moved, 0.0), limit, moved > allowed)


def shift_quantiles(moved: npt.NDArray[np.float64]) -> Quantiles:
    """How far embeddings moved, over the images of a group, which has some."""
    found = quantiles_of(moved)
    assert found is not None, "groups are not empty"
    return found


def used_quantiles(moved: npt.NDArray[np.float64], limit: npt.NDArray[np.float64]) -> Quantiles | None:
    """The shares of their limits that these are; None where nothing has one."""
    limited = limit > 0  # NaN for an embedder without a proved constant
    return quantiles_of(moved[limited] / limit[limited])
