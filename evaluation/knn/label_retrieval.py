"""Instance retrieval by label: is a row of the query's label first, among the first k, and proved to stay there?"""

from __future__ import annotations

from dataclasses import dataclass

from ...retrieval.probe import Bounds
from .search import Neighbours


@dataclass(frozen=True)
class Retrieved:
    """What retrieval by label makes of one query.

    Attributes:
        first: a row of the right label is first.
        among: a row of the right label is among the first k.
        average_precision: of the whole ranking, in [0, 1].
        radius_first: certified ℓ2 radius, in pixels, of ``first`` (T3, the label's rows being one item's views); None
            where withheld, 0 where it is not so.
        radius_among: the same of ``among`` (T2, whichever row of the label stays).
    """

    first: bool
    among: bool
    average_precision: float
    radius_first: float | None
    radius_among: float | None


NOTHING = Retrieved(False, False, 0.0, None, None)
"""Of a query that cannot be compared with any row."""


def retrieve(found: Neighbours, label: int, k: int, proof: Bounds | None) -> Retrieved:
    """Judge the ranking of one query.

    Args:
        found: the ranked rows.
        label: number of the right label.
        k: first places.
        proof: None for a model without certificates.
    """
    labels = found.labels[:k]
    return Retrieved(
        first=bool(labels[0] == label),
        among=bool((labels == label).any()),
        average_precision=found.average_precision(label),
        radius_first=None if proof is None else found.radius(label, proof, k=1, needed=1),
        radius_among=None if proof is None else found.radius(label, proof, k=k, needed=1),
    )
