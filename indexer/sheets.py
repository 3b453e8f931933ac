"""Sheets: rows of pages, forms, screens and the like, whose gaps count as small.

Two contents of one layout come nearer to each other than a reference set can tell that lacks the layout. But what kind
a picture is of, a set tells nearly without fail. So a row is a *sheet* where a channel that *discerns* kinds takes it
for one that comes in layouts (``Reference.open`` names the others); in every channel its reference gap then counts as
no larger than ``Reference.sheet``. Where no channel discerns, each has a say. Only sets that state such a number take
part: those of packaged models.

What a channel takes a row for all vectors of its set say, by a vote (``Reference.votes``): each has the weight
exp(votes · cosine), and the mean weight of those that come in layouts is compared with that of the others. The nearest
vector alone took every tenth photograph for a sheet, and sheets of music for photographs.

A vote that is ahead by no more than ``FAINT`` leaves a doubt: nearly all photographs that are taken for sheets are such
*faint* ones, and no page of a layout whose contents come nearest to each other is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .gaps import KIND, Gaps
from .items import Keys
from .neighbours import Others, rounded_down
from .reference import Reference
from .vectors import Float32, Ids

Mask = npt.NDArray[np.bool_]
FAINT = 1.5
"""Logarithm of how many times the mean weight of the one side is that of the other: up to it a sheet is a faint one."""
ONE_CUT, BOTH_CUT = 0.25, 0.18
"""Parts of uncut reference gaps within which a channel that votes has two rows for copies of which one is a faint
sheet, or both are (docs/decisions/0046-copies-of-doubtful-kind.md)."""
_ROUNDED = 4e-3
"""Of the logarithm of a mean weight: above what float32 exponentials and sums of 30,000 of them can be off by."""


def outvoted(reference: Reference, others: Others, own: Float32, near: Float32, *, by: float = 0.0) -> Mask:
    """(m,) which rows the vectors of a set take for kinds that come in layouts.

    Float32 decides where it can; what it leaves open is summed anew, exactly rounded, so that a row is the same
    whenever and in whatever company it is looked at.

    Args:
        reference: a set whose vectors vote.
        others: its n vectors.
        own: (m, dim) rows.
        near: (m, n) cosines of :meth:`Others.nearness`, −inf where a vector does not count.
        by: how far ahead the vote must be, in logarithms.
    """
    votes = float(reference.votes or 0.0)
    ahead = _ahead(reference, near) - by
    found = ahead > 0.0
    open_ = np.flatnonzero(~(np.abs(ahead) > 2.0 * (votes * others.slack(own) + _ROUNDED)))
    if len(open_):
        closer = _ahead(reference, np.where(np.isfinite(near[open_]), _cosines(others, own[open_]), -np.inf)) - by
        found[open_] = closer > 0.0
        open_ = open_[~(np.abs(closer) > _SUMMED)]
    for row in open_:
        found[row] = _exactly(reference, others, own[row : row + 1], np.isfinite(near[row]), by=by)
    return found


def _ahead(reference: Reference, near: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(m,) by how much the mean weight of kinds that come in layouts is above that of the others, in logarithms."""
    parts = np.stack([side / max(1, int(side.sum())) for side in _sides(reference)], axis=1).astype(near.dtype)
    step = max(1, _AT_ONCE // max(1, near.shape[1]))
    pieces = [_weights(reference, near[first : first + step]) @ parts for first in range(0, len(near), step)]
    means = np.concatenate([np.zeros((0, 2)), *pieces])
    with np.errstate(divide="ignore", invalid="ignore"):  # no vector is left, or all are far away
        return np.log(means[:, 0]) - np.log(means[:, 1])


_AT_ONCE = 2**17
"""Cosines whose weights are looked at together, while a processor's cache holds them."""


def _weights(reference: Reference, near: npt.NDArray[Any]) -> npt.NDArray[Any]:
    weights = near - near.dtype.type(1.0)
    weights *= near.dtype.type(reference.votes or 0.0)
    return np.exp(weights, out=weights)


def _cosines(others: Others, own: Float32) -> npt.NDArray[np.float64]:
    """(m, n) of the angles that :meth:`Others.distances` gives, in float64: of rows that are of length 1 but nearly."""
    mine, theirs = own.astype(np.float64), others.rows[:].astype(np.float64)
    lengths = np.einsum("ij,ij->i", mine, mine)[:, None] + np.einsum("ij,ij->i", theirs, theirs)
    return 1.0 - 0.5 * np.maximum(lengths - 2.0 * (mine @ theirs.T), 0.0)


_SUMMED = 1e-9
"""The same of float64: what it leaves open is summed exactly."""


def _sides(reference: Reference) -> tuple[Mask, Mask]:
    """(n,) which vectors come in layouts, and which do not."""
    return ~reference.opened, reference.opened


def _exactly(reference: Reference, others: Others, own: Float32, counts: Mask, *, by: float = 0.0) -> bool:
    """The vote of one row, whatever else is looked at with it."""
    means = []
    for side in _sides(reference):
        columns = np.flatnonzero(side & counts)
        far = others.distances(own, np.zeros(len(columns), dtype=np.int64), columns)
        weights = np.exp(float(reference.votes or 0.0) * (np.cos(far) - 1.0))
        means.append(math.fsum(weights.tolist()) / max(1, int(side.sum())))
    return means[0] > means[1] * math.exp(by)


def of_layouts(reference: Reference, kinds: Keys) -> Keys:
    """(m,) the kinds of nearest vectors, emptied where they are no kind that comes in layouts."""
    others = np.array([b"", *(f"{KIND}{name}".encode() for name in reference.open)], dtype="S64")
    return np.where(np.isin(kinds, others), b"", kinds).astype("S64")


@dataclass(frozen=True, slots=True)
class Taken:
    """What one channel takes some rows for.

    Attributes:
        layouts: (m,) ``kind:`` and a kind that comes in layouts, or nothing.
        sure: (m,) whether its vectors leave no doubt of that; never where they do not vote.
    """

    layouts: Keys
    sure: Mask


def sheets(references: Sequence[Reference], taken: Sequence[Taken]) -> Taken:
    """What rows are taken for by the channels that say it; those that no channel takes for one are no sheets.

    Args:
        references: of the channels that state what a sheet is, one at least.
        taken: for each of them.
    """
    telling = [own for reference, own in zip(references, taken, strict=True) if reference.discerns] or taken
    found = np.zeros(len(taken[0].layouts), dtype="S64")
    for own in telling:
        found = np.where(found == b"", own.layouts, found)
    return Taken(found, np.logical_or.reduce([own.sure for own in telling]))


def cut_sheets(references: Sequence[Reference], known: Sequence[Gaps], taken: Sequence[Taken], rows: Ids) -> None:
    """Lower the gaps of rows that are sheets, in place; also the uncut ones of those that are so beyond doubt.

    Args:
        references: one for each channel.
        known: their gaps so far, reference gaps among them.
        taken: (m,) per channel.
        rows: (m,) global numbers.
    """
    stated = [channel for channel, one in enumerate(references) if one.sheet is not None]
    if not stated:
        return
    told = sheets([references[channel] for channel in stated], [taken[channel] for channel in stated])
    found = told.layouts != b""
    for channel in stated:
        most, own = rounded_down(np.array([references[channel].sheet]))[0], known[channel]
        wide = found & (own.reference[rows] > most)
        own.reference[rows[wide]] = own.gap[rows[wide]] = most
        own.uncut[rows[wide & told.sure]] = most
        own.limit[rows[found]] = told.layouts[found]
