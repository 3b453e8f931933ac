"""``retr calibrate``: a threshold from images known to be absent, with a bound that holds for finitely many of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..certificates.decision import verdict_values
from ..core.errors import ImageRejected, IndexStateError, UsageError
from ..images.decode import DecodedImage, load
from ..indexer.lock import writer_lock
from ..indexer.snapshot import Threshold, commit, require_current
from ..indexer.staging import unfinished_plan
from .channel import Float64
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
    index: Path, paths: Sequence[str], *, fpr: float, advance: Callable[[], None] = lambda: None
) -> Calibration:
    """Set every channel's threshold so that a new image that is absent matches with probability at most ``fpr``.

    Guarantee (split conformal prediction; Vovk et al. 2005, §4): if the n negatives and a future negative are
    exchangeable and τ lies just beyond the ⌈(1 − α)(n + 1)⌉-th smallest of the negatives' best scores, then
    P(the future one is accepted) ≤ α. It is an average over draws of the negatives; ``upper95`` bounds the rate of this
    very threshold instead: the rate beyond the m-th smallest of n is distributed as Beta(n − m + 1, m), or lower; its
    95 % point is the Clopper-Pearson limit for n − m of n.
    With c channels each gets α = fpr/c, so that the union keeps the rate (Bonferroni; THEORY T9).

    Args:
        index: the index folder.
        paths: image files known to have no copy in the gallery.
        fpr: false-match rate per query that is aimed at, in (0, 1).
        advance: called after each image.

    Raises:
        UsageError: fpr out of range, too few negatives to say anything about so small a rate, or a negative that no
            threshold can tell from a stored row.
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
        found = [
            set_threshold(column, cosine=channel.score == "cosine", fpr=fpr, channels=len(engine.channels))
            for column, channel in zip(scores.T, engine.channels, strict=True)
        ]
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


def set_threshold(scores: Float64, *, cosine: bool, fpr: float, channels: int = 1) -> Threshold:
    """The conformal threshold of one channel.

    Args:
        scores: (n,) best score of each negative: cosines, or distances.
        cosine: larger is nearer.
        fpr: aimed at for all channels together.
        channels: how many share it.

    Raises:
        UsageError: too few negatives, or the one that decides is a stored row itself.
    """
    n, alpha = len(scores), Fraction(str(fpr)) / channels  # the decimal number that was written, not its float64
    place = math.ceil((1 - alpha) * (n + 1))
    if place > n:
        raise UsageError(_too_few(n, alpha, channels))
    ranked = np.sort(scores if cosine else -scores)
    edge = float(ranked[place - 1])
    value = math.nextafter(edge, math.inf)
    if value > (1.0 if cosine else 0.0):
        raise UsageError(
            f"{int((ranked >= edge).sum())} of {n} negatives cannot be told from stored images by this model; "
            "they are copies: leave them out"
        )
    return Threshold(value if cosine else -value, "calibrated", float(alpha), n, upper95(n - place, n))


def _too_few(n: int, alpha: Fraction, channels: int) -> str:
    needed = math.ceil(1 / alpha) - 1
    message = f"{n} negatives cannot support a false-match rate of {float(alpha):g}: at least {needed} are needed"
    possible = Context(prec=2, rounding=ROUND_CEILING).divide(Decimal(channels), Decimal(n + 1))
    return message + (f"; give more, or ask for --fpr {possible:f} or more" if possible < 1 else "; give more")


def upper95(matched: int, n: int) -> float:
    """Clopper-Pearson: the largest rate p under which ``matched`` or fewer of n still has probability 5 %.

    Source: Clopper & Pearson, Biometrika 26 (1934). Solved by bisection on the binomial distribution.
    """
    if matched >= n:
        return 1.0
    low, high = matched / n, 1.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _binomial_cdf(matched, n, middle) > 0.05 else (low, middle)
    return high


def _binomial_cdf(k: int, n: int, p: float) -> float:
    if p >= 1.0:
        return 0.0
    logs = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k + 1)
        if p > 0
    ]
    return math.fsum(math.exp(value) for value in logs) if p > 0 else 1.0
