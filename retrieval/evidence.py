"""Evidence: what is known of the rows of a channel after they were asked about one probe, and how it is joined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..certificates.decision import ranking
from ..indexer.items import NO_KEYS, Keys
from ..indexer.vectors import Ids
from .claims import Claims
from .compared_rows import Rows
from .distances import reach_of
from .probe import Probe


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one or more sources say of their rows, asked about one probe.

    Attributes:
        probe: what they were asked about.
        listed: rows in ranked order, ties by number.
        own: more rows, those of ``whole`` items that need not be near.
        whole: items all of whose rows are listed or in ``own``; others may be too.
        unseen: no live row that was scanned and is not listed is nearer than this (proved); inf where all are listed.
        widest: the threshold of the row that accepts farthest out; None without a threshold.
        longest: an upper bound on the norm of every row (Euclidean); 1 for cosine.
        scanned: live rows that the list and the bound speak for.
        total: live rows that there are.
        span: the least and the greatest of the ``levels`` that any row has; None for the probe's own alone.
        missing: names of the parts of the gallery that did not answer, where they have names.
        rejects: no row that was scanned, listed or not, accepts the query while it moves by less than so many pixels
            (proved); 0 where that was not asked.
        claims: what was asked about rows that stay ahead; None where nothing was.
        rivals: every row that was scanned, near or not, that might overtake a claimed one within its radius, as
            ``pair_radii`` computes it; None without claims.
    """

    probe: Probe
    listed: Rows
    own: Rows
    whole: Keys
    unseen: float
    widest: float | None
    longest: float
    scanned: int
    total: int
    span: tuple[float, float] | None = None
    missing: tuple[str, ...] = ()
    rejects: float = 0.0
    claims: Claims | None = None
    rivals: Rows | None = None

    def __post_init__(self) -> None:
        if (self.claims is None) != (self.rivals is None):
            raise ValueError("rivals are of claims, and claims have rivals")
        if not (self.unseen >= 0.0 and self.rejects >= 0.0 and 0 <= self.scanned <= self.total):
            raise ValueError(
                f"no evidence: unseen {self.unseen}, rejects {self.rejects}, scanned {self.scanned} of {self.total}"
            )

    @property
    def reach(self) -> float:
        """A distance beyond which no row accepts."""
        assert self.widest is not None, "a verdict needs a threshold"
        return reach_of(self.widest, self.probe.score)

    @property
    def strictest(self) -> float:
        """The threshold that the margins of no row are measured from a stricter one than."""
        low, high = self.span or (self.probe.tau, self.probe.tau)
        return high if self.probe.score == "cosine" else low

    @property
    def loosest(self) -> float:
        """The threshold that the margins of no row are measured from a more permissive one than."""
        low, high = self.span or (self.probe.tau, self.probe.tau)
        return low if self.probe.score == "cosine" else high

    @property
    def everything_listed(self) -> bool:
        """Whether nothing that was scanned is left unlisted."""
        return math.isinf(self.unseen)

    @property
    def silent(self) -> bool:
        """Whether rows are missing that nothing is known of."""
        return self.scanned < self.total

    @property
    def mute(self) -> bool:
        """Whether it speaks for no row at all, and there are some."""
        return self.scanned == 0 < self.total

    def silenced(self) -> Evidence:
        """What is left of it when its source answers no more: a list that speaks for no row beside it."""
        return replace(self, scanned=0, unseen=math.inf, whole=NO_KEYS, claims=None, rivals=None)


def nothing_from(probe: Probe, rows: int, missing: tuple[str, ...] = ()) -> Evidence:
    """What a source with so many live rows says that never answered; ``missing`` is its name, where it has one."""
    empty = Rows.none(probe)
    return Evidence(probe, empty, empty, NO_KEYS, math.inf, probe.threshold, 0.0, 0, rows, missing=missing)


def merge(parts: Sequence[Evidence]) -> Evidence:
    """The evidence of several sources as that of one that holds all their rows.

    Rows are put together and ranked anew. What none of them lists is as far as the weakest of their bounds says.

    Args:
        parts: at least one, all of the same probe; of sources that share no row.
    """
    if len(parts) == 1:
        return parts[0]
    listed = Rows.stack([part.listed for part in parts])
    speaking = [part for part in parts if not part.mute]
    claims, rivals = _rivals(parts)
    return Evidence(
        probe=parts[0].probe,
        listed=listed.take(ranking(listed.scores, listed.ids)),
        own=Rows.stack([part.own for part in parts]),
        whole=_in_all([part.whole for part in speaking]),
        unseen=min(part.unseen for part in parts),
        widest=_widest(parts),
        longest=max(part.longest for part in parts),
        scanned=sum(part.scanned for part in parts),
        total=sum(part.total for part in parts),
        span=_spanned([part.span for part in parts if part.span is not None]),
        missing=tuple(dict.fromkeys(name for part in parts for name in part.missing)),
        rejects=min(part.rejects for part in parts),
        claims=claims,
        rivals=rivals,
    )


def _rivals(parts: Sequence[Evidence]) -> tuple[Claims | None, Rows | None]:
    """Of claims that all parts were asked about."""
    claims, found = parts[0].claims, [part.rivals for part in parts if part.rivals is not None]
    if claims is None or not all(claims.are(part.claims) for part in parts):
        return None, None
    rivals = Rows.stack(found)
    return claims, rivals.take(ranking(rivals.scores, rivals.ids))


def _spanned(parts: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    return (min(low for low, _ in parts), max(high for _, high in parts)) if parts else None


def _in_all(parts: Sequence[Keys]) -> Keys:
    found = parts[0] if parts else NO_KEYS
    for part in parts[1:]:
        found = found[np.isin(found, part)]
    return found


def _widest(parts: Sequence[Evidence]) -> float | None:
    known = [part.widest for part in parts if part.widest is not None]
    if not known:
        return None
    return min(known) if parts[0].probe.score == "cosine" else max(known)


def number_items(evidence: Sequence[Evidence]) -> tuple[Keys, Ids, list[Ids]]:
    """Number the items of all rows, in the order of their first rows, so that equal items are ordered as stored.

    Args:
        evidence: of the probes of one query.

    Returns:
        keys (g,) and first rows (g,) of the items; per probe (listed + own,) the item of each row, listed rows first.
    """
    parts = [rows for one in evidence for rows in (one.listed, one.own)]
    firsts = np.concatenate([rows.firsts for rows in parts])
    keys = np.concatenate([rows.keys for rows in parts])
    # Rows with one first row are of one item; the few others that are the same item lie in several sources.
    starts, place, of_row = np.unique(firsts, return_index=True, return_inverse=True)
    names, same = np.unique(keys[place], return_inverse=True)
    first = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(first, same, starts)
    order = np.argsort(first)
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    items = number[same][of_row]
    sizes = np.cumsum([len(one.listed) + len(one.own) for one in evidence])
    return names[order], first[order], np.split(items, sizes[:-1])
