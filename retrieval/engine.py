"""The exact engine: open an index, answer queries, certify what can be certified (THEORY §6)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..certificates.proof import Certificate
from ..certificates.verdicts import check_threshold, verdict_at
from ..core.errors import UsageError
from ..core.units import Radius
from ..images.policy import DecodePolicy
from ..indexer.gallery import Gallery, open_gallery
from ..indexer.gaps import gaps_of, read_gaps
from ..indexer.models import open_model
from ..indexer.snapshot import Threshold, require_current
from ..indexer.vectors import choose_gpu
from .answer import Answer, Match, VerdictName
from .channel import Channel, Float64, QueryEmbedding, check_rows
from .rank import RankedItem, Ranking, proof_of, rank
from .rank_channels import rank_channels
from .shortlist import SHORTLIST, shortlists


@dataclass(frozen=True)
class Engine:
    """An index opened for queries. Attributes are read-only; one engine may serve many threads.

    Attributes:
        path: the index folder.
        gallery: catalog, live rows and item numbers.
        channels: one per embedder.
        policy: how query images are decoded.
    """

    path: Path
    gallery: Gallery
    channels: tuple[Channel, ...]
    policy: DecodePolicy

    @staticmethod
    def open(path: Path, *, device: str = "auto", threshold: float | None = None) -> Engine:
        """Open an index folder.

        Args:
            path: the folder.
            device: where the float32 search runs: auto, cpu or cuda. Certified embedding is float64 on the CPU.
            threshold: replaces the stored threshold of a single-channel index.

        Raises:
            IndexStateError: there is no index.
            IntegrityError: damaged files, or a model that is not the one the index was built with.
            UsageError: an unknown device, a threshold for an index of several channels, or one out of range.
        """
        snapshot = require_current(path)
        if threshold is not None and len(snapshot.channels) != 1:
            raise UsageError("--threshold sets one number, and this index has several channels; use retr calibrate")
        gallery = open_gallery(path, snapshot)
        gpu = choose_gpu(device)
        channels = tuple(_open_channel(path, gallery, number, gpu, threshold) for number in range(len(gallery.stores)))
        return Engine(path, gallery, channels, DecodePolicy.from_json(dict(snapshot.policy)))

    @property
    def snapshot(self) -> str:
        """Id of the opened snapshot."""
        return self.gallery.snapshot.id

    @property
    def model(self) -> str:
        """Names of the channels' models."""
        return "+".join(channel.name for channel in self.channels)

    def answer(self, pixels: Float64, *, k: int = 10, certify: bool = False, eps_l2: float | None = None) -> Answer:
        """Answer one query.

        Args:
            pixels: (H, W, 3) float64 in [0, 1], as decoded (need not be 8-bit values).
            k: how many items to return.
            certify: also prove radii.
            eps_l2: ℓ2 budget for the verdict; None for the verdict on the query as it is.

        Raises:
            UsageError: bad k, pixels or budget.
        """
        return self.answer_many([pixels], k=k, certify=certify, eps_l2=[eps_l2])[0]

    def answer_many(
        self,
        images: Sequence[Float64],
        *,
        k: int = 10,
        certify: bool = False,
        eps_l2: Sequence[float | None] | None = None,
    ) -> list[Answer]:
        """Answer several queries with one float32 search; the answers are those of :meth:`answer`, one by one."""
        if k < 1:
            raise UsageError(f"k must be at least 1, got {k}")
        for pixels in images:
            _check_pixels(pixels)
        budgets = eps_l2 if eps_l2 is not None else [None] * len(images)
        _check_budgets(budgets, len(images))
        began = time.perf_counter()
        embedded = [[channel.embed_query(pixels) for channel in self.channels] for pixels in images]
        share = (time.perf_counter() - began) / max(1, len(images))
        answers = self._search(images, embedded, budgets, k, certify)
        search = (time.perf_counter() - began) / max(1, len(images)) - share
        return [replace(answer, seconds={"embed": share, "search": search}) for answer in answers]

    def _search(
        self,
        images: Sequence[Float64],
        embedded: list[list[QueryEmbedding]],
        budgets: Sequence[float | None],
        k: int,
        certify: bool,
    ) -> list[Answer]:
        answers: list[Answer | None] = [self._refusal(i, e, k) for i, e in zip(images, embedded, strict=True)]
        open_ones = [number for number, answer in enumerate(answers) if answer is None]
        count = max(SHORTLIST, 4 * k)
        lists = []
        for number, channel in enumerate(self.channels):
            zs = np.stack([embedded[q][number].z for q in open_ones]) if open_ones else np.empty((0, 1))
            lists.append(shortlists(channel, zs, count) if open_ones else [])
        for place, query in enumerate(open_ones):
            job = _Job(self, images[query].shape[1], images[query].shape[0], k, certify, budgets[query])
            answers[query] = job.settle(embedded[query], [per_channel[place] for per_channel in lists])
        return [answer for answer in answers if answer is not None]

    def _refusal(self, pixels: Float64, embedded: list[QueryEmbedding], k: int) -> Answer | None:
        """The answer to a query that cannot be compared at all."""
        pairs = zip(self.channels, embedded, strict=True)
        reasons = ["the gallery is empty"] if self.gallery.items == 0 else []
        reasons += [why for channel, query in pairs if (why := channel.why_refused(query.z))]
        if not reasons:
            return None
        verdict: VerdictName = "undecided" if self.why_uncertified() is None else "uncertified"
        blank = _Job(self, pixels.shape[1], pixels.shape[0], k, False, None).blank()
        return replace(blank, verdict=verdict, verdict_because=reasons[0], withheld=reasons[0])

    def why_uncertified(self) -> str | None:
        """Why this index can certify nothing, or None."""
        return next((why for channel in self.channels if (why := channel.why_uncertified)), None)

    def paths_of(self, group: int) -> tuple[str, ...]:
        """Files of one item, in row order."""
        rows = np.flatnonzero(self.gallery.groups == group)
        return tuple(dict.fromkeys(self.gallery.catalog["path"].take(rows).to_pylist()))


