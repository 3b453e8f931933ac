"""Negatives that are there twice: each picture says once how near unrelated ones come.

Two negatives are presumed to be copies of one another by the rule for stored items (``indexer.gaps``). The later of the
two is left out. Which one that is does not depend on how near they are to any row, so those that stay are
exchangeable with a new picture as all were; nothing is chained.
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
