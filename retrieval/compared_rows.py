"""Some rows of one channel, compared with a probe in float64, and the numbers that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..certificates.compared import Compared
from ..certificates.stored import compare_stored, defined_rows
from ..core.types import Score
from ..indexer.items import NO_KEYS, Keys
from ..indexer.vectors import Float32, Ids
from .channel import Float64
from .probe import Probe


@dataclass(frozen=True)
class Vectors:
    """Rows that lie in one or several matrices, in an order of their own: to take some of them copies no number.

    Attributes:
        bases: each (n, d), as stored: few of them are needed as the numbers that they define.
        at: (m,) where each row lies, counted over all bases.
        score: how they are compared: for cosine they define unit rows.
    """

    bases: tuple[Float32, ...]
    at: Ids
    score: Score

    def __len__(self) -> int:
        return len(self.at)

    @staticmethod
    def of(rows: Float32, score: Score) -> Vectors:
        """All rows of a matrix."""
        return Vectors((rows,), np.arange(len(rows)), score)

    def take(self, places: Ids) -> Vectors:
        """Some of them, in that order."""
        return Vectors(self.bases, self.at[places], self.score)

    @cached_property
    def whole(self) -> Float64:
        """(m, d) their numbers."""
        return self.copied(np.arange(len(self.at)))

    @cached_property
    def squares(self) -> Float64:
        """(m,) about the squares of their lengths."""
        return np.einsum("ij,ij->i", self.whole, self.whole)

    def copied(self, places: Ids) -> Float64:
        """(n, d) the numbers of some: float64, unit rows for cosine."""
        if "whole" in self.__dict__:  # worked out already
            return self.whole[places]
        return defined_rows(self.stored(places), self.score)

    def stored(self, places: Ids) -> Float32:
        """(n, d) some, as they are stored."""
        at = self.at[places]
        if len(self.bases) == 1:
            return self.bases[0][at]
        found, start = np.empty((len(at), self.bases[0].shape[1]), dtype=np.float32), 0
        for base in self.bases:
            inside = (at >= start) & (at < start + len(base))
            found[inside] = base[at[inside] - start]
            start += len(base)
        return found

    @staticmethod
    def stack(parts: Sequence[Vectors]) -> Vectors:
        """One after the other."""
        starts = np.cumsum([0, *(sum(map(len, part.bases)) for part in parts)])
        at = [part.at + start for part, start in zip(parts, starts, strict=False)]
        bases = tuple(base for part in parts for base in part.bases)
        return Vectors(bases, np.concatenate(at), parts[0].score)


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of one channel, compared with a probe in float64.

    Attributes:
        ids: (m,) global numbers.
        keys: (m,) name of each row's item.
        firsts: (m,) the least number of a row of that item that the source holds.
        vectors: the rows themselves.
        met: what they and the probe's embedding are to each other.
        distances: (m,) nearest values, see ``distances``.
        limits: (m,) what the verdict compares each row's value with; None without a threshold.
        levels: (m,) the threshold that each row's margin is measured from; None for the probe's own.
    """

    ids: Ids
    keys: Keys
    firsts: Ids
    vectors: Vectors
    met: Compared
    distances: Float64
    limits: Float64 | None
    levels: Float64 | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def scores(self) -> Float64:
        """(m,) see ``certificates.decision.ranking_scores``."""
        return self.met.scores

    @property
    def numbers(self) -> Float64:
        """(m, d) float64; unit rows for cosine. Copied when first looked at: for some of them, :meth:`some`."""
        return self.vectors.whole

    def some(self, places: Ids) -> Float64:
        """(n, d) the numbers of some rows."""
        return self.vectors.copied(places)

    def take(self, places: Ids) -> Rows:
        """Some of them, in that order."""
        return Rows(
            self.ids[places],
            self.keys[places],
            self.firsts[places],
            self.vectors.take(places),
            self.met.take(places),
            self.distances[places],
            None if self.limits is None else self.limits[places],
            None if self.levels is None else self.levels[places],
        )

    @staticmethod
    def of(
        probe: Probe,
        stored: Float32,
        *,
        ids: Ids,
        keys: Keys,
        firsts: Ids,
        limits: Float64 | None,
        levels: Float64 | None = None,
    ) -> Rows:
        """Rows as they are stored (m, d), compared with a probe."""
        met, far = compare_stored(probe.z, stored, probe.score)
        return Rows(ids, keys, firsts, Vectors.of(stored, probe.score), met, far, limits, levels)

    @staticmethod
    def none(probe: Probe) -> Rows:
        """No rows."""
        ids, limits = np.empty(0, dtype=np.int64), None if probe.threshold is None else np.empty(0)
        vectors = Vectors.of(np.empty((0, len(probe.z)), dtype=np.float32), probe.score)
        return Rows(ids, NO_KEYS, ids, vectors, Compared.none(probe.z, probe.score), np.empty(0), limits)

    @staticmethod
    def stack(parts: Sequence[Rows]) -> Rows:
        """One after the other."""
        parts = [part for part in parts if len(part)] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        limits = [part.limits for part in parts if part.limits is not None]
        levels = [part.levels for part in parts if part.levels is not None]
        return Rows(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.firsts for part in parts]),
            Vectors.stack([part.vectors for part in parts]),
            Compared.stack([part.met for part in parts]),
            np.concatenate([part.distances for part in parts]),
            np.concatenate(limits) if limits else None,
            np.concatenate(levels) if levels else None,
        )
