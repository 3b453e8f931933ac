"""``retr calibrate``: a threshold from images known to be absent, with a bound that holds for finitely many of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..core.errors import IndexStateError, UsageError
from ..indexer.snapshot import Threshold, require_current
from ..indexer.thresholds import Measured, by_reference, measure
from ..indexer.vectors import Ids
from ..indexer.writer import Writer
from .channel import Float64, reach_of_gaps
from .conformal import check_enough, set_offsets, set_thresholds
from .engine import Engine
from .index_source import IndexSource
from .known_pairs import KnownPairs
from .nearness import best_scores
from .negatives import Negatives, embed_negative, read_negatives
from .probe import Probe
from .survey import Pairs, certain, in_reference, levels, searched, within

THRESHOLDS = ("local", "global")
"""One threshold for each row, or one for each channel."""


def check_thresholds(name: str) -> bool:
    """Whether they are to be local.

    Raises:
        UsageError: neither ``local`` nor ``global``.
    """
    if name not in THRESHOLDS:
        raise UsageError(f"thresholds are {' or '.join(THRESHOLDS)}, not {name!r}")
    return name == "local"


PRESUMED, COUNTED = "presumed", "counted"
"""What becomes of a negative that is near a stored row: it is set aside as a presumed copy, or is a false match."""


@dataclass(frozen=True, slots=True)
class NearPair:
    """A negative and the gallery image that it is nearest to, of those whose share of their gap it lies within.

    Attributes:
        negative: its path; stored: the path of the gallery's image; id: of that in the catalog.
        channel: that sees them so near.
        nearness: how near, as a part of the row's gap.
        relation: ``presumed`` or ``counted``.
    """

    negative: str
    stored: str
    id: str
    channel: str
    nearness: float
    relation: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """What calibration found.

    Attributes:
        snapshot: id of the snapshot that holds the thresholds now.
        negatives: images used; refused: images that could not be decoded; present: images left out because the
            gallery holds the same pixels; known: because they are listed as copies; in_reference: because they are
            pictures of a reference set.
        thresholds: per channel.
        pairs: negatives that are near a row, nearest first. Those presumed to be copies of it were left out.
    """

    snapshot: str
    negatives: int
    refused: int
    present: tuple[str, ...]
    thresholds: tuple[tuple[str, Threshold], ...]
    known: tuple[str, ...] = ()
    in_reference: tuple[str, ...] = ()
    pairs: tuple[NearPair, ...] = ()


def calibrate(
    index: Path,
    paths: Sequence[str],
    *,
    fpr: float,
    shares: Sequence[float] | None = None,
    local: bool = True,
    known: KnownPairs | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Calibration:
    """Set every channel's threshold so that a new image that is absent matches with probability at most ``fpr``.

    A match is one in any channel (THEORY T9): the thresholds are set together (``conformal.set_thresholds``, where the
    theorem stands). Distribution-free, for n negatives and a future one that are exchangeable: it is accepted with
    probability at most ``fpr``, on average over draws of the negatives. For independent draws ``upper95`` bounds the
    rate of these very thresholds, with 95 % confidence. Neither says anything about queries of another kind, nor of
    images that would be set aside as presumed copies: whoever doubts that those are copies looks at ``pairs``.

    Args:
        index: the index folder.
        paths: image files known to have no copy in the gallery.
        fpr: false-match rate per query that is aimed at, in (0, 1).
        shares: per channel, its part of the false matches; None for equal parts.
        local: give every row a threshold of its own, by how near unrelated pictures come (``indexer.gaps``);
            False for one threshold per channel.
        known: what people say of pairs.
        advance: called after each image.

    Raises:
        UsageError: fpr or shares out of range, too few negatives to say anything about so small a rate (said before
            any is embedded, where their number alone says so), or a negative that no threshold can tell from a stored
            row.
        IndexStateError: no index, an empty one, or an unfinished run in it.
    """
    if not 0.0 < fpr < 1.0:
        raise UsageError(f"fpr must lie between 0 and 1, got {fpr}")
    check_enough(len(paths), fpr, len(require_current(index).channels))
    with Writer(index) as writer:
        engine = Engine.open(index)
        if engine.gallery.items == 0:
            raise IndexStateError(f"{index} holds no images: there is nothing to match, and nothing to calibrate")
        read = read_negatives(engine, paths, advance)
        near = Nearness(engine, local=local, known=known or KnownPairs())
        near.take(read)
        try:
            found = near.thresholds(fpr=fpr, shares=shares)
        except UsageError as why:
            raise UsageError(f"{why}{near.left_out()}") from None
        done = writer.set_thresholds(found, on=engine.gallery.snapshot.id)
    return replace(near.report(found), snapshot=done.id)


class Nearness:
    """How near negatives come to an index, channel by channel, and the thresholds that they set.

    Args:
        engine: the opened index.
        local: give every row a threshold of its own.
        known: what people say of pairs.
    """

    def __init__(self, engine: Engine, *, local: bool, known: KnownPairs | None = None) -> None:
        self._engine, self._known = engine, known or KnownPairs()
        self._measured = measure(engine.path, engine.gallery) if local else None
        self._read = Negatives()
        self._used = self._read
        self._left: dict[str, list[str]] = {}
        self._pairs: tuple[NearPair, ...] = ()

    def see(self, images: Sequence[Float64]) -> None:
        """Look at some negatives: (H, W, 3) float64 in [0, 1]."""
        for pixels in images:
            self._read.names.append("")
            self._read.images.append(embed_negative(self._engine.channels, pixels))

    def take(self, read: Negatives) -> None:
        """Look at these negatives."""
        self._read = read

    def thresholds(self, *, fpr: float, shares: Sequence[float] | None = None) -> tuple[Threshold, ...]:
        """One for each channel.

        Raises:
            UsageError: as :func:`calibrate`.
        """
        stored = self._engine.gallery.catalog["path"].to_pylist() if self._known.copies else []
        self._used = self._without("known", self._read, np.array(self._known.copies_of(self._read.names, stored), "i8"))
        if self._measured is None:
            return self._global(fpr, shares)
        return self._local(self._measured, fpr, shares)

    def report(self, found: Sequence[Threshold]) -> Calibration:
        """What is to be said of it; the snapshot is not known here."""
        named = tuple((c.name, threshold) for c, threshold in zip(self._engine.channels, found, strict=True))
        known, reference = (tuple(self._left.get(why, ())) for why in ("known", "in_reference"))
        present, refused = tuple(self._read.present), len(self._read.refused)
        count = len(self._used.images)
        return Calibration("", count, refused, present, named, known, reference, self._pairs)

    def left_out(self) -> str:
        """Why fewer negatives count than were given."""
        presumed = [pair for pair in self._pairs if pair.relation == PRESUMED]
        parts = {
            "hold no acceptable image": self._read.refused,
            "have their very pixels in the index": self._read.present,
            "are listed as copies": self._left.get("known", ()),
            "are pictures of the reference set": self._left.get("in_reference", ()),
            "are presumed copies": presumed,
        }
        said = " and ".join(f"{len(those)} {why}" for why, those in parts.items() if those)
        return f" (left out: {said})" if said else ""

    def _without(self, why: str, negatives: Negatives, numbers: Ids) -> Negatives:
        self._left[why] = [negatives.names[n] for n in numbers]
        return negatives.keep(np.setdiff1d(np.arange(len(negatives.names)), numbers)) if len(numbers) else negatives

    def _zs(self) -> list[Float64]:
        parts = enumerate(self._engine.channels)
        return [searched(self._used.zs(number, channel.store.dim), channel) for number, channel in parts]

    def _local(self, measured: Measured, fpr: float, shares: Sequence[float] | None) -> tuple[Threshold, ...]:
        # Pictures that the gaps were measured to are no negatives: each lies as far from every row as its gap says.
        pairs = zip(measured.references, self._zs(), strict=True)
        seen = [in_reference(reference, zs) for reference, zs in pairs]
        self._used = self._without("in_reference", self._used, np.unique(np.concatenate(seen)))
        gaps = [own.gap for own in measured.gaps]
        near = []
        for channel, reference, zs, gap in zip(
            self._engine.channels, measured.references, self._zs(), gaps, strict=True
        ):
            share = Threshold(0.0, "", None, 0, share=reference.share)
            near.append(within(channel, zs, reach_of_gaps(share, gap)))
        aside = self._aside(measured, near)
        kept = np.setdiff1d(np.arange(len(self._used.images)), aside)
        place = np.full(len(self._used.images), -1)
        place[kept] = np.arange(len(kept))
        counted = [own.take(place[own.negatives] >= 0) for own in near]
        counted = [replace(own, negatives=place[own.negatives]) for own in counted]
        self._used = self._used.keep(kept)
        offsets, limit = set_offsets(levels(counted, gaps, len(kept)), fpr=fpr, shares=shares)
        rate = Threshold(0.0, "calibrated", fpr, len(kept), limit)
        parts = zip(measured.references, measured.digests, offsets, strict=True)
        return tuple(by_reference(reference, digest, rate, offset=offset) for reference, digest, offset in parts)

    def _aside(self, measured: Measured, near: Sequence[Pairs]) -> Ids:
        """Negatives that are presumed to be copies; all near pairs are noted."""
        sure = [
            self._presumed(pairs, certain(pairs, gaps.gap, reference.certain))
            for pairs, gaps, reference in zip(near, measured.gaps, measured.references, strict=True)
        ]
        aside = np.unique(np.concatenate([pairs.negatives[own] for pairs, own in zip(near, sure, strict=True)]))
        gone = set(aside.tolist())
        best: dict[int, NearPair] = {}
        for number, pairs, gaps in zip(range(len(near)), near, measured.gaps, strict=True):
            for negative, pair in self._nearest(number, pairs, gaps.gap, gone):
                held = best.get(negative)
                best[negative] = pair if held is None or pair.nearness < held.nearness else held
        self._pairs = tuple(sorted(best.values(), key=lambda pair: pair.nearness))
        return aside

    def _presumed(self, pairs: Pairs, sure: np.ndarray) -> np.ndarray:
        """Those that nobody says are different pictures."""
        if not self._known.different:
            return sure
        names, stored = self._used.names, self._engine.gallery.catalog["path"]
        for place in np.flatnonzero(sure):
            path = stored[int(pairs.rows[place])].as_py()
            sure[place] = not self._known.says_different(names[int(pairs.negatives[place])], path)
        return sure

    def _nearest(self, number: int, pairs: Pairs, gap: np.ndarray, gone: set[int]) -> Iterator[tuple[int, NearPair]]:
        parts = pairs.far / gap[pairs.rows].astype(np.float64)
        order = np.lexsort((pairs.rows, parts, pairs.negatives))
        for place in order[np.unique(pairs.negatives[order], return_index=True)[1]]:
            negative, row = int(pairs.negatives[place]), self._engine.gallery.describe(int(pairs.rows[place]))
            yield (
                negative,
                NearPair(
                    self._used.names[negative],
                    str(row["path"]),
                    str(row["id"]),
                    self._engine.channels[number].name,
                    float(parts[place]),
                    PRESUMED if negative in gone else COUNTED,
                ),
            )

    def _global(self, fpr: float, shares: Sequence[float] | None) -> tuple[Threshold, ...]:
        channels = self._engine.channels
        source = IndexSource(channels, self._engine.gallery.table)
        scores = np.empty((len(self._used.images), len(channels)))
        for number, channel in enumerate(channels):
            zs = self._used.zs(number, channel.store.dim)
            probes = [_probe(number, z, channel.score) for z in zs]
            parts = [best_scores(source, probes[first : first + _AT_ONCE]) for first in range(0, len(zs), _AT_ONCE)]
            scores[:, number] = np.concatenate([np.zeros(0), *parts])
        return set_thresholds(scores, cosine=[c.score == "cosine" for c in channels], fpr=fpr, shares=shares)


_AT_ONCE = 512
"""Negatives of one float32 search."""


def _probe(number: int, z: Float64, score: str) -> Probe:
    """An embedding that only asks what is near; zeros stand for what the channel refuses."""
    refused = None if z.any() or score != "cosine" else "no direction"
    return Probe(number, "original", z, score, None, False, None, refused)  # pyright: ignore[reportArgumentType]