@dataclass(frozen=True)
class _Job:
    """One query on its way to an answer."""

    engine: Engine
    width: int
    height: int
    k: int
    certify: bool
    eps: float | None

    @property
    def values(self) -> int:
        return 3 * self.width * self.height

    def settle(self, embedded: list[QueryEmbedding], lists: list[Any]) -> Answer:
        channels = self.engine.channels
        found = [proof_of(q, c, self.values) for q, c in zip(embedded, channels, strict=True)]
        proofs = [proof for proof in found if proof is not None]
        certify = self.certify and len(proofs) == len(channels)
        if len(channels) == 1 or any(channel.threshold is None for channel in channels):
            # Without thresholds there are no margins to compare channels by: the first one ranks, unproved.
            certify = certify and len(channels) == 1
            ranking = rank(channels[0], embedded[0].z, lists[0], self.k, found[0] if certify else None)
        else:
            ranking = rank_channels(channels, lists, self.k, proofs, certify=certify)
        return self._answer(ranking, embedded, certify)

    def blank(self) -> Answer:
        """An answer that says nothing yet."""
        engine = self.engine
        return Answer(
            width=self.width,
            height=self.height,
            model=engine.model,
            snapshot=engine.snapshot,
            verdict="undecided",
            point_verdict=None,
            k=self.k,
            matches=(),
            thresholds=tuple(_describe(c.name, c.threshold) for c in engine.channels),
        )

    def _answer(self, ranking: Ranking, embedded: list[QueryEmbedding], proved: bool) -> Answer:
        items = ranking.items
        matches = tuple(self._match(number, item) for number, item in enumerate(items, start=1))
        verdict, because = self._verdict(ranking, proved)
        return replace(
            self.blank(),
            verdict=verdict,
            verdict_because=because,
            point_verdict=ranking.point_verdict,
            matches=matches,
            eps=Radius(self.eps, self.values) if proved and self.eps is not None else None,
            copy=self._radius(ranking.copy) if ranking.copy else None,
            not_a_copy=self._radius(ranking.nothing) if ranking.nothing else None,
            certificate=self._certificate(ranking, embedded) if proved else None,
            withheld=None if proved else self._withheld(),
        )

    def _withheld(self) -> str:
        if self.certify and len(self.engine.channels) > 1:
            return "several channels are ranked by their margins, and the gallery is too small to set thresholds"
        return self.engine.why_uncertified() or "not asked for (--certify)"

    def _verdict(self, ranking: Ranking, proved: bool) -> tuple[VerdictName, str | None]:
        uncertified = self.engine.why_uncertified()
        if uncertified:
            return "uncertified", uncertified
        if ranking.point_verdict is None:
            return (
                "undecided",
                "no threshold: the gallery is too small for one; see retr calibrate, or give --threshold",
            )
        if not proved or self.eps is None:
            return ("copy" if ranking.point_verdict == "copy" else "not-a-copy"), None
        verdict = verdict_at(self.eps, copy=ranking.copy or 0.0, nothing=ranking.nothing or 0.0)
        if verdict != "undecided":
            return verdict, None
        reach = Radius(max(ranking.copy or 0.0, ranking.nothing or 0.0), self.values).rmse
        asked = Radius(self.eps, self.values).rmse
        because = (
            f"{ranking.point_verdict} is proved only up to RMSE {max(reach, 0.0):.3g}, and {asked:.3g} was asked for"
        )
        return "undecided", because

    def _radius(self, l2: float | None) -> Radius | None:
        return None if l2 is None else Radius(l2, self.values)

    def _match(self, number: int, item: RankedItem) -> Match:
        engine = self.engine
        row = engine.gallery.describe(item.row)
        paths = engine.paths_of(item.group)
        return Match(
            rank=number,
            group=item.group,
            id=str(row["id"]),
            path=str(row["path"]),
            view=str(row["view"]),
            score=item.score,
            distance=item.distance,
            channel=engine.channels[item.channel].name,
            top1=self._radius(item.top1),
            topk=self._radius(item.topk),
            copy=self._radius(item.copy) if item.copy else None,
            accepted=item.accepted,
            duplicates=tuple(path for path in paths if path != row["path"]),
        )

    def _certificate(self, ranking: Ranking, embedded: list[QueryEmbedding]) -> Certificate:
        live = int(self.engine.gallery.live.sum())
        first = ranking.items[0]
        # The channel with the largest constant stands for all: every radius was divided by its own L.
        worst = max(embedded, key=lambda query: query.lipschitz.value if query.lipschitz else math.inf)
        assert worst.network is not None
        slack = 0.0
        if first.raw_top1 is not None and first.top1 is not None:
            slack = max(0.0, first.raw_top1 - first.top1)
        limit = first.limited_by
        return Certificate(
            rows_scanned=live,
            rows_total=live,
            network=worst.network,
            resize=worst.resize,
            slack=slack,
            limited_by=None if limit is None else self._id_of(limit),
        )

    def _id_of(self, group: int) -> str:
        row = int(np.flatnonzero(self.engine.gallery.groups == group)[0])
        return str(self.engine.gallery.describe(row)["id"])


