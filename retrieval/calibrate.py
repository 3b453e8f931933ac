"""``retr calibrate``: a threshold from images known to be absent, with a bound that holds for finitely many of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..certificates.decision import verdict_values
from ..core.errors import ImageRejected, IndexStateError, UsageError
from ..images.decode import DecodedImage, load
from ..indexer.lock import writer_lock
from ..indexer.snapshot import Threshold, commit, require_current
from ..indexer.staging import unfinished_plan
from .conformal import set_thresholds
from .engine import SHORTLIST, Engine
from .query import to_float
from .rank import rank
from .shortlist import shortlists


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
        advance: called after each image.

    Raises:
        UsageError: fpr or shares out of range, too few negatives to say anything about so small a rate, or a negative
            that no threshold can tell from a stored row.
        IndexStateError: no index, an empty one, or an unfinished run in it.
    """
    if not 0.0 < fpr < 1.0:
        raise UsageError(f"--fpr must lie between 0 and 1, got {fpr}")
    require_current(index)
    with writer_lock(index):
        _check_ready(index)
        engine = Engine.open(index)
        if engine.gallery.items == 0:
            raise IndexStateError(f"{index} holds no images: there is nothing to match, and nothing to calibrate")
        scores, refused, present = _best_scores(engine, paths, advance)
        cosine = [channel.score == "cosine" for channel in engine.channels]
        found = set_thresholds(scores, cosine=cosine, fpr=fpr, shares=shares)
        snapshot = engine.gallery.snapshot
        channels = tuple(replace(c, threshold=t) for c, t in zip(snapshot.channels, found, strict=True))
        done = commit(index, replace(snapshot, channels=channels, parent=snapshot.id, created=""))
    named = tuple((channel.name, threshold) for channel, threshold in zip(engine.channels, found, strict=True))
    return Calibration(done.id, len(scores), refused, tuple(present), named)


def _check_ready(index: Path) -> None:
    """A new snapshot under an unfinished run would make it begin anew."""
    if unfinished_plan(index / "staging") is not None:
        raise IndexStateError(f"{index} holds an unfinished run; finish it first with: retr index CORPUS --resume")


def _best_scores(
    engine: Engine, paths: Sequence[str], advance: Callable[[], None]
) -> tuple[np.ndarray, int, list[str]]:
    stored = set(np.asarray(engine.gallery.catalog["pixels_sha256"].to_pylist(), dtype=object)[engine.gallery.live])
    scores, refused, present = [], 0, []
    for path in paths:
        image = _load(engine, path)
        if image is None:
            refused += 1
        elif image.pixels_sha256 in stored:
            present.append(path)
        else:
            scores.append([best_score(engine, image, number) for number in range(len(engine.channels))])
        advance()
    return np.asarray(scores, dtype=np.float64).reshape(len(scores), len(engine.channels)), refused, present


def _load(engine: Engine, path: str) -> DecodedImage | None:
    try:
        return load(Path(path), policy=engine.policy)
    except ImageRejected:
        return None


def best_score(engine: Engine, image: DecodedImage, number: int) -> float:
    """The score of the nearest row of one channel: a cosine, or a distance. −1 (or inf) for a flat image.

    Exact, as the verdict is: a float32 shortlist alone could miss the nearest row.
    """
    channel = engine.channels[number]
    z = channel.embed_query(to_float(image)).z
    if channel.why_refused(z) is not None:
        return -1.0 if channel.score == "cosine" else math.inf
    first = rank(channel, z, shortlists(channel, z[None], SHORTLIST)[0], 1, None).items[0]
    return float(verdict_values(z, channel.rows64(np.asarray([first.row])), channel.score)[0])
