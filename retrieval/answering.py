"""From a ranking to the answer that is given: names from the catalog, radii with their units, the verdict in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..certificates.proof import Certificate
from ..certificates.verdicts import verdict_at
from ..core.rounded import budget_text, radius_text
from ..core.units import Radius
from ..indexer.entries import is_there
from ..indexer.gallery import Gallery
from ..indexer.snapshot import Threshold
from ..indexer.where import Condition
from .answer import Answer, Basis, Companion, Match, VerdictName
from .channel import Channel
from .probe import Query
from .ranking import CERTIFIED, COMPANION, RankedItem, Ranking
from .tiers import Spoken

PIXELS = "pixels"
"""Named as the channel of a match that was found by its pixels' SHA-256."""
NOT_ASKED = "not asked for (certify)"


@dataclass(frozen=True)
class Answering:
    """How one query of an index is answered.

    Attributes:
        gallery, channels: of the index.
        query: as embedded.
        k: how many items were asked for.
        certify: whether radii were.
        eps: ℓ2 budget of the verdict; None for the verdict on the query as it is.
        asked: the budget in the words it was asked in.
        where: conditions that the gallery's rows fulfil.
        companions: channels that find what they cannot prove (THEORY T11).
    """

    gallery: Gallery
    channels: tuple[Channel, ...]
    query: Query
    k: int
    certify: bool = False
    eps: float | None = None
    asked: str | None = None
    where: tuple[Condition, ...] = ()
    companions: tuple[Channel, ...] = ()

    def refuse(self, why: str, *, same: Sequence[Mapping[str, object]] = ()) -> Answer:
        """The answer to a query that cannot be compared at all.

        Args:
            why: it cannot.
            same: catalog rows of images with its very pixels: it is a copy of them, whatever the network sees in it.
        """
        uncertified = why_uncertified(self.channels)
        if not same:
            verdict: VerdictName = "undecided" if uncertified is None else "uncertified"
            return replace(self._blank(), verdict=verdict, verdict_because=why, withheld=why)
        because = f"{why}: the match has the same pixels, by their SHA-256, and nothing is proved of changes"
        return replace(
            self._blank(),
            verdict="copy" if uncertified is None else "uncertified",
            verdict_because=uncertified,
            point_verdict="copy",
            matches=(self._same_pixels(same),),
            withheld=because,
        )

    def _same_pixels(self, rows: Sequence[Mapping[str, object]]) -> Match:
        """The match of images that were compared by their pixels alone."""
        row, others = _there(rows)
        alone = len(self.channels) == 1 and self.channels[0].score == "cosine"
        return Match(
            rank=1,
            group=-1,
            id=str(row["id"]),
            path=str(row["path"]),
            view=str(row["view"]),
            score=1.0 if alone else 0.0,
            distance=0.0,
            channel=PIXELS,
            accepted=True,
            duplicates=others,
        )

    def answer(self, ranking: Ranking, spoken: Spoken | None = None) -> Answer:
        """The answer that a settled ranking gives; ``spoken`` is what companions had to do with it."""
        proved = ranking.certified and not (spoken is not None and not _first_tier(ranking))
        verdict, because = self._verdict(ranking, spoken)
        return replace(
            self._blank(),
            verdict=verdict,
            verdict_because=because,
            point_verdict=_point_verdict(ranking),
            matches=tuple(self._match(number, item) for number, item in enumerate(ranking.items, start=1)),
            eps=self._radius(self.eps) if proved else None,
            copy=self._radius(ranking.copy or None),
            not_a_copy=self._radius(ranking.nothing or None),
            certificate=self._certificate(ranking) if proved else None,
            withheld=None if proved else self._withheld(ranking, spoken),
            basis=Basis(self.query, ranking) if proved else None,
            companion=None if spoken is None else self._companion(ranking, spoken),
        )

    def _blank(self) -> Answer:
        """An answer that says nothing yet."""
        return Answer(
            width=self.query.width,
            height=self.query.height,
            model=model_name(self.channels),
            snapshot=self.gallery.name,
            verdict="undecided",
            point_verdict=None,
            k=self.k,
            matches=(),
            tests=len(self.query.probes) + len(self.companions),
            thresholds=(
                *(_describe(channel.name, channel.threshold) for channel in self.channels),
                *(_describe(one.name, one.threshold) | {"role": COMPANION} for one in self.companions),
            ),
            where=tuple(map(str, self.where)),
        )

    def _withheld(self, ranking: Ranking, spoken: Spoken | None) -> str:
        silent = _missing(ranking)
        if silent is not None:
            return silent
        if spoken is not None and ranking.certified:
            return f"no certified channel accepts the query, and {self._could_accept}"
        if self.certify and len(self.query.probes) > 1:
            return "several channels are ranked by their margins, and the gallery is too small to set thresholds"
        return why_uncertified(self.channels) or NOT_ASKED

    @property
    def _could_accept(self) -> str:
        """Why nothing is proved outside of the first tier, in words."""
        names = " and ".join(channel.name for channel in self.companions)
        return f"the companion {names} could be made to accept anything (ask the certified channels alone for proofs)"

    def _companion(self, ranking: Ranking, spoken: Spoken) -> Companion:
        """What is said of the companions."""
        return Companion(
            channels=tuple(channel.name for channel in self.companions),
            answered=not spoken.silent,
            because=spoken.why,
            names_copy=spoken.names,
            finds=sum(item.tier == COMPANION for item in ranking.items),
        )

    def _verdict(self, ranking: Ranking, spoken: Spoken | None) -> tuple[VerdictName, str | None]:
        verdict, because = self._certified_verdict(ranking, named=spoken is not None and spoken.names)
        if spoken is None or because is not None:
            return verdict, because
        if spoken.names:
            return verdict, "only the companion accepts: not proved"
        if verdict == "not-a-copy":
            missing = f" ({spoken.why})" if spoken.silent else ""
            heard = f"the companion did not answer{missing}" if spoken.silent else "no channel accepts"
            return verdict, f"{heard}: not proved, for {self._could_accept}"
        return verdict, because

    def _certified_verdict(self, ranking: Ranking, *, named: bool) -> tuple[VerdictName, str | None]:
        """The verdict by what is proved; ``named``: the copy is a companion's alone."""
        uncertified, point = why_uncertified(self.channels), _point_verdict(ranking)
        if uncertified:
            return "uncertified", uncertified
        if point is None or (_missing(ranking) and self.eps is not None):
            return "undecided", _missing(ranking) or (
                "no threshold: the gallery is too small for one; calibrate the index, or give a threshold"
            )
        if not ranking.certified or self.eps is None:
            return ("copy" if point == "copy" else "not-a-copy"), None
        if named:
            return "undecided", f"copy, not proved: {self._could_accept}, and here no other channel accepts"
        if self.companions and point != "copy":
            return "undecided", f"not a copy cannot be proved: {self._could_accept}"
        verdict = verdict_at(self.eps, copy=ranking.copy or 0.0, nothing=ranking.nothing or 0.0)
        return (verdict, None) if verdict != "undecided" else (verdict, self._too_near(ranking, self.eps))

    def _of_the_blind(self, ranking: Ranking) -> str:
        """What views that show nothing leave of a proof, in words."""
        if self.query.blind is None or ranking.point_verdict == "copy":
            return ""
        views = ", ".join(self.query.blind.views)
        return f" (of the query, {views} shows nothing, and after any change it might show anything)"

    def _too_near(self, ranking: Ranking, eps: float) -> str:
        """Why a verdict does not hold at the budget; what is proved is rounded down, what was asked is not rounded."""
        reach = Radius(max(ranking.copy or 0.0, ranking.nothing or 0.0), self.query.values)
        proved = f"RMSE {radius_text(reach.rmse)} (ℓ2 {radius_text(reach.l2)})"
        asked = self.asked or f"ℓ2 {budget_text(eps)}"
        blind = self._of_the_blind(ranking)
        return f"{ranking.point_verdict} is proved only up to {proved}{blind}, and {asked} was asked for"

    def _radius(self, l2: float | None) -> Radius | None:
        return None if l2 is None else Radius(l2, self.query.values)

    def _match(self, number: int, item: RankedItem) -> Match:
        group = int(self.gallery.groups[item.row])
        row, others = _there(self.gallery.files_of(group, item.row))
        heard = (probe for probe in self.query.companions if not probe.refused)  # as ``companions.hear`` asks them
        probe = (*self.query.probes, *heard)[item.probe]
        return Match(
            rank=number,
            group=group,
            id=str(row["id"]),
            path=str(row["path"]),
            view=str(row["view"]),
            score=item.score,
            distance=item.distance,
            channel=(*self.channels, *self.companions)[probe.channel].name,
            query_view=probe.view,
            top1=self._radius(item.top1),
            topk=self._radius(item.topk),
            copy=self._radius(item.copy or None),
            accepted=item.accepted,
            duplicates=others,
            tier=item.tier,
        )

    def _certificate(self, ranking: Ranking) -> Certificate:
        first = ranking.items[0]
        # The probe with the largest constant stands for all: every radius was divided by its own L.
        worst = max(self.query.embedded, key=lambda query: query.lipschitz.value if query.lipschitz else math.inf)
        assert worst.network is not None
        slack = 0.0
        if first.raw_top1 is not None and first.top1 is not None:
            slack = max(0.0, first.raw_top1 - first.top1)
        limit = first.limited_by
        return Certificate(
            rows_scanned=ranking.scanned,
            rows_total=ranking.total,
            network=worst.network,
            resize=worst.resize,
            slack=slack,
            limited_by=None if limit is None else self._id_of_item(limit),
        )

    def _id_of_item(self, row: int) -> str:
        """The id of the first row of the item that a row is of."""
        [first] = self.gallery.table.first_rows(self.gallery.groups[[row]])
        return str(self.gallery.describe(int(first))["id"])


