"""The nearest labelled rows of a query, exactly, and how far the query may move before its label changes (T2, T3).

Brute force in float64: every row is scored by the decision that is certified. Half-space distances, which cost more,
are computed for the rows near the query; a proved floor stands for the others, and more rows are listed until the
floor no longer limits an answer (docs/theory.md, Exact answers from a fast index).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...certificates.decision import ranking, ranking_scores
from ...certificates.labels import label_radius, majority
from ...certificates.ranking import pair_radii
from ...certificates.rounding import norm_bounds
from ...certificates.shortlist import unseen_radius
from ...retrieval.channel import Float64
from ...retrieval.distances import distance_bounds
from ...retrieval.probe import Bounds
from .gallery import LabelledGallery

LISTED = 256
"""Rows near the query that are compared at first; four times as many after each floor that limits an answer."""
_SPARE_ROWS = 3


@dataclass(frozen=True)
class Neighbours:
    """A query among labelled rows.

    Attributes:
        order: (N,) all rows, best first, ties by row number.
        labels: (N,) their labels' numbers.
    """

    gallery: LabelledGallery
    z: Float64
    order: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    def vote(self, k: int) -> tuple[int, int]:
        """(label, votes) that wins among the first k: most rows, and of equals the one whose best row is nearest."""
        return winner(self.labels[:k].tolist())

    def average_precision(self, label: int) -> float:
        """Mean, over the rows of the label, of the share of that label among the rows down to there; 0 for no row."""
        hits = self.labels == label
        places = np.flatnonzero(hits) + 1
        return float((np.cumsum(hits)[places - 1] / places).mean()) if places.size else 0.0

    def radius(self, label: int, proof: Bounds, *, k: int, needed: int) -> float:
        """Certified ℓ2 radius, in pixels, of "at least ``needed`` of the first k rows have this label".

        0 where it is not so, capped where no image is so far, or the query would lose its direction.
        """
        if int((self.labels[:k] == label).sum()) < needed:
            return 0.0
        count = min(max(LISTED, 4 * k), len(self.order))
        while True:
            listed = self._listed(label, proof, count, needed)
            found, free = listed.radius(listed.floors, k, needed), listed.radius(np.inf, k, needed)
            if found >= min(free, proof.cap) or count == len(self.order):
                return min(found, proof.cap)
            count = min(4 * count, len(self.order))

    def _listed(self, label: int, proof: Bounds, count: int, needed: int) -> _Listed:
        rows, labels = self.gallery.rows[self.order[:count]], self.labels[:count]
        mine = np.flatnonzero(labels == label)
        views = mine[: needed + _SPARE_ROWS]
        radii = np.stack([self._pairs(rows[view], rows, proof) for view in views])  # V count
        radii[np.arange(len(views)), views] = np.inf
        own = labels == label
        return _Listed(radii[:, ~own], radii[:, own], labels[~own], self._floors(rows[views], proof, count))

    def _pairs(self, row: Float64, rivals: Float64, proof: Bounds) -> Float64:
        return pair_radii(
            self.z,
            row,
            rivals,
            score=self.gallery.channel.score,
            lipschitz=proof.lipschitz,
            forward_error=proof.forward_error,
        )

    def _floors(self, views: Float64, proof: Bounds, count: int) -> Float64:
        """(V,) what every row that is not listed leaves to each view; inf where all are listed."""
        channel = self.gallery.channel
        if count == len(self.order):
            return np.full(len(views), np.inf)
        next_row = self.gallery.rows[self.order[count : count + 1]]
        nearest = float(distance_bounds(self.z, next_row, channel.score)[0][0])
        # The order is that of computed scores: a later row may be nearer by what rounding does to them.
        nearest = math.sqrt(max(0.0, nearest * nearest - 1e-12)) if channel.score == "cosine" else nearest * (1 - 1e-12)
        z_low = float(norm_bounds(self.z)[0])
        own = distance_bounds(self.z, views, channel.score)[1]
        return np.array(
            [
                unseen_radius(
                    float(a),
                    nearest,
                    score=channel.score,
                    z_norm=z_low,
                    dim=channel.store.dim,
                    lipschitz=proof.lipschitz,
                    forward_error=proof.forward_error,
                )
                for a in own
            ]
        )


@dataclass(frozen=True)
class _Listed:
    """Half-space radii of some rows of a label against rows near the query; see ``certificates.labels``."""

    rivals: Float64
    own: Float64
    rival_labels: npt.NDArray[np.int64]
    floors: Float64

    def radius(self, floors: Float64 | float, k: int, needed: int) -> float:
        return label_radius(
            self.rivals,
            self.own,
            rival_labels=self.rival_labels,
            floors=np.broadcast_to(floors, self.floors.shape),
            k=k,
            needed=needed,
        )


def neighbours(gallery: LabelledGallery, z: Float64) -> Neighbours:
    """Rank every row by its float64 score.

    Args:
        gallery: the rows.
        z: (d,) float64 query embedding that the channel does not refuse.
    """
    order = ranking(ranking_scores(z, gallery.rows, gallery.channel.score), np.arange(len(gallery.names)))
    return Neighbours(gallery, z, order, gallery.channel.groups[order])


def winner(labels: Sequence[int]) -> tuple[int, int]:
    """(label, votes): most votes; of equals, the label that comes first."""
    votes = Counter(labels)  # counts in the order of first appearance, and max keeps the first of equals
    label = max(votes, key=votes.__getitem__)
    return label, votes[label]


def vote_radius(found: Neighbours, proof: Bounds, k: int) -> float:
    """Certified radius of the vote's winner; 0 where it has no majority of the k, which nothing is proved about."""
    label, votes = found.vote(k)
    return found.radius(label, proof, k=k, needed=majority(k)) if votes >= majority(k) else 0.0
