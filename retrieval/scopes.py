"""Which rows each view of a query is compared with: the pairs of a snapshot, brought to the rows (THEORY T10).

Rows are taken together by their view, so that a search for one view of the query reads no row but its own, and what it
did not list (``unseen``) is said of those rows alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..images.view_pairs import PairRule
from ..indexer.vectors import Float32, Ids, RowStore
from .channel import Channel, Float64


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


def scope_of(scopes: Scopes, channels: Sequence[Channel], name: tuple[int, str]) -> Scope:
    """The rows that a test looks at: all of its channel's, where nothing says which."""
    found = scopes.get(name)
    assert found is not None or all(number != name[0] for number, _ in scopes), f"{name} is no test"
    return found or Scope(channels[name[0]])


def scopes_of(
    channels: Sequence[Channel], views: pa.ChunkedArray, rules: Sequence[PairRule], looks: Sequence[PairRule] = ()
) -> Scopes:
    """The scopes of a gallery's rows.

    Args:
        channels: of the index.
        views: (rows,) the name of each row's view.
        rules: of the snapshot.
        looks: of the snapshot: where there are any, the last of the channels goes by them alone.
    """
    if not rules and not looks:
        return {}
    coded = views.combine_chunks().dictionary_encode()
    names, codes = coded.dictionary.to_pylist(), np.asarray(coded.indices)
    unedited = np.array([name == "original" for name in names], dtype=np.bool_)[codes]
    gaps = [_of_items(channel, unedited) for channel in channels]
    found: dict[tuple[int, str], Scope] = {}
    stores: dict[tuple[int, bytes], tuple[RowStore, Ids | None]] = {}
    for number, query, own, place in _tests(len(channels), rules, looks):
        parts, least = _allowed(own, query, place, names)
        kept = parts[codes] > 0.0
        known = gaps[number]
        if known is not None:
            kept &= (least[codes] == 0.0) | (known > least[codes])
        key = number, np.packbits(kept).tobytes()
        if key not in stores:
            stores[key] = _together(channels[number], kept)
        found[number, query] = _scope(channels[number], parts[codes], gaps[number], *stores[key])
    return found


def _tests(
    channels: int, rules: Sequence[PairRule], looks: Sequence[PairRule]
) -> Iterator[tuple[int, str, Sequence[PairRule], int]]:
    """Channel, view of the query, the rules that it goes by, and the place of its parts in them."""
    by_rules = channels - bool(looks)
    every = [(number, rules, number) for number in range(by_rules)] + [(by_rules, looks, 0)] * bool(looks)
    for query in dict.fromkeys(rule.query for rule in (*rules, *looks)):
        for number, own, place in every:
            if any(rule.query == query and rule.parts[place] > 0.0 for rule in own):
                yield number, query, own, place


def _of_items(channel: Channel, unedited: npt.NDArray[np.bool_]) -> Float32 | None:
    """(rows,) the gap of the unedited row of each row's item; inf where it has none, None without gaps."""
    if channel.gaps is None:
        return None
    rows = np.flatnonzero(unedited & (channel.groups >= 0))
    of_items = np.full(int(channel.groups.max(initial=-1)) + 1, np.inf, dtype=np.float32)
    np.minimum.at(of_items, channel.groups[rows], channel.gaps[rows])
    return np.where(channel.groups >= 0, of_items[channel.groups], np.float32(0.0)) if len(of_items) else channel.gaps


def _allowed(rules: Sequence[PairRule], query: str, number: int, names: Sequence[str]) -> tuple[Float64, Float64]:
    """Per name: what part of its reach a row of such a view has, 0 where they never meet; and the least gap."""
    found = {view: (r.parts[number], r.least[number]) for r in rules if r.query == query for view in r.gallery}
    both = np.array([found.get(name, (0.0, 0.0)) for name in names], dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _together(channel: Channel, kept: npt.NDArray[np.bool_]) -> tuple[RowStore, Ids | None]:
    return (channel.store, None) if kept.all() else (channel.store.only(kept), np.flatnonzero(kept))


def _scope(channel: Channel, parts: Float64, gaps: Float32 | None, store: RowStore, ids: Ids | None) -> Scope:
    """A stored view accepts no farther than the item's unedited row: what is known of its kind is known of that."""
    capped = None if channel.gaps is None or gaps is None else np.minimum(channel.gaps, gaps)
    if ids is None:
        return Scope(replace(channel, gaps=capped, parts=parts))
    own, factors = (None if one is None else one[ids] for one in (capped, channel.factors))
    taken = replace(channel, store=store, groups=channel.groups[ids], gaps=own, factors=factors, parts=parts[ids])
    return Scope(taken, ids)
