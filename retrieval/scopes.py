"""Which rows each view of a query is compared with: the pairs of a snapshot, brought to the rows (THEORY T10).

Rows are taken together by their view, so that a search for one view of the query reads no row but its own, and what it
did not list (``unseen``) is said of those rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..images.view_pairs import PairRule
from ..indexer.vectors import Ids, RowStore
from .channel import Channel


@dataclass(frozen=True)
class Scope:
    """The rows of one channel that one view of a query is compared with.

    Attributes:
        channel: of these rows alone, each with the part of its reach that it has here.
        ids: (m,) the number of each among all rows; None where they are all rows.
    """

    channel: Channel
    ids: Ids | None = None

    def outward(self, ids: Ids) -> Ids:
        """Numbers among all rows of some rows of the scope."""
        return ids if self.ids is None else self.ids[ids]

    def inward(self, ids: Ids) -> Ids:
        """Numbers in the scope of some of all rows, those that it has."""
        if self.ids is None:
            return ids
        places = np.searchsorted(self.ids, ids)
        places[places == len(self.ids)] = 0
        return places[self.ids[places] == ids] if len(self.ids) else places[:0]


Scopes = Mapping[tuple[int, str], Scope]
"""By the channel's number and the name of the query's view."""


def scopes_of(channels: Sequence[Channel], views: pa.ChunkedArray, rules: Sequence[PairRule]) -> Scopes:
    """The scopes of a gallery's rows.

    Args:
        channels: of the index.
        views: (rows,) the name of each row's view.
        rules: of the snapshot.
    """
    coded = views.combine_chunks().dictionary_encode()
    names, codes = coded.dictionary.to_pylist(), np.asarray(coded.indices)
    found: dict[tuple[int, str], Scope] = {}
    stores: dict[tuple[int, tuple[str, ...]], tuple[RowStore, Ids | None]] = {}
    for query in dict.fromkeys(rule.query for rule in rules):
        for number, channel in enumerate(channels):
            parts = _parts(rules, query, number, names)
            key = number, tuple(name for name, part in zip(names, parts, strict=True) if part > 0.0)
            if not any(rule.query == query and rule.parts[number] > 0.0 for rule in rules):
                continue
            if key not in stores:
                stores[key] = _together(channel, parts[codes] > 0.0)
            found[number, query] = _scope(channel, parts[codes], *stores[key])
    return found


def _parts(rules: Sequence[PairRule], query: str, number: int, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """(names,) what part of its reach a row of each view has for a view of the query; 0 where they never meet."""
    allowed = {view: rule.parts[number] for rule in rules if rule.query == query for view in rule.gallery}
    return np.array([allowed.get(name, 0.0) for name in names])


def _together(channel: Channel, kept: npt.NDArray[np.bool_]) -> tuple[RowStore, Ids | None]:
    return (channel.store, None) if kept.all() else (channel.store.only(kept), np.flatnonzero(kept))


def _scope(channel: Channel, parts: npt.NDArray[np.float64], store: RowStore, ids: Ids | None) -> Scope:
    if ids is None:
        return Scope(replace(channel, parts=parts))
    gaps, factors = (None if one is None else one[ids] for one in (channel.gaps, channel.factors))
    own = replace(channel, store=store, groups=channel.groups[ids], gaps=gaps, factors=factors, parts=parts[ids])
    return Scope(own, ids)
