"""Gaps of a snapshot, measured anew or brought up to date: the same numbers either way (see ``indexer.gaps``).

A gap is a least distance over pairs. New items can only lower it: old rows are compared with them alone. Where an item
is gone, the rows that it limited, or was set aside for, are measured again; the others never depended on it.

At most ``REFERENCES`` items are neighbours: those whose pixels' SHA-256 begins with enough zeros (the sample's *level*
says how many bits), so that whether an item is one does not depend on what else is there, until the gallery's size
passes the next power of two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..core.files import digest_json
from ..core.progress import Progress, Silent
from .gallery import Gallery
from .gap_blocks import Side
from .gap_scan import against_items, against_references
from .gaps import KIND, Gaps
from .items import Keys, as_keys
from .reference import Reference
from .vectors import Ids

REFERENCES = 65_536
_RULE = 3
"""Of ``indexer.gaps``; raised whenever the rule changes, so that what older ones said is measured again."""


def level_of(items: int) -> int:
    """How many zero bits make an item a neighbour of others, in a gallery of so many."""
    return max(0, math.ceil(math.log2(items / REFERENCES))) if items > 0 else 0


def basis_of(gallery: Gallery, references: Sequence[Reference]) -> str:
    """All but the rows that gaps depend on: gaps of another basis are measured anew."""
    told = [gallery.snapshot.declared, *(reference.digest for reference in references)]
    return digest_json([_RULE, level_of(gallery.items), *told])


def measure_gaps(
    gallery: Gallery,
    references: Sequence[Reference],
    old: Sequence[Gaps] | None = None,
    progress: Progress | None = None,
) -> tuple[Gaps, ...]:
    """The gaps of every row, channel by channel.

    Args:
        gallery: an opened snapshot.
        references: one for each channel.
        old: what is known of these rows, measured on the same basis; None for nothing.
        progress: told how far it is, in items.
    """
    rows, names = _rows(gallery)
    known = tuple(old) if old is not None else tuple(Gaps.unknown(len(rows)) for _ in references)
    news = _news(gallery, rows, names, known)
    sides = [
        Side(store, reference, _copy(own, gallery.live))
        for store, reference, own in zip(gallery.stores, references, known, strict=True)
    ]
    originals = gallery.originals()
    sample = originals[_in_sample(rows[originals], level_of(gallery.items))]
    again = np.flatnonzero(news.again[gallery.groups] & gallery.live)
    kept = np.flatnonzero(~news.again[gallery.groups] & gallery.live)
    fresh = sample[news.fresh[gallery.groups[sample]]]
    told = progress or Silent()
    against_references(sides, again, rows[again], told)
    against_items(sides, again, rows[again], sample, rows[sample], told)
    against_items(sides, kept, rows[kept], fresh, rows[fresh], told)
    return tuple(side.known for side in sides)


@dataclass(frozen=True, slots=True)
class _News:
    """(items,) which items are new or changed, and which must be measured again; one more place, for no item."""

    fresh: np.ndarray
    again: np.ndarray


def _news(gallery: Gallery, rows: Keys, names: Keys, known: Sequence[Gaps]) -> _News:
    held = np.logical_and.reduce([own.reference >= 0.0 for own in known])
    fresh = np.zeros(len(names) + 1, dtype=np.bool_)
    fresh[gallery.groups[gallery.live & ~held]] = True
    died = np.unique(rows[~gallery.live & held])
    fresh[:-1] |= np.isin(names, died)
    changed = np.union1d(died, rows[gallery.live & held & fresh[gallery.groups]])
    again = fresh.copy()
    for own in known:
        for column in (own.limit, own.presumed):
            touched = gallery.live & (np.isin(column, changed) | _is_gone(column, names))
            again[gallery.groups[touched]] = True
    fresh[-1] = again[-1] = False
    return _News(fresh, again)


def _is_gone(column: Keys, names: Keys) -> np.ndarray:
    """(rows,) whether an item is named that is not here: its segment may have been dropped, rows and all."""
    item = (column != b"") & ~np.char.startswith(column, KIND.encode())
    return item & ~np.isin(column, names)


def _rows(gallery: Gallery) -> tuple[Keys, Keys]:
    """(rows,) the name of each row's item, of dead rows that of their pixels, and (items,) the names of the items."""
    rows, names = as_keys(gallery.table.digests), gallery.table.keys(np.arange(gallery.items))
    return np.where(gallery.live, names[gallery.groups], rows) if len(names) else rows, names


def _copy(known: Gaps, live: np.ndarray) -> Gaps:
    """Something to write in; what is no part of the gallery any more is unknown."""
    blank = Gaps.unknown(len(known))
    return Gaps(*(np.where(live, getattr(known, one.name), getattr(blank, one.name)) for one in fields(Gaps)))


def _in_sample(keys: Keys, level: int) -> Ids:
    return np.flatnonzero(keys < f"{2**32 >> level:08x}".encode()) if level else np.arange(len(keys))
