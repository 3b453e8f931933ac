"""The exact engine: open an index, answer queries, certify what can be certified (THEORY §6)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..certificates.verdicts import check_threshold
from ..core.errors import UsageError
from ..images.decode import pixels_digest
from ..images.found_views import parse_look
from ..images.policy import DecodePolicy
from ..images.view_pairs import query_views
from ..indexer.gallery import Gallery, open_gallery, restricted
from ..indexer.gaps import gaps_of, read_gaps
from ..indexer.labels import Labels, labels_of
from ..indexer.models import open_model
from ..indexer.row_lengths import check_rows
from ..indexer.rules import reach_factors, rows_of_rule
from ..indexer.snapshot import Threshold, find_snapshot
from ..indexer.vectors import Ids, choose_gpu
from ..indexer.where import Condition, parse_condition, rows_where
from .answer import Answer
from .answering import Answering, model_name, why_uncertified
from .channel import ORIGINAL, Channel, Float64, Pixels, QueryView
from .companions import hear
from .explain import Explainer
from .index_source import IndexSource
from .probe import Name, Query, as_levels, embed, embed_companions
from .ranking import Ranking
from .scopes import Scope, Scopes, scope_of, scopes_of
from .settle import settle_all
from .silencing import Heard, silenced
from .source import Source
from .tiers import Spoken, tiered


@dataclass(frozen=True)
class Engine:
    """An index opened for queries. Attributes are read-only; one engine may serve many threads.

    Attributes:
        path: the index folder.
        gallery: catalog, live rows and item numbers.
        channels: one per embedder that answers by itself.
        policy: how query images are decoded.
        parts: sources that hold the rows between them, numbered as in the catalog; empty for the opened index itself.
        views: of the query, each of which every row is compared with (THEORY T10); several need thresholds.
        where: conditions that the gallery's rows fulfil: it holds no others.
        rows: numbers of its rows in the snapshot; None for all.
        banks: negative banks, by their conditions: engines of their rows, which are no part of this gallery. They are
            asked without companions: what silences a proved answer is proved.
        unsilenced: whether banks that are negative were taken for matches like all others.
        companions: channels that find what they cannot prove (THEORY T11), numbered after the others; they look at
        looks: views of the query of their own.
    """

    path: Path
    gallery: Gallery
    channels: tuple[Channel, ...]
    policy: DecodePolicy
    parts: tuple[Source, ...] = ()
    views: tuple[QueryView, ...] = (ORIGINAL,)
    where: tuple[Condition, ...] = ()
    rows: Ids | None = None
    banks: tuple[tuple[str, Engine], ...] = ()
    unsilenced: bool = False
    companions: tuple[Channel, ...] = ()
    looks: tuple[QueryView, ...] = (ORIGINAL,)

    @staticmethod
    def open(
        path: Path,
        *,
        device: str = "auto",
        threshold: float | None = None,
        snapshot: str | None = None,
        where: Sequence[str] = (),
        unsilenced: bool = False,
        certified_only: bool = False,
    ) -> Engine:
        """Open an index folder.

        Args:
            path: the folder.
            device: where the float32 search runs: auto, cpu or cuda. Certified embedding is float64 on the CPU.
            threshold: replaces the stored threshold of a single-channel index.
            snapshot: id of an earlier snapshot, or how it begins; None for the current one.
            where: conditions (``indexer.where``): what does not fulfil all of them is no part of the gallery, so that
                ranks, radii and the rows that a certificate counts are those of the rest. A row keeps its threshold,
                but in an index with pairs: there an edited row accepts no farther than the unedited rows of its item
                that are left, so what a condition leaves out can widen it. Thresholds are constants either way.
            unsilenced: ask as if no bank were negative (``indexer.rules``): its items are matches like all others.
            certified_only: leave companions out: then *not a copy* and every rank can be proved again.

        Raises:
            IndexStateError: there is no index.
            IntegrityError: damaged files, or a model that is not the one the index was built with.
            UsageError: an unknown device, a threshold for an index of several channels, or one out of range.
        """
        conditions = tuple(map(parse_condition, where))
        opened = find_snapshot(path, snapshot)
        if threshold is not None and opened.answering != 1:
            raise UsageError("a threshold is one number, and this index has several channels: calibrate it instead")
        gallery = open_gallery(path, opened)
        gpu = choose_gpu(device)
        labels = labels_of(path, opened) if opened.rules else Labels.none()
        factors = reach_factors(opened.rules, gallery.catalog, labels)
        wanted = opened.answering if certified_only else len(opened.channels)
        every = tuple(
            _open_channel(path, gallery, number, gpu, threshold if number < opened.answering else None, factors)
            for number in range(wanted)
        )
        policy, views = DecodePolicy.from_json(dict(opened.policy)), query_views(opened.pairs)
        channels, companions = every[: opened.answering], every[opened.answering :]
        looks = query_views(opened.looks, parse_look)
        engine = Engine(
            *(path, gallery, channels, policy),
            views=views,
            companions=companions,
            looks=looks,
            unsilenced=unsilenced,
        )
        if not unsilenced:
            engine = engine._without_banks(labels)
        return engine.only(conditions) if conditions else engine

    def _without_banks(self, labels: Labels) -> Engine:
        """The engine of what lies in no negative bank, with engines of those that hold anything."""
        rules = [rule for rule in self.gallery.snapshot.rules if rule.negative]
        if not rules:
            return self
        known, left, banks = self._known(), np.ones(self.gallery.catalog.num_rows, dtype=np.bool_), []
        for rule in rules:
            inside = rows_of_rule(rule, self.gallery.catalog, labels) & known
            left &= ~inside
            if inside.any():
                banks.append((rule.where, self._of(inside, ()).certified))
        return replace(self._of(left & known, ()), banks=tuple(banks))

    def only(self, conditions: Sequence[Condition]) -> Engine:
        """The engine of the rows for which all conditions hold."""
        assert not self.parts, "parts hold rows of their own"
        labels = labels_of(self.path, self.gallery.snapshot)
        return self._of(rows_where(self.gallery.catalog, labels, conditions) & self._known(), conditions)

    def _known(self) -> npt.NDArray[np.bool_]:
        """(rows,) which rows are of items."""
        known = self.gallery.live.copy()
        known[self.gallery.blank] = True  # found by their pixels
        return known

    def _of(self, kept: npt.NDArray[np.bool_], conditions: Sequence[Condition]) -> Engine:
        """The engine of some rows."""
        gallery = restricted(self.gallery, kept)
        every = tuple(
            replace(
                channel,
                store=gallery.stores[number],
                groups=gallery.groups,
                gaps=None if channel.gaps is None else channel.gaps[kept],
                factors=None if channel.factors is None else channel.factors[kept],
            )
            for number, channel in enumerate(self.every_channel)
        )
        channels, companions = every[: len(self.channels)], every[len(self.channels) :]
        rows, where = np.flatnonzero(kept) if self.rows is None else self.rows[kept], (*self.where, *conditions)
        return replace(self, gallery=gallery, channels=channels, companions=companions, where=where, rows=rows)

    @property
    def live_rows(self) -> Ids:
        """Numbers in the snapshot of the rows that are searched."""
        live = np.flatnonzero(self.gallery.groups >= 0)
        return live if self.rows is None else self.rows[live]

    @property
    def snapshot(self) -> str:
        """Id of the opened snapshot."""
        return self.gallery.name

    @property
    def model(self) -> str:
        """Names of the channels' models."""
        return model_name(self.channels)

    @property
    def every_channel(self) -> tuple[Channel, ...]:
        """By their numbers: those that answer by themselves, then companions."""
        return (*self.channels, *self.companions)

    @cached_property
    def certified(self) -> Engine:
        """The engine without its companions."""
        return replace(self, companions=()) if self.companions else self

    @cached_property
    def surveying(self) -> Engine:
        """The engine with companions among its channels: for what looks at rows, and certifies nothing."""
        return replace(self, channels=self.every_channel, companions=()) if self.companions else self

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """What answers probes."""
        return self.parts or (IndexSource(self.every_channel, self.gallery.table, scopes=self.scopes),)

    @cached_property
    def scopes(self) -> Scopes:
        """Which rows each view of a query is compared with; empty where each is with all of them."""
        snapshot, every = self.gallery.snapshot, self.every_channel
        looks = snapshot.looks if len(every) > snapshot.answering else ()
        return scopes_of(every, self.gallery.catalog["view"], snapshot.pairs, looks)

    @cached_property
    def _looks_of(self) -> dict[int, tuple[QueryView, ...]]:
        """Per companion, by its number."""
        return dict.fromkeys(range(self.gallery.snapshot.answering, len(self.every_channel)), self.looks)

    @cached_property
    def tests(self) -> tuple[Name, ...]:
        """The tests that every query is put to, in order: channel and view of the query."""
        return self._tests(range(len(self.channels)))

    @cached_property
    def companion_tests(self) -> tuple[Name, ...]:
        """The same for its companions."""
        return self._tests(range(len(self.channels), len(self.every_channel)))

    def _tests(self, numbers: Iterable[int]) -> tuple[Name, ...]:
        scoped = {number for number, _ in self.scopes}
        every = [(number, view.name) for number in numbers for view in self._looks_of.get(number, self.views)]
        return tuple(name for name in every if name[0] not in scoped or name in self.scopes)

    def scope(self, name: Name) -> Scope:
        """The rows that a test looks at."""
        return scope_of(self.scopes, self.every_channel, name)

    def embed(self, pixels: Pixels) -> Query:
        """A query of this index: (H, W, 3) float64 in [0, 1], or uint8 levels."""
        query = embed(self.channels, pixels, self.views, self.scopes, looks=self._looks_of)
        if not self.companions:
            return query
        asked = embed_companions(self.companions, len(self.channels), pixels, self.scopes, self.looks)
        return replace(query, companions=asked)

    @cached_property
    def explainer(self) -> Explainer:
        """What says why."""
        return Explainer(self.path, self.gallery, self.every_channel, self.rows, self.scopes)

    def answer(
        self,
        pixels: Pixels,
        *,
        k: int = 10,
        certify: bool = False,
        eps_l2: float | None = None,
        asked: str | None = None,
    ) -> Answer:
        """Answer one query.

        Args:
            pixels: (H, W, 3) as decoded: uint8 levels, or float64 in [0, 1] (any values, not those of levels alone).
            k: how many items to return.
            certify: also prove radii.
            eps_l2: ℓ2 budget for the verdict; None for the verdict on the query as it is.
            asked: the budget as it was given, for the reason of a verdict that does not hold; None for its ℓ2 norm.

        Raises:
            UsageError: bad k, pixels or budget.
        """
        return self.answer_many([pixels], k=k, certify=certify, eps_l2=[eps_l2], asked=asked)[0]

    def answer_many(
        self,
        images: Sequence[Pixels],
        *,
        k: int = 10,
        certify: bool = False,
        eps_l2: Sequence[float | None] | None = None,
        asked: str | None = None,
        explain: bool = False,
    ) -> list[Answer]:
        """Answer several queries with one float32 search; the answers are those of :meth:`answer`, one by one.

        With ``explain`` every match says what its threshold is measured by.
        """
        _check_k(k)
        for pixels in images:
            _check_pixels(pixels)
        budgets = eps_l2 if eps_l2 is not None else [None] * len(images)
        _check_budgets(budgets, len(images))
        began = time.perf_counter()
        queries = [self.embed(pixels) for pixels in images]
        share = (time.perf_counter() - began) / max(1, len(images))
        answers = self._answers(queries, images, k, certify, budgets, asked)
        if explain:
            pairs = zip(answers, queries, strict=True)
            answers = [self.explainer.explained(answer, query) for answer, query in pairs]
        search = (time.perf_counter() - began) / max(1, len(images)) - share
        return [replace(answer, seconds={"embed": share, "search": search}) for answer in answers]

    def answer_both(self, images: Sequence[Pixels], *, k: int = 10) -> list[tuple[Answer, Answer]]:
        """Certified answers with the companions and without them, by one search: for measurements.

        Without them, items that a certified channel accepts come first here too.
        """
        assert not self.banks, "banks are no part of a measurement"
        queries = [self.embed(pixels) for pixels in images]
        if any(self._why_refused(query) for query in queries):
            return [
                (self.answer(one, k=k, certify=True), self.certified.answer(one, k=k, certify=True)) for one in images
            ]
        found = self._certified_rankings(queries, k, certify=True)
        voices = hear(self.sources, [query.companions for query in queries])
        pairs = []
        for query, ranking, voice in zip(queries, found, voices, strict=True):
            job = Answering(self.gallery, self.channels, query, k, True, None, None, self.where)
            with_them = replace(job, companions=self.companions)
            both = with_them.answer(*tiered(ranking, voice, k, probes=len(query.probes)))
            pairs.append((both, job.answer(ranking)))
        return pairs

    def answer_query(self, query: Query, *, k: int = 10) -> Answer:
        """The answer to what was embedded elsewhere: what is nearest, and whether it accepts; nothing is certified."""
        _check_k(k)
        why = self._why_refused(query)
        if why is not None:
            return Answering(self.gallery, self.channels, query, k, companions=self.companions).refuse(why)
        nothing = np.zeros((query.height, query.width, 3), dtype=np.uint8)  # only what is refused is looked at
        return self._answers([query], [nothing], k, False, [None], None)[0]

    def _answers(
        self,
        queries: Sequence[Query],
        images: Sequence[Pixels],
        k: int,
        certify: bool,
        budgets: Sequence[float | None],
        asked: str | None,
    ) -> list[Answer]:
        """The answers of this gallery, silenced by its negative banks. A probe knows nothing of rows: all share it."""
        jobs = [
            Answering(self.gallery, self.channels, query, k, certify, eps, asked, self.where, self.companions)
            for query, eps in zip(queries, budgets, strict=True)
        ]
        answers = self._search(jobs, images, k, certify=certify)
        if not self.banks:
            return answers
        said = [(name, bank, bank._answers(queries, images, 1, certify, budgets, asked)) for name, bank in self.banks]
        return [
            silenced(
                answer,
                [Heard(name, bank.gallery.table.live_rows, found[place]) for name, bank, found in said],
                eps=budgets[place],
                asked=asked,
                refused=queries[place].refused is not None,
            )
            for place, answer in enumerate(answers)
        ]

    def _search(self, jobs: Sequence[Answering], images: Sequence[Pixels], k: int, *, certify: bool) -> list[Answer]:
        refused = [self._why_refused(job.query) for job in jobs]
        asked = [job.query for job, why in zip(jobs, refused, strict=True) if why is None]
        rankings = iter(self._rank(asked, k, certify=certify))
        return [
            job.answer(*next(rankings)) if why is None else job.refuse(why, same=self._blank_with(pixels))
            for job, pixels, why in zip(jobs, images, refused, strict=True)
        ]

    def _rank(self, asked: Sequence[Query], k: int, *, certify: bool) -> list[tuple[Ranking, Spoken | None]]:
        """What the certified channels say, and what companions add once that stands."""
        found = self._certified_rankings(asked, k, certify=certify)
        if not self.companions:
            return [(ranking, None) for ranking in found]
        voices = hear(self.sources, [query.companions for query in asked])
        return [
            tiered(ranking, voice, k, probes=len(query.probes))
            for ranking, voice, query in zip(found, voices, asked, strict=True)
        ]

    def _certified_rankings(self, asked: Sequence[Query], k: int, *, certify: bool) -> list[Ranking]:
        """What the certified channels say; beside companions, what they accept comes first."""
        probes, blind, tiers = [one.probes for one in asked], [one.blind for one in asked], bool(self.companions)
        return settle_all(self.sources, probes, k, certify=certify, blind=blind, tiers=tiers) if probes else []

    def _blank_with(self, pixels: Pixels) -> list[dict[str, object]]:
        """Catalog rows of the blank images that have a query's very pixels."""
        levels = None if not len(self.gallery.blank) else as_levels(pixels)
        return [] if levels is None else self.gallery.blank_with(pixels_digest(levels))

    def _why_refused(self, query: Query) -> str | None:
        """Why a query cannot be compared at all, or None."""
        if self.gallery.items:
            return query.refused
        asked = " and ".join(map(str, self.where))
        return f"the gallery holds nothing where {asked}" if asked else "the gallery is empty"

    def why_uncertified(self) -> str | None:
        """Why this index can certify nothing, or None."""
        return why_uncertified(self.channels)

    def paths_of(self, group: int) -> tuple[str, ...]:
        """Files of one item, in row order."""
        return self.gallery.paths_of(group)


