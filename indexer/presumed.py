"""Presumed copies: gallery images that are nearer to each other than unrelated pictures of their kind come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .gallery import Gallery
from .gaps import Gaps, all_of, read_neighbours
from .items import Keys

LISTED = 1000
"""Pairs that are named, at most; all are counted."""


def presumed_copies(index: Path, gallery: Gallery) -> dict[str, Any] | None:
    """Items that are set aside as neighbours of others, because both seem to be one picture (``indexer.gaps``).

    Returns:
        ``items``: how many have a presumed copy; ``pairs``: each of the first ``LISTED`` with the path of one such
        copy. None where the thresholds are not measured by gaps.
    """
    known = _known(index, gallery)
    if known is None:
        return None
    names = gallery.table.keys(np.arange(gallery.items))
    firsts = gallery.table.first_rows(np.arange(gallery.items))
    copies = _least([own.presumed for own in known], gallery, names)
    some = np.flatnonzero(copies != b"")
    others = gallery.table.numbers(copies[some])
    pairs = [(int(item), int(other)) for item, other in zip(some, others, strict=True) if other >= 0]
    paths = gallery.catalog["path"]
    return {
        "items": len(pairs),
        "pairs": [
            {"path": paths[int(firsts[item])].as_py(), "copy_of": paths[int(firsts[other])].as_py()}
            for item, other in pairs[:LISTED]
        ],
    }


def _known(index: Path, gallery: Gallery) -> list[Gaps] | None:
    found = []
    for channel in gallery.snapshot.channels:
        threshold = channel.threshold
        if threshold is None or threshold.gaps is None or threshold.neighbours is None:
            return None
        found.append(all_of(gallery.snapshot, read_neighbours(index, threshold.gaps, threshold.neighbours)[0]))
    return found


def _least(columns: list[Keys], gallery: Gallery, names: Keys) -> Keys:
    """(items,) the first name that any row of an item was set aside for."""
    found = np.full(len(names), b"~", dtype="S64")  # after every digest
    for column in columns:
        rows = np.flatnonzero((column != b"") & gallery.live)
        order = rows[np.argsort(column[rows], kind="stable")[::-1]]
        items = gallery.groups[order]
        earlier = column[order] <= found[items]
        found[items[earlier]] = column[order][earlier]  # of several writes the last, which is the first name, stays
    found[found == b"~"] = b""
    return found
