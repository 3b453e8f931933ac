"""``retr calibrate``: a threshold from images known to be absent, with a bound that holds for finitely many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..core.errors import IndexStateError, UsageError
from ..core.progress import Progress, Silent
from ..core.types import Score
from ..indexer.snapshot import Threshold
from ..indexer.thresholds import Measured, by_reference, measure
from ..indexer.vectors import Ids
from ..indexer.writer import Writer
from .at_worst import limit_at_worst
from .channel import ORIGINAL, Float64, Pixels
from .conformal import check_enough, check_shares, set_offsets, set_thresholds
from .engine import Engine
from .index_source import IndexSource
from .known_pairs import KnownPairs
from .near_pairs import PRESUMED, Judged, NearPair, judge, most_of, near_rows
from .nearness import best_scores
from .negatives import Negatives, embed_negative, read_negatives
from .probe import Probe
from .repeated import presumed_repeated, same_pixels
from .survey import in_reference, levels, searched

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


@dataclass(frozen=True, slots=True)
class Calibration:
    """What calibration found.

    Attributes:
        snapshot: id of the snapshot that holds the thresholds now.
        negatives: images used; refused: images that could not be decoded; present: images left out because the
            gallery holds the same pixels; known: because they are listed as copies; in_reference: because they are
            pictures of a reference set; repeated: images that are presumed to be copies of other negatives, and are
            used like all others.
        thresholds: per channel.
        pairs: negatives that are near a row, nearest first. Those presumed to be copies of it were left out.
        at_worst: 95 % limit on the false-match rate if none of those were copies, and each matched; None where none was
            left out.
    """

    snapshot: str
    negatives: int
    refused: int
    present: tuple[str, ...]
    thresholds: tuple[tuple[str, Threshold], ...]
    known: tuple[str, ...] = ()
    in_reference: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    pairs: tuple[NearPair, ...] = ()
    at_worst: float | None = None


def calibrate(
    index: Path,
    paths: Sequence[str],
    *,
    fpr: float,
    shares: Sequence[float] | None = None,
    local: bool = True,
    known: KnownPairs | None = None,
    progress: Progress | None = None,
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
        progress: told how far it is.

    Raises:
        UsageError: fpr or shares out of range, known pairs of other images, too few negatives to say anything about so
            small a rate (said before any is embedded, where their number alone says so), or a negative that no
            threshold can tell from a stored row.
        IndexStateError: no index, an empty one, or an unfinished run in it.
    """
    if not 0.0 < fpr < 1.0:
        raise UsageError(f"fpr must lie between 0 and 1, got {fpr}")
    with Writer(index) as writer:
        engine = Engine.open(index, unsilenced=True).surveying
        check_rule(engine, local=local)
        if engine.gallery.items == 0:
            raise IndexStateError(f"{index} holds no images: there is nothing to match, and nothing to calibrate")
        check_shares(shares, len(engine.channels))
        _check_given(len(paths), fpr, len(engine.channels))  # before any of them is embedded
        if known is not None:
            known.check_names(paths, engine.gallery.catalog["path"].to_pylist())
        told = progress or Silent()
        read = read_negatives(engine, paths, told)
        near = Nearness(engine, local=local, known=known, progress=told)
        near.take(read)
        try:
            found = near.thresholds(fpr=fpr, shares=shares)
        except UsageError as why:
            raise UsageError(f"{why}{near.left_out()}") from None
        done = writer.set_thresholds(found, on=engine.gallery.snapshot.id)
    return replace(near.report(found), snapshot=done.id)


def _check_given(count: int, fpr: float, channels: int) -> None:
    try:
        check_enough(count, fpr, channels)
    except UsageError as why:
        raise UsageError(f"{why}. Of those given, copies and files that hold no image do not count") from None


def check_rule(engine: Engine, *, local: bool) -> None:
    """Refuse one threshold for all rows where views of a query are compared: each pair class has its own.

    Raises:
        UsageError: it was asked for.
    """
    if engine.scopes and not local:
        raise UsageError(
            f"this index compares views of a query (views {engine.gallery.snapshot.views!r}), by thresholds for each "
            "row: set local ones"
        )


