"""What a copy benchmark makes of listed images: a digest of the listing, and halves by seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from ...core.files import digest_json
from ...indexer.entries import Entry

In = TypeVar("In")


def listing_digest(entries: Iterable[Entry]) -> str:
    """Changes with any name, size or time of change."""
    return digest_json([[e.name, e.size, e.mtime_ns] for e in entries])


def halves(items: Sequence[In], *, seed: int, purpose: str) -> tuple[list[In], list[In]]:
    """Two halves by seed, each in the order of ``items``; the second is the larger one of an odd number."""
    rng = np.random.default_rng(int(digest_json([purpose, seed])[:15], 16))
    chosen = np.zeros(len(items), dtype=np.bool_)
    chosen[rng.permutation(len(items))[: len(items) // 2]] = True
    return [i for i, c in zip(items, chosen, strict=True) if c], [
        i for i, c in zip(items, chosen, strict=True) if not c
    ]
