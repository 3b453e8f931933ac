"""Galleries of plain vectors: exactness is about numbers, whatever made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from retr.core.types import Score, UpperBound
from retr.embedding.contract import Embedder
from retr.indexer.items import Items
from retr.indexer.snapshot import Threshold
from retr.indexer.vectors import Ids, RowStore
from retr.retrieval.channel import Channel, Float64
from retr.retrieval.compared_rows import Rows
from retr.retrieval.conformal import set_thresholds
from retr.retrieval.decide import decide
from retr.retrieval.engine import Engine
from retr.retrieval.evidence import Evidence
from retr.retrieval.index_source import IndexSource
from retr.retrieval.probe import Bounds, Probe
from retr.retrieval.ranking import RankedItem, Ranking
from retr.retrieval.settle import propose, until_settled
from retr.retrieval.source import Ask, Source

CAP = 1e9


class Vectors(Embedder):
    """An embedder that is never asked to embed."""

    def __init__(self, dim: int, score: Score) -> None:
        self.name = self.spec = "vectors"
        self.input_size, self.dim, self.score = (1, 1), dim, score
        self.lipschitz, self.uncertified_because, self.digest = UpperBound(1.0, "for tests"), None, "0" * 64

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("not an image model")

    def rounding(self, dtype: torch.dtype) -> UpperBound:
        return UpperBound(0.0, "for tests")


def make_channel(
    rows: np.ndarray, score: Score = "cosine", *, groups: np.ndarray | None = None, threshold=0.9, parts: int = 1
) -> Channel:
    """A channel of these rows; every row is an item of its own unless ``groups`` says otherwise."""
    rows = rows.astype(np.float64)
    if score == "cosine":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    stored = np.array_split(np.ascontiguousarray(rows, dtype=np.float32), parts)
    starts = (0, *np.cumsum([len(part) for part in stored]).tolist())
    store = RowStore(tuple(map(np.ascontiguousarray, stored)), starts, rows.shape[1], score)
    items = np.arange(len(rows)) if groups is None else np.asarray(groups)
    limit = None if threshold is None else Threshold(threshold, "given", 0.01, 1)
    return Channel("vectors", Vectors(rows.shape[1], score), store, items, limit)


def one_for_all(engine: Engine) -> Engine:
    """The same engine with one threshold for all rows of a channel."""
    limits = [
        None if one.threshold is None else Threshold(one.threshold.value, "given", 0.01, 1) for one in engine.channels
    ]
    pairs = zip(engine.channels, limits, strict=True)
    return replace(engine, channels=tuple(replace(one, threshold=limit, gaps=None) for one, limit in pairs))


def items_of(groups: Ids) -> Items:
    """Items whose names are the numbers that tests give them; −1 for dead rows."""
    return Items.of(pa.chunked_array([pa.array([f"{max(int(g), 0):064x}" for g in groups])]), groups >= 0)


def source_of(channels: Sequence[Channel], start: int = 0) -> IndexSource:
    """The channels' rows as one source."""
    return IndexSource(tuple(channels), items_of(channels[0].groups), start)


def group_of(item: RankedItem) -> int:
    """The number that the test gave the item."""
    return int(item.key, 16)


def part_of(channels: Sequence[Channel], start: int, stop: int) -> IndexSource:
    """Some consecutive rows as a source of their own."""
    return source_of([_picked(channel, np.arange(start, stop)) for channel in channels], start)


def _picked(channel: Channel, ids: Ids) -> Channel:
    rows = np.ascontiguousarray(channel.store.take(ids))
    store = RowStore((rows,), (0, len(ids)), channel.store.dim, channel.score)
    gaps = None if channel.gaps is None else channel.gaps[ids]
    return replace(channel, store=store, groups=channel.groups[ids], gaps=gaps)


@dataclass(frozen=True)
class Renumbered:
    """Any rows as a source: those of ``inner``, row j of it being row ``ids[j]`` of the whole.

    Attributes:
        ids: ascending.
    """

    inner: IndexSource
    ids: Ids

    @property
    def rows(self) -> int:
        return self.inner.rows

    def answer(self, asks: Sequence[Ask]) -> list[Evidence]:
        return [self._whole(one) for one in self.inner.answer(asks)]

    def _whole(self, seen: Evidence) -> Evidence:
        rivals = None if seen.rivals is None else self._renumbered(seen.rivals)
        return replace(seen, listed=self._renumbered(seen.listed), own=self._renumbered(seen.own), rivals=rivals)

    def _renumbered(self, rows: Rows) -> Rows:
        return replace(rows, ids=self.ids[rows.ids], firsts=self.ids[rows.firsts])


def scattered(channels: Sequence[Channel], ids: Ids) -> Renumbered:
    """These rows, wherever they lie, as a source."""
    picked = [_picked(channel, ids) for channel in channels]
    return Renumbered(source_of(picked), ids)


def probe(channel: Channel, z: Float64, number: int = 0, *, view: str = "original", lipschitz: float = 1.0) -> Probe:
    """A certified probe without forward error."""
    threshold = None if channel.threshold is None else channel.threshold.value
    bounds = Bounds(UpperBound(lipschitz, "for tests"), 0.0, CAP)
    return Probe(number, view, z, channel.score, threshold, channel.is_local, bounds)


def probes(channels: Sequence[Channel], zs: Sequence[Float64]) -> list[Probe]:
    """One for each channel."""
    return [probe(channel, z, number) for number, (channel, z) in enumerate(zip(channels, zs, strict=True))]


def look(channel: Channel, z: Float64, count: int) -> Evidence:
    """What a first search finds."""
    [[seen]] = propose([source_of([channel])], [probe(channel, z)], count)
    return seen


def rank(
    channels: Channel | Sequence[Channel],
    zs: Float64 | Sequence[Float64],
    k: int,
    *,
    first: int | Sequence[int] = 128,
    certify: bool = True,
    sources: Sequence[Source] | None = None,
) -> Ranking:
    """Settle one query from a first search of a given size, or one for each channel."""
    if isinstance(channels, Channel):
        channels, zs = [channels], [np.asarray(zs)]
    sources = [source_of(channels)] if sources is None else sources
    counts = [first] * len(channels) if isinstance(first, int) else first
    pieces = [propose(sources, [one], count)[0] for one, count in zip(probes(channels, list(zs)), counts, strict=True)]
    return until_settled(sources, pieces, partial(decide, k=k, certify=certify)).ranking


def one_threshold(scores: Float64, *, cosine: bool, fpr: float) -> Threshold:
    """That of a single channel; scores (n,)."""
    return set_thresholds(scores[:, None], cosine=[cosine], fpr=fpr)[0]