def _open_channel(path: Path, gallery: Gallery, number: int, gpu: bool, threshold: float | None) -> Channel:
    spec = gallery.snapshot.channels[number]
    if threshold is not None:
        check_threshold(spec.score, threshold)
    embedder = open_model(path, spec)
    check_rows(gallery.stores[number], spec.name)
    chosen = spec.threshold if threshold is None else Threshold(threshold, "given", math.nan, 0)
    gaps = None if chosen is None or chosen.gaps is None else gaps_of(gallery.snapshot, read_gaps(path, chosen.gaps))
    return Channel(spec.name, embedder, gallery.stores[number], gallery.groups, chosen, gpu, gaps)


def _describe(name: str, threshold: Threshold | None) -> dict[str, Any]:
    if threshold is None:
        return {"channel": name, "value": None, "source": "none"}
    fpr = None if math.isnan(threshold.fpr) else threshold.fpr
    return {
        "channel": name,
        "value": threshold.value,
        "offset": threshold.offset,
        "source": threshold.source,
        "fpr": fpr,
        "samples": threshold.samples,
        "upper95": threshold.upper95,
        "provisional": threshold.source == "leave-one-out",
        "stale": threshold.stale,
    }


def _check_pixels(pixels: Float64) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.float64 or 0 in pixels.shape:
        raise UsageError(f"a query is (H, W, 3) float64, got {pixels.shape} {pixels.dtype}")
    if not (np.isfinite(pixels).all() and pixels.min() >= 0.0 and pixels.max() <= 1.0):
        raise UsageError("pixels of a query lie in [0, 1]")


def _check_budgets(budgets: Sequence[float | None], count: int) -> None:
    if len(budgets) != count:
        raise UsageError(f"{count} queries need {count} budgets, got {len(budgets)}")
    for eps in budgets:
        if eps is not None and not (math.isfinite(eps) and eps >= 0):
            raise UsageError(f"a budget must be finite and ≥ 0, got {eps}")
