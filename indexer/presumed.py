"""Presumed copies: gallery images that are nearer to each other than unrelated pictures of their kind come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .gallery import Gallery
from .gaps import Gaps, all_of, read_neighbours
from .items import Keys


def presumed_copies(index: Path, gallery: Gallery) -> list[dict[str, Any]]:
    """Items that are set aside as neighbours of others, because both seem to be one picture (``indexer.gaps``).

    Returns:
        For each such item the ``path`` of its first file and of that of one of its copies (``copy_of``), with their
        ids. None are known where thresholds are not measured by gaps.
    """
    known = _known(index, gallery)
    if known is None:
        return []
    firsts = gallery.table.first_rows(np.arange(gallery.items))
    copies = _least([own.presumed for own in known], gallery)
    some = np.flatnonzero(copies != b"")
    others = gallery.table.numbers(copies[some])
    pairs = [(firsts[item], firsts[other]) for item, other in zip(some, others, strict=True) if other >= 0]
    return [_pair(gallery.describe(int(row)), gallery.describe(int(other))) for row, other in pairs]


def _pair(row: dict[str, object], other: dict[str, object]) -> dict[str, Any]:
    return {"path": row["path"], "copy_of": other["path"], "id": row["id"], "copy_of_id": other["id"]}


def _known(index: Path, gallery: Gallery) -> list[Gaps] | None:
    found = []
    for channel in gallery.snapshot.channels:
        threshold = channel.threshold
        if threshold is None or threshold.gaps is None or threshold.neighbours is None:
            return None
        found.append(all_of(gallery.snapshot, read_neighbours(index, threshold.gaps, threshold.neighbours)[0]))
    return found


def _least(columns: list[Keys], gallery: Gallery) -> Keys:
    """(items,) the first name that any row of an item was set aside for."""
    found = np.full(gallery.items, b"~", dtype="S64")  # after every digest
    for column in columns:
        rows = np.flatnonzero((column != b"") & gallery.live)
        order = rows[np.argsort(column[rows], kind="stable")[::-1]]
        items = gallery.groups[order]
        earlier = column[order] <= found[items]
        found[items[earlier]] = column[order][earlier]  # of several writes the last, which is the first name, stays
    found[found == b"~"] = b""
    return found
