"""Thresholds from the scores of images known to be absent: one channel, or several together, at one false-match rate.

Theorem (statistically equivalent blocks; Wald 1943, Tukey 1947, Fraser 1951). Let n negatives be cut away one after the
other: at each step some channel is chosen by what was cut before, and the negative that is nearest *in this channel*
among those left is cut; the channel's edge is its score. After M cuts let a new image be accepted where, in some
channel, it is strictly nearer than that channel's edge. Then, whatever the scores' distribution:

1. If the n negatives and the new image are exchangeable, P(accepted) ≤ M/(n + 1), with equality where no scores tie.
   Proof: cut M of the n + 1 instead. Until the new image is cut, the cuts are the same; it is cut exactly where it lies
   beyond the edge of a step. M of n + 1 exchangeable images are cut, so each is with probability M/(n + 1).
2. If they are independent draws, the rate of these very edges is distributed as Beta(M, n + 1 − M); lower under ties.
   Proof: given what was cut, the images left are independent draws from what is left, and the next cut takes a
   Beta(1, m) share of it where m are left; the product of what stays is Beta(n + 1 − M, M).
   Its 95 % point is the Clopper-Pearson limit for M − 1 of n.

Tied scores are cut in the order of the negatives; a strict edge then accepts no more than the theorem's blocks hold.
With one channel this is split conformal prediction: the edge is the ⌈(1 − α)(n + 1)⌉-th smallest score.

A *local* threshold accepts where some row is nearer than a share of its own gap, and nearer than an offset and half of
it. Its score is the least offset that would accept, over all rows whose share does: one number per image and channel,
of which the theorem holds as well, for the gaps and the share are what they are without these negatives. **Gaps that
were measured to the negatives themselves are not**: each of them is then as far from every row as the row's gap says,
and a new image need not be.

Where a channel's edge is at infinity its share alone refuses all the negatives that are left: it needs no offset, and
is cut no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.rounded import budget_text
from ..indexer.snapshot import Threshold

Float64 = npt.NDArray[np.float64]

_SLACK = 1e-7
"""Radians, or units of distance, that an offset stays below its edge: an angle of a float64 cosine is off by less."""


def set_thresholds(
    scores: Float64, *, cosine: Sequence[bool], fpr: float, shares: Sequence[float] | None = None
) -> tuple[Threshold, ...]:
    """Thresholds of several channels for the false-match rate α of their union, by the theorem above.

    M = ⌊α(n + 1)⌋ negatives are cut. The channel to cut next is the one whose level (how many negatives lie at or
    beyond its edge) is lowest relative to its share, so all follow their own tail to one common level s, and negatives
    that several channels find near are paid for once. With equal shares each level reaches at least ⌊M/c⌋, which is
    where α/c for each of c channels (Bonferroni) would put it: no threshold is ever stricter than that.

    Args:
        scores: (n, c) best score of each negative in each channel: cosines, or distances.
        cosine: per channel, whether larger is nearer.
        fpr: α, aimed at for all channels together, in (0, 1).
        shares: per channel, its part of the false matches, in any unit; None for equal parts. To be chosen without a
            look at these negatives.

    Returns:
        Per channel its threshold. ``fpr`` is α and ``upper95`` the limit of 2., both of the union (and so of each). No
        more than M − 1 negatives match, fewer where edges of several channels are distinct negatives.

    Raises:
        UsageError: too few negatives, a negative that is a stored row itself, or bad shares.
    """
    n, channels = scores.shape
    parts = check_shares(shares, channels)
    cuts = check_enough(n, fpr, channels)
    near = np.where(np.asarray(cosine), scores, -scores)
    edges, limit = cut(near, cuts, parts), upper95(cuts - 1, n)
    values = [_beyond(near[:, k], edge, cosine[k]) for k, edge in enumerate(edges)]
    return tuple(Threshold(value, "calibrated", fpr, n, limit) for value in values)


def set_offsets(
    levels: Float64, *, fpr: float, shares: Sequence[float] | None = None
) -> tuple[tuple[float | None, ...], float]:
    """Offsets of local thresholds, for the false-match rate α of the union of their channels.

    Args:
        levels: (n, c) least offset that would accept each negative (``survey.levels``); smaller is nearer, inf where
            none would.
        fpr: α.
        shares: as for :func:`set_thresholds`.

    Returns:
        Per channel, an angle in radians or a distance, or None where the share alone is enough; and the 95 % limit.

    Raises:
        UsageError: too few negatives, a negative that is a stored row itself, or bad shares.
    """
    n, channels = levels.shape
    parts = check_shares(shares, channels)
    cuts = check_enough(n, fpr, channels)
    edges = cut(-levels, cuts, parts)
    if math.inf in edges:
        raise UsageError(_stored(int(np.isneginf(levels).any(axis=1).sum()), n))
    return tuple(None if edge == -math.inf else -edge - _SLACK for edge in edges), upper95(cuts - 1, n)


def needed(fpr: float, channels: int) -> int:
    """How many negatives a false-match rate needs at least."""
    return math.ceil(channels / Fraction(str(fpr))) - 1


def check_enough(n: int, fpr: float, channels: int) -> int:
    """M, how many of n negatives are cut: ⌊α(n + 1)⌋ of the decimal number that was written, not of its float64.

    Raises:
        UsageError: fewer than one for each channel.
    """
    cuts = math.floor(Fraction(str(fpr)) * (n + 1))
    if cuts < channels:
        raise UsageError(_too_few(n, fpr, channels))
    return cuts


def cut(near: Float64, cuts: int, shares: Sequence[float]) -> list[float]:
    """The edges after so many cuts.

    Args:
        near: (n, c), larger is nearer; a channel whose edge is −inf is cut no more.
        cuts: between c and n.
        shares: per channel, > 0.
    """
    order = np.argsort(-near, axis=0, kind="stable")
    gone = np.zeros(len(near), dtype=np.bool_)
    levels, edges = [0] * near.shape[1], [math.inf] * near.shape[1]
    for _ in range(cuts):
        going = [k for k in range(near.shape[1]) if edges[k] > -math.inf]
        if not going:
            break
        channel = min(going, key=lambda k: levels[k] / shares[k])
        while gone[order[levels[channel], channel]]:
            levels[channel] += 1
        first = order[levels[channel], channel]
        gone[first] = True
        levels[channel] += 1
        edges[channel] = float(near[first, channel])
    return edges


def check_shares(shares: Sequence[float] | None, channels: int) -> Sequence[float]:
    """The parts of each channel, equal ones for None.

    Raises:
        UsageError: not one number above 0 for each.
    """
    if shares is None:
        return [1.0] * channels
    if len(shares) != channels or not all(math.isfinite(share) and share > 0 for share in shares):
        text = ", ".join(map(budget_text, shares))
        raise UsageError(f"shares are one number above 0 for each of the {channels} channels, got {text or 'none'}")
    return shares


def _beyond(near: Float64, edge: float, cosine: bool) -> float:
    """The threshold just beyond an edge."""
    value = math.nextafter(edge, math.inf)
    if value > (1.0 if cosine else 0.0):
        raise UsageError(_stored(int((near >= edge).sum()), len(near)))
    return value if cosine else -value


def _stored(found: int, n: int) -> str:
    return f"{found} of {n} negatives cannot be told from stored images by this model; they are copies: leave them out"


def _too_few(n: int, fpr: float, channels: int) -> str:
    where = f" of {channels} channels" if channels > 1 else ""
    least = f"at least {needed(fpr, channels)} are needed"
    message = f"{n} negatives cannot support a false-match rate of {budget_text(fpr)}{where}: {least}"
    possible = Context(prec=2, rounding=ROUND_CEILING).divide(Decimal(channels), Decimal(n + 1))
    return message + (f"; give more, or ask for a rate of {possible:f} or more" if possible < 1 else "; give more")


def upper95(matched: int, n: int) -> float:
    """:func:`upper_limit` with a confidence of 95 %."""
    return upper_limit(matched, n, 0.05)


def upper_limit(matched: int, n: int, error: float) -> float:
    """Clopper-Pearson: the largest rate p under which ``matched`` or fewer of n still has the probability ``error``.

    Source: Clopper & Pearson, Biometrika 26 (1934). Solved by bisection on the binomial distribution.
    """
    if matched >= n:
        return 1.0
    low, high = matched / n, 1.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if binomial_cdf(matched, n, middle) > error else (low, middle)
    return high


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X ≤ k) for X binomial of n and p."""
    if p >= 1.0:
        return 0.0
    logs = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k + 1)
        if p > 0
    ]
    return math.fsum(math.exp(value) for value in logs) if p > 0 else 1.0