def _there(rows: Sequence[Mapping[str, object]]) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """Of files with the same pixels the one that is named, and the paths of the others.

    The first one, unless its file is no longer there and another's is: one was moved, and the index not told yet.
    """
    named = rows[0]
    if len(rows) > 1:
        named = next((row for row in rows if is_there(str(row["path"]))), named)
    paths = dict.fromkeys(str(row["path"]) for row in rows)
    return named, tuple(path for path in paths if path != named["path"])


def why_uncertified(channels: tuple[Channel, ...]) -> str | None:
    """Why an index of these channels can certify nothing, or None."""
    return next((why for channel in channels if (why := channel.why_uncertified)), None)


def model_name(channels: tuple[Channel, ...]) -> str:
    """Names of the channels' models."""
    return "+".join(channel.name for channel in channels)


def _first_tier(ranking: Ranking) -> bool:
    """Whether some certified channel accepts: else there is nothing that a certificate could speak of."""
    return any(item.tier == CERTIFIED for item in ranking.items)


def _missing(ranking: Ranking) -> str | None:
    """Why nothing is proved where a part of the index was not scanned, or None."""
    if ranking.scanned == ranking.total:
        return None
    silent = f"{' and '.join(ranking.missing) or 'a part of the index'} {'are' if ranking.missing[1:] else 'is'} silent"
    return f"{ranking.total - ranking.scanned} of {ranking.total} rows were not scanned: {silent}"


def _point_verdict(ranking: Ranking) -> str | None:
    """What the threshold says; of rows that were not scanned it says nothing, and one of them might accept."""
    return None if _missing(ranking) and ranking.point_verdict != "copy" else ranking.point_verdict


def _describe(name: str, threshold: Threshold | None) -> dict[str, Any]:
    if threshold is None:
        return {"channel": name, "value": None, "source": "none"}
    return {
        "channel": name,
        "value": threshold.value,
        "offset": threshold.offset,
        "source": threshold.source,
        "share": threshold.share,
        "fpr": threshold.fpr,
        "samples": threshold.samples,
        "upper95": threshold.upper95,
        "stale": threshold.stale,
    }