class Nearness:
    """Negatives, how near they come to an index, and the thresholds that they set.

    Args:
        engine: the opened index.
        local: give every row a threshold of its own.
        known: what people say of pairs.
        progress: told while gaps are measured and negatives compared.

    Raises:
        UsageError: one threshold for all rows, for an index that compares views of a query.
    """

    def __init__(
        self, engine: Engine, *, local: bool, known: KnownPairs | None = None, progress: Progress | None = None
    ) -> None:
        check_rule(engine, local=local)
        self._engine, self._known, self._progress = engine, known or KnownPairs(), progress or Silent()
        self._measured = measure(engine.path, engine.gallery, self._progress) if local else None
        self._read = self._used = Negatives()
        self._left: dict[str, tuple[str, ...]] = {}
        self._repeats: set[str] = set()
        self._pairs: tuple[NearPair, ...] = ()
        self._at_worst: float | None = None

    def see(self, images: Sequence[Pixels]) -> None:
        """Look at some negatives: (H, W, 3) float64 in [0, 1]."""
        for pixels in images:
            self._read.names.append("")
            self._read.images.append(embed_negative(self._engine, pixels))

    def take(self, read: Negatives) -> None:
        """Look at these negatives."""
        self._read = read

    def thresholds(self, *, fpr: float, shares: Sequence[float] | None = None) -> tuple[Threshold, ...]:
        """One for each channel.

        Raises:
            UsageError: as :func:`calibrate`.
        """
        stored = self._engine.gallery.catalog["path"].to_pylist() if self._known.copies else []
        self._used, self._left = self._read, {}
        self._leave_out("known", np.array(self._known.copies_of(self._read.names, stored), dtype=np.int64))
        self._repeats = {self._used.names[n] for n in same_pixels([one.pixels_sha256 for one in self._used.images])}
        if self._measured is None:
            return self._global(fpr, shares)
        return self._local(self._measured, fpr, shares)

    def report(self, found: Sequence[Threshold]) -> Calibration:
        """What is to be said of it; the snapshot is not known here."""
        return Calibration(
            snapshot="",
            negatives=len(self._used.images),
            refused=len(self._read.refused),
            present=tuple(self._read.present),
            thresholds=tuple((c.name, threshold) for c, threshold in zip(self._engine.channels, found, strict=True)),
            known=self._left["known"],
            in_reference=self._left.get("in_reference", ()),
            repeated=tuple(name for name in self._used.names if name in self._repeats),
            pairs=self._pairs,
            at_worst=self._at_worst,
        )

    def left_out(self) -> str:
        """Why fewer negatives count than were given."""
        parts = {
            "hold no acceptable image": self._read.refused,
            "have their very pixels in the index": self._read.present,
            "are listed as copies": self._left.get("known", ()),
            "are pictures of the reference set": self._left.get("in_reference", ()),
            "are presumed copies": [pair for pair in self._pairs if pair.relation == PRESUMED],
        }
        said = " and ".join(f"{len(those)} {why}" for why, those in parts.items() if those)
        return f" (left out: {said})" if said else ""

    def _leave_out(self, why: str, numbers: Ids) -> None:
        self._left[why] = (*self._left.get(why, ()), *(self._used.names[n] for n in numbers))
        if len(numbers):
            self._used = self._used.keep(np.setdiff1d(np.arange(len(self._used.images)), numbers))

    def _zs(self) -> list[Float64]:
        """Per test."""
        parts = [(place, self._engine.channels[number]) for place, (number, _) in enumerate(self._engine.tests)]
        return [searched(self._used.zs(place, channel.store.dim), channel) for place, channel in parts]

    def _themselves(self) -> list[Float64]:
        """Per channel, embeddings of the negatives as they are."""
        pairs = zip(self._engine.tests, self._zs(), strict=True)
        return [zs for (_, view), zs in pairs if view == ORIGINAL.name]

    def _local(self, measured: Measured, fpr: float, shares: Sequence[float] | None) -> tuple[Threshold, ...]:
        # Pictures that the gaps were measured to are no negatives: each lies as far from every row as its gap says.
        parts = zip(measured.references, self._themselves(), strict=True)
        self._leave_out("in_reference", np.unique(np.concatenate([in_reference(*part) for part in parts])))
        repeated = presumed_repeated(measured.references, self._themselves(), self._progress)
        self._repeats |= {self._used.names[n] for n in repeated}
        near = near_rows(self._engine, measured, self._zs(), self._progress)
        judged = judge(self._engine, measured, near, self._used.names, self._known)
        self._pairs, self._used = judged.pairs, self._used.keep(judged.kept)
        found = levels(judged.counted, [own.gap for own in measured.gaps], len(judged.kept))
        offsets, limit = set_offsets(found, fpr=fpr, shares=shares)
        cuts = check_enough(len(judged.kept), fpr, found.shape[1])
        self._at_worst = _at_worst(judged, cuts) if judged.sure + judged.likely else None
        rate = Threshold(0.0, "calibrated", fpr, len(judged.kept), limit)
        return tuple(
            by_reference(reference, digest, rate, offset=offset)
            for reference, digest, offset in zip(measured.references, measured.digests, offsets, strict=True)
        )

    def _global(self, fpr: float, shares: Sequence[float] | None) -> tuple[Threshold, ...]:
        channels = self._engine.channels
        source = IndexSource(channels, self._engine.gallery.table)
        scores = np.empty((len(self._used.images), len(channels)))
        for number, channel in enumerate(channels):
            probes = [_probe(number, z, channel.score) for z in self._used.zs(number, channel.store.dim)]
            parts = [best_scores(source, probes[at : at + _AT_ONCE]) for at in range(0, len(probes), _AT_ONCE)]
            scores[:, number] = np.concatenate([np.zeros(0), *parts])
        return set_thresholds(scores, cosine=[c.score == "cosine" for c in channels], fpr=fpr, shares=shares)


def _at_worst(judged: Judged, cuts: int) -> float:
    kept = len(judged.kept)
    most = most_of(kept + judged.sure + judged.likely)
    return limit_at_worst(cuts=cuts, kept=kept, sure=judged.sure, likely=judged.likely, most=most)


_AT_ONCE = 512
"""Negatives of one float32 search."""


def _probe(number: int, z: Float64, score: Score) -> Probe:
    """An embedding that only asks what is near; zeros stand for what the channel refuses."""
    refused = "no direction" if score == "cosine" and not z.any() else None
    return Probe(number, "original", z, score, None, local=False, bounds=None, refused=refused)
