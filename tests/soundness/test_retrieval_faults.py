"""Faults between the embedding and the radius: ties, the resize, and rows that nobody looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cached_property

import faiss
import numpy as np
from planted import audit, draw_pictures, embedded_by, save_pictures, small_index, with_rows

from retr.certificates.checker import top1_violations
from retr.certificates.ranking import pair_radii
from retr.core.types import UpperBound
from retr.embedding.block_means import BlockMeans
from retr.indexer.filtered import Matters, every_row
from retr.indexer.vectors import Float32, Ids, RowStore
from retr.retrieval import decide_one as decide_module
from retr.retrieval.channel import Channel, Float64, Pixels, QueryEmbedding, QueryView
from retr.retrieval.evidence import Evidence
from retr.retrieval.index_source import IndexSource
from retr.retrieval.source import Ask


def positive_margins_only(*arguments, **options) -> Float64:
    """``margins[margins > 0].min()``: a rival that is level with the winner limits nothing."""
    radii = pair_radii(*arguments, **options)
    return np.where(radii > 0, radii, np.inf)


def test_a_tie_given_infinite_radius(planted, caught, tmp_path, monkeypatch):
    """A picture and its mirror image are in the gallery; the query is a symmetric mixture of both, level with each."""
    left, *others = draw_pictures(5)
    mirrored = left[:, ::-1]
    between = ((left.astype(np.float64) + mirrored) / 2).astype(np.uint8)
    engine = embedded_by(small_index(tmp_path, [left, mirrored, *others]), BlockMeans(4))
    queries = save_pictures(tmp_path / "queries", [between, others[0]])
    table = tmp_path / "truth.csv"
    table.write_text("query,truth\n000.png,000.png\n001.png,002.png\n")
    if planted:
        monkeypatch.setattr(decide_module, "pair_radii", positive_margins_only)
    caught(audit(engine, tmp_path / "audit", queries=queries, truth=table), by=("top1",))


def test_identical_rows_given_infinite_radius_are_refused_by_the_checker():
    """No attack can tell two identical rows apart, since row numbers settle it; the exact checker still says no."""
    z, row = np.array([0.6, 0.8]), np.array([1.0, 0.0])
    (violation,) = top1_violations(z, row, [row.copy()], score="cosine", radius=10.0, lipschitz=1.0)
    assert violation.row == 0
    radii = pair_radii(z, row, row[None], score="cosine", lipschitz=UpperBound(1.0, "given"), forward_error=0.0)
    assert radii.tolist() == [0.0]


class WithoutResize(Channel):
    """A channel that forgets that enlarging an image enlarges what is done to it: L = L_g, for L_g·ρ."""

    def embed_views(self, pixels: Pixels, views: Sequence[QueryView]) -> list[QueryEmbedding]:
        return [replace(one, resize=UpperBound(1.0, "weights sum to 1")) for one in super().embed_views(pixels, views)]


def test_norm_of_the_resize_left_out_for_small_queries(planted, caught, tmp_path):
    """Queries of 12×12 pixels are enlarged to 64×64, ρ ≈ 5. For large queries ρ < 1, and nobody would notice."""
    engine = small_index(tmp_path, draw_pictures(6, side=12), model="block-means")
    (channel,) = engine.channels
    if planted:
        forgetful = WithoutResize(**{one.name: getattr(channel, one.name) for one in fields(channel)})
        engine = replace(engine, channels=(forgetful,))
    caught(audit(engine, tmp_path / "audit", goals=("evasion", "embedding")), by=("top1", "lipschitz"))


LISTS = 4


class Partitioned(RowStore):
    """Rows behind an inverted file that looks into one list; what it returns is taken for the nearest of all."""

    @cached_property
    def _index(self) -> faiss.IndexIVFFlat:
        (rows,) = self.parts
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(self.dim), self.dim, LISTS, faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1
        index.train(np.ascontiguousarray(rows))
        index.add(np.ascontiguousarray(rows))
        index.nprobe = 1
        return index

    def nearest(self, queries: Float32, count: int, *, gpu: bool = False) -> tuple[Float32, Ids]:
        scores, ids = self._index.search(queries, min(count, self.rows))
        shared = int((ids >= 0).sum(axis=1).min())  # lists differ in length
        return scores[:, :shared], ids[:, :shared]

    def scored(self, query: Float32, bound: float, matters: Matters = every_row) -> tuple[Ids, Float64]:
        _, scores, ids = self._index.range_search(query[None], bound)
        kept = matters(ids, scores.astype(np.float64))
        return ids[kept], scores[kept].astype(np.float64)


def test_an_approximate_index_certified_as_exact(planted, caught, tmp_path):
    """Queries are mixtures of two pictures. Where a small change leads to another list, the first match is lost."""
    pictures = draw_pictures(60)
    engine = small_index(tmp_path, pictures)
    mixed = [(0.6 * a + 0.4 * b).astype(np.uint8) for a, b in zip(pictures[:20], pictures[20:40], strict=True)]
    queries = save_pictures(tmp_path / "queries", mixed)
    (channel,) = engine.channels
    if planted:
        store = channel.store
        parts = Partitioned(store.parts, store.starts, store.dim, store.score)
        engine = with_rows(engine, replace(channel, store=parts))
    goals = ("evasion", "collision")
    caught(audit(engine, tmp_path / "audit", queries=queries, goals=goals, at_radius=(0.9,)), by=("top1",))


class FourAndNoMore(IndexSource):
    """The nearest four rows, rescored, and no word on the others."""

    def answer(self, asks: Sequence[Ask]) -> list[Evidence]:
        return [replace(one, unseen=math.inf) for one in super().answer([replace(a, nearest=4) for a in asks])]


def test_a_shortlist_too_short(planted, caught, tmp_path):
    """Sixteen views of each item: the first four rows are the item's own, so nothing seems to threaten it."""
    engine = small_index(tmp_path, draw_pictures(6), views="light/1")
    if planted:
        engine = replace(engine, parts=(FourAndNoMore(engine.channels, engine.gallery.table),))
    caught(audit(engine, tmp_path / "audit"), by=("top1",))
