"""The decision that is certified: what the float64 path computes at an image, attacked or not.

A certificate promises what *these functions* return at every image inside its radius, so whoever ranks or
judges must call them (docs/theory.md, Rounding). They use only additions, products, one quotient and one root,
in a fixed order: the same bits for one row or many, on any number of threads.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core.numerics import dot, norm, tree_sum
from ..core.types import Score
from .rounding import Array, check_embedding, check_rows


def ranking_scores(z: Array, rows: Array, score: Score) -> Array:
    """Scores to rank by, larger is better.

    Args:
        z: (d,) query embedding, not normalised.
        rows: (m, d); unit rows for cosine.
        score: cosine → ⟨z, u⟩ (‖z‖ is left in: dividing by it could merge two scores); euclidean → −‖z−e‖².

    Returns:
        (m,) float64.

    Raises:
        UsageError: for a zero embedding under cosine, NaN or infinity, or shapes that do not fit.
    """
    check_embedding(z, score)
    check_rows(rows, z.shape[0])
    if score == "cosine":
        return dot(z, rows)
    return -tree_sum(np.square(z - rows))


def ranking(scores: Array, row_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions in ranked order: score descending, ties by row id ascending.

    Args:
        scores: (m,) of :func:`ranking_scores`.
        row_ids: (m,) distinct ids.

    Returns:
        (m,) positions into the two arrays.
    """
    return np.lexsort((row_ids, -scores))


def verdict_values(z: Array, rows: Array, score: Score) -> Array:
    """(m,) what the threshold is compared with: cosine → ⟨z, u⟩/‖z‖; euclidean → ‖z−e‖.

    Raises:
        UsageError: as :func:`ranking_scores`.
    """
    check_embedding(z, score)
    check_rows(rows, z.shape[0])
    return dot(z, rows) / norm(z) if score == "cosine" else norm(z - rows)


def accepted(values: Array, score: Score, threshold: float | Array) -> npt.NDArray[np.bool_]:
    """(m,) which rows the query is a copy of: cosine ≥ τ, distance ≤ τ; values of :func:`verdict_values`.

    τ is one number, or (m,), one for each row.
    """
    return values >= threshold if score == "cosine" else values <= threshold