def _open_channel(
    path: Path, gallery: Gallery, number: int, gpu: bool, threshold: float | None, factors: Float64 | None
) -> Channel:
    spec = gallery.snapshot.channels[number]
    if threshold is not None:
        check_threshold(spec.score, threshold)
    embedder = open_model(path, spec)
    check_rows(gallery.stores[number], spec.name)
    chosen = spec.threshold if threshold is None else Threshold(threshold, "given", None, 0)
    gaps = None if chosen is None or chosen.gaps is None else gaps_of(gallery.snapshot, read_gaps(path, chosen.gaps))
    if factors is not None and chosen is not None and factors.max(initial=0.0) > 1.0:
        chosen = replace(chosen, fpr=None, upper95=None)  # what was measured speaks of rows that accept less
    factors = None if chosen is None else factors
    return Channel(spec.name, embedder, gallery.stores[number], gallery.groups, chosen, gpu, gaps, factors)


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, Integral):
        raise UsageError(f"k is a whole number, got {k!r}")
    if k < 1:
        raise UsageError(f"k must be at least 1, got {k}")


def _check_pixels(pixels: Pixels) -> None:
    kinds = (np.float64, np.uint8)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in kinds or 0 in pixels.shape:
        raise UsageError(f"a query is (H, W, 3) uint8 or float64, got {pixels.shape} {pixels.dtype}")
    if pixels.dtype == np.uint8:
        return
    if not (np.isfinite(pixels).all() and pixels.min() >= 0.0 and pixels.max() <= 1.0):
        raise UsageError("pixels of a query lie in [0, 1]")


def _check_budgets(budgets: Sequence[float | None], count: int) -> None:
    if len(budgets) != count:
        raise UsageError(f"{count} queries need {count} budgets, got {len(budgets)}")
    for eps in budgets:
        if eps is not None and not (math.isfinite(eps) and eps >= 0):
            raise UsageError(f"a budget must be finite and ≥ 0, got {eps}")
