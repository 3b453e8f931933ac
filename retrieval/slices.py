"""A slice of an opened index: some consecutive rows, as data that another process opens as a source.

All that was worked out for these rows goes along as numbers: their items, gaps, factors and parts. Only the vectors
stay where they are, in the files of the index, and are mapped there. So a slice answers as the whole does, row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..indexer.gallery import open_store
from ..indexer.integrity import check_content
from ..indexer.items import Items
from ..indexer.snapshot import Snapshot, Threshold
from ..indexer.vectors import Float32, Ids, RowStore
from .channel import Channel, Float64
from .index_source import IndexSource
from .probe import Name
from .scopes import Scope, Scopes

if TYPE_CHECKING:
    from ..embedding.contract import Embedder
    from .engine import Engine


@dataclass(frozen=True)
class Lane:
    """What is known of the rows of a channel, or of a scope; see ``channel.Channel``.

    Attributes:
        ids: (m,) which rows of the slice; None for all of them.
    """

    number: int
    name: str
    threshold: Threshold | None
    gaps: Float32 | None
    factors: Float64 | None
    parts: Float64 | None
    ids: Ids | None = None


@dataclass(frozen=True)
class Slice:
    """Consecutive rows of an opened index.

    Attributes:
        start: the number of its first row in the opened index.
        rows: (m,) their numbers in the snapshot, ascending.
        digests: (m,) names of their items.
        live: (m,) which are part of the gallery.
        lanes: per channel, companions too; scopes: per view of a query that is not compared with all rows.
    """

    start: int
    rows: Ids
    digests: pa.ChunkedArray
    live: npt.NDArray[np.bool_]
    lanes: tuple[Lane, ...]
    scopes: Mapping[Name, Lane]

    @property
    def size(self) -> int:
        """Number of its live rows."""
        return int(np.count_nonzero(self.live))

    def open(self, index: Path, snapshot: Snapshot) -> IndexSource:
        """The slice as a source, its vectors mapped.

        Args:
            index: the folder.
            snapshot: that it is a slice of.

        Raises:
            IntegrityError: files of these rows are missing or damaged.
        """
        own, before = _covering(snapshot, self.rows)
        unread = check_content(index, own).unread
        kept = np.zeros(own.rows, dtype=np.bool_)
        kept[self.rows - before] = True
        items = Items.of(self.digests, self.live)
        stores = [open_store(index, own, lane.number, unread=unread).only(kept) for lane in self.lanes]
        channels = tuple(_channel(lane, stores[lane.number], items.groups) for lane in self.lanes)
        return IndexSource(channels, items, self.start, self._scopes(stores, items.groups))

    def _scopes(self, stores: list[RowStore], groups: Ids) -> Scopes:
        """Views that look at the very same rows share them, so that they are searched for together."""
        shared: dict[tuple[int, bytes], RowStore] = {}
        found = {}
        for name, lane in self.scopes.items():
            store, own = stores[lane.number], groups
            if lane.ids is not None:
                key, kept = (lane.number, lane.ids.tobytes()), np.zeros(len(groups), dtype=np.bool_)
                kept[lane.ids] = True
                store = shared[key] = shared.get(key) or store.only(kept)
                own = groups[lane.ids]
            found[name] = Scope(_channel(lane, store, own), lane.ids)
        return found


def slice_of(engine: Engine, start: int, stop: int) -> Slice:
    """Some rows of an opened index, by their numbers there."""
    rows = np.arange(start, stop) if engine.rows is None else engine.rows[start:stop]
    digests = engine.gallery.table.digests.take(pa.array(np.arange(start, stop)))
    lanes = tuple(_lane(number, one, slice(start, stop)) for number, one in enumerate(engine.every_channel))
    scopes = {name: _scoped(name[0], scope, start, stop) for name, scope in engine.scopes.items()}
    return Slice(start, rows, digests, engine.gallery.groups[start:stop] >= 0, lanes, scopes)


def _lane(number: int, channel: Channel, rows: slice) -> Lane:
    gaps = None if channel.gaps is None else channel.gaps[rows]
    factors = None if channel.factors is None else channel.factors[rows]
    parts = None if channel.parts is None else channel.parts[rows]
    return Lane(number, channel.name, channel.threshold, gaps, factors, parts)


def _scoped(number: int, scope: Scope, start: int, stop: int) -> Lane:
    if scope.ids is None:
        return _lane(number, scope.channel, slice(start, stop))
    low, high = np.searchsorted(scope.ids, [start, stop])
    return replace(_lane(number, scope.channel, slice(low, high)), ids=scope.ids[low:high] - start)


def _covering(snapshot: Snapshot, rows: Ids) -> tuple[Snapshot, int]:
    """The snapshot with those segments alone that the rows lie in, and how many rows lie before them."""
    edges = np.concatenate([[0], np.cumsum([segment.rows for segment in snapshot.segments])]).astype(int)
    if not len(rows):
        return replace(snapshot, segments=()), 0
    first, last = np.searchsorted(edges, [rows[0], rows[-1]], side="right") - 1
    own = replace(snapshot, segments=snapshot.segments[first : last + 1], tombstones={}, blank={})
    return own, int(edges[first])


def _channel(lane: Lane, store: RowStore, groups: Ids) -> Channel:
    nobody = cast("Embedder", None)  # rows are compared here, and nothing is embedded
    return Channel(lane.name, nobody, store, groups, lane.threshold, False, lane.gaps, lane.factors, lane.parts)
