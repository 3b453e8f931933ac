"""Negatives that are there twice: who calibrates is told which, for the rate speaks of draws like these.

Two negatives are presumed to be copies of one another by the rule for stored items (``indexer.gaps``); the later of the
two is named. All of them count. To keep one of each would not do: a new picture that is like an earlier one would not
have been kept, so what is kept is no draw like it, and the rate of false matches may be several times what is promised
(where one picture makes 5 % of all that is asked, counting it once says nothing about them).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.progress import Progress, Silent, begin
from ..indexer.gap_blocks import Side
from ..indexer.gap_scan import against_items, against_references
from ..indexer.gaps import Gaps
from ..indexer.reference import Reference
from ..indexer.vectors import Ids, RowStore
from .channel import Float64


def same_pixels(digests: Sequence[str]) -> Ids:
    """(m,) numbers of those whose pixels an earlier one has; of those without a digest nothing is known."""
    seen: set[str] = set()
    return np.array([n for n, one in enumerate(digests) if one and (one in seen or seen.add(one))], dtype=np.int64)


def presumed_repeated(references: Sequence[Reference], zs: Sequence[Float64], progress: Progress) -> Ids:
    """(m,) numbers of those that are presumed to be copies of an earlier one.

    Args:
        references: per channel.
        zs: per channel (n, d) of ``survey.searched``, of the images as they are.
        progress: told that they are compared.
    """
    count = len(zs[0])
    if count < 2:
        return np.zeros(0, dtype=np.int64)
    begin(progress, "comparing negatives with one another", 0)
    sides = [
        Side(RowStore((own.astype(np.float32),), (0, count), own.shape[1], one.score), one, Gaps.unknown(count))
        for one, own in zip(references, zs, strict=True)
    ]
    rows, names = np.arange(count), np.array([f"{n:064x}" for n in range(count)], dtype="S64")
    against_references(sides, rows, names, Silent())
    against_items(sides, rows, names, rows, names, Silent())
    first = sides[0].known.presumed
    return np.flatnonzero((first != b"") & (first < names))
