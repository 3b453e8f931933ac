"""``retr calibrate``: a threshold from images known to be absent, with a bound that holds for finitely many of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..core.errors import ImageRejected, IndexStateError, UsageError
from ..images.decode import DecodedImage, load
from ..indexer.gaps import measure_gaps
from ..indexer.snapshot import Threshold
from ..indexer.vectors import Float32
from ..indexer.writer import Writer
from .channel import Float64, Pixels
from .conformal import set_offsets, set_thresholds
from .engine import Engine
from .index_source import IndexSource
from .nearness import best_levels, best_scores
from .probe import embed

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
            gallery holds the same pixels.
        thresholds: per channel.
    """

    snapshot: str
    negatives: int
    refused: int
    present: tuple[str, ...]
    thresholds: tuple[tuple[str, Threshold], ...]


def calibrate(
    index: Path,
    paths: Sequence[str],
    *,
    fpr: float,
    shares: Sequence[float] | None = None,
    local: bool = True,
    advance: Callable[[], None] = lambda: None,
) -> Calibration:
    """Set every channel's threshold so that a new image that is absent matches with probability at most ``fpr``.

    A match is one in any channel (THEORY T9): the thresholds are set together (``conformal.set_thresholds``, where the
    theorem stands). Distribution-free, for n negatives and a future one that are exchangeable: it is accepted with
    probability at most ``fpr``, on average over draws of the negatives. For independent draws ``upper95`` bounds the
    rate of these very thresholds, with 95 % confidence. Neither says anything about queries of another kind.

    Args:
        index: the index folder.
        paths: image files known to have no copy in the gallery.
        fpr: false-match rate per query that is aimed at, in (0, 1).
        shares: per channel, its part of the false matches; None for equal parts.
        local: give every row a threshold of its own, by how near the gallery's other items are (``indexer.gaps``);
            False for one threshold per channel.
        advance: called after each image.

    Raises:
        UsageError: fpr or shares out of range, too few negatives to say anything about so small a rate, or a negative
            that no threshold can tell from a stored row.
        IndexStateError: no index, an empty one, or an unfinished run in it.
    """
    if not 0.0 < fpr < 1.0:
        raise UsageError(f"fpr must lie between 0 and 1, got {fpr}")
    with Writer(index) as writer:
        engine = Engine.open(index)
        if engine.gallery.items == 0:
            raise IndexStateError(f"{index} holds no images: there is nothing to match, and nothing to calibrate")
        near = Nearness.of(engine, local=local)
        refused, present = _look_at(near, engine, paths, advance)
        try:
            found = near.thresholds(writer, fpr=fpr, shares=shares)
        except UsageError as why:
            raise UsageError(f"{why}{_left_out(refused, len(present))}") from None
        done = writer.set_thresholds(found, on=engine.gallery.snapshot.id)
    named = tuple((channel.name, threshold) for channel, threshold in zip(engine.channels, found, strict=True))
    return Calibration(done.id, near.count, refused, tuple(present), named)


class Nearness:
    """How near negatives come to an index, channel by channel, and the thresholds that they set.

    Args:
        engine: the opened index.
        gaps: per channel, of ``indexer.gaps``; None for one threshold per channel.
    """

    def __init__(self, engine: Engine, gaps: Sequence[Float32] | None) -> None:
        self._engine, self._gaps = engine, gaps
        self._source = IndexSource(engine.channels, engine.gallery.table)
        self._scores: list[Float64] = []
        self._levels: list[Float64] = []

    @staticmethod
    def of(engine: Engine, *, local: bool) -> Nearness:
        """Of an index, with the gaps of its rows measured where thresholds are to be local."""
        numbers = range(len(engine.channels))
        return Nearness(engine, [measure_gaps(engine.gallery, number) for number in numbers] if local else None)

    @property
    def count(self) -> int:
        """Negatives so far."""
        return sum(len(batch) for batch in self._scores)

    def see(self, images: Sequence[Pixels]) -> None:
        """Look at some negatives: (H, W, 3) float64 in [0, 1]."""
        queries = [embed(self._engine.channels, pixels).probes for pixels in images]
        by_channel = list(zip(*queries, strict=True))
        self._scores.append(np.stack([best_scores(self._source, probes) for probes in by_channel], axis=1))
        if self._gaps is not None:
            pairs = zip(by_channel, self._gaps, strict=True)
            self._levels.append(np.stack([best_levels(self._source, gaps, probes) for probes, gaps in pairs], axis=1))

    def thresholds(self, writer: Writer, *, fpr: float, shares: Sequence[float] | None = None) -> tuple[Threshold, ...]:
        """One for each channel; ``writer``, of this index, stores the gaps that they need.

        Raises:
            UsageError: as :func:`calibrate`.
        """
        channels = self._engine.channels
        scores = np.concatenate(self._scores) if self._scores else np.empty((0, len(channels)))
        found = set_thresholds(scores, cosine=[c.score == "cosine" for c in channels], fpr=fpr, shares=shares)
        if self._gaps is None:
            return found
        offsets = set_offsets(np.concatenate(self._levels), found, shares=shares)
        return tuple(
            replace(threshold, offset=offset, gaps=writer.keep_gaps(gaps))
            for threshold, offset, gaps in zip(found, offsets, self._gaps, strict=True)
        )


def _look_at(
    near: Nearness, engine: Engine, paths: Sequence[str], advance: Callable[[], None]
) -> tuple[int, list[str]]:
    """How many files were refused, and which were left out because their pixels are stored."""
    refused, present = 0, []
    for path in paths:
        image = _load(engine, path)
        if image is None:
            refused += 1
        elif engine.gallery.table.holds(image.pixels_sha256):
            present.append(path)
        else:
            near.see([image.pixels])
        advance()
    return refused, present


def _left_out(refused: int, present: int) -> str:
    """Why fewer negatives count than were given."""
    parts = {"hold no acceptable image": refused, "have their very pixels in the index": present}
    said = " and ".join(f"{number} {why}" for why, number in parts.items() if number)
    return f" (left out: {said})" if said else ""


def _load(engine: Engine, path: str) -> DecodedImage | None:
    try:
        return load(Path(path), policy=engine.policy)
    except ImageRejected:
        return None
