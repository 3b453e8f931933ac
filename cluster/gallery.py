"""A part of a snapshot that is asked about, and what each shard must say of itself when it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from ..indexer.items import Items
from ..indexer.vectors import Ids
from ..retrieval.engine import Engine
from ..retrieval.joined import Reply as Said
from ..retrieval.slices import Slice, slice_of
from ..retrieval.source import Ask
from .manifest import Expected, Manifest, Reply, why_refused


@dataclass(frozen=True)
class Gallery:
    """All of a snapshot, one of its negative banks, or what conditions leave of it.

    Attributes:
        key: what tells it from all others, its thresholds included.
        engine: of its rows.
        expected: of each shard that has live rows of it.
    """

    key: str
    engine: Engine
    expected: tuple[Expected, ...]

    @property
    def items(self) -> Items:
        """Which item each of its rows is of."""
        return self.engine.gallery.table

    def slice(self, one: Expected) -> Slice:
        """The rows of one shard."""
        return slice_of(self.engine, one.start, one.stop)


def gallery_of(engine: Engine, manifest: Manifest, bank: str = "") -> Gallery:
    """That of an engine; ``bank`` is the condition of the negative bank that it is of."""
    key = _key(engine, manifest, bank)
    edges = np.asarray(manifest.edges)
    edges = edges if engine.rows is None else np.searchsorted(engine.rows, edges)
    sizes = _live_between(engine.gallery.groups, None, edges)
    scopes = {name: _live_between(one.channel.groups, one.ids, edges) for name, one in engine.scopes.items()}
    expected = (
        Expected(number, manifest.snapshot, key, start, stop, size, {name: own[number] for name, own in scopes.items()})
        for number, (start, stop, size) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), sizes, strict=True))
    )
    return Gallery(key, engine, tuple(one for one in expected if one.size))


def counted(
    gallery: Gallery, replies: Mapping[int, Reply | str | None], asks: Sequence[Ask]
) -> tuple[list[Said | None], dict[int, str]]:
    """The replies that count, one for each shard that holds rows, and why the others do not.

    Args:
        gallery: that was asked about.
        replies: by shard; a text for why there is none.
        asks: what was asked.
    """
    found, lost = list[Said | None](), dict[int, str]()
    for one in gallery.expected:
        reply = replies[one.shard]
        if isinstance(reply, Reply):
            why = why_refused(reply, one, asks, gallery.items)
            found.append(reply.evidence if why is None else None)
        else:
            why = reply or "it does not hold what it was told to"
            found.append(None)
        if why is not None:
            lost[one.shard] = why
    return found, lost


def _key(engine: Engine, manifest: Manifest, bank: str) -> str:
    where = [str(one) for one in engine.where]
    said = repr([manifest, bank, where, [one.threshold for one in engine.every_channel]])
    rows = b"" if engine.rows is None else engine.rows.tobytes()
    return sha256(said.encode() + rows).hexdigest()


def _live_between(groups: Ids, ids: Ids | None, edges: Ids) -> list[int]:
    """How many live rows lie between each two edges; ``ids`` are their numbers, where they are not all rows."""
    live = np.flatnonzero(groups >= 0) if ids is None else ids[groups >= 0]
    return np.diff(np.searchsorted(live, edges)).tolist()
