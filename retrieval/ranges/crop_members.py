"""All crops of an image as a proof sees them: too many to keep, so only those near a representative are compared.

Which are near is guessed: a crop moves about as a quadratic form of its four edges, fitted to those that are nearly
whole, and a representative reaches about as far as the nearest one before it. Nothing proved rests on it: what
is not compared is left to other representatives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...certificates.edit_ranges import Bools, Moves
from ...images.families.geometry import Crops
from ..channel import ORIGINAL, Float64
from ..evidence import Ids
from .members import Budget, Sizes
from .optics import Optic, Optics
from .separable import Separable

_FITTED, _FEWEST = 2000, 100
"""Crops that the form is fitted to, those among them that one can reach or so many at least."""
_NEAR = 1.1
"""How much farther than a representative reaches crops are still compared with it."""
_LONGEST, _STEPS = 40.0, 160
"""How far a representative's reach is looked for, in resized units, and in how many steps."""
_TRIED, _COUNTED = 512, 2048
"""Crops that are looked at to find some with many others near them, and among how many those are counted."""


@dataclass
class CropMembers:
    """Every crop of a query.

    Attributes:
        lenses: per optic.
        reached: (n,) how far the nearest representative so far reached; away: (n,) how far that one is, by ``edges``.
        edges: (n, 4) where each crop lies, for distances that are about right; None before the first representative.
        seen: number of a crop → per optic, what comes out: those that were asked for last.
    """

    family: Crops
    optics: Optics
    sizes: Sizes
    lenses: tuple[Separable, ...]
    reached: Float64 = field(init=False)
    away: Float64 = field(init=False)
    edges: Float64 | None = field(init=False, default=None)
    seen: dict[int, list[Float64]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.reached, self.away = np.full((2, len(self.family)), np.inf)

    @staticmethod
    def of(family: Crops, optics: Optics, budget: Budget) -> CropMembers:
        """For optics that look at the whole image."""
        assert all(fits(optic) for optic in optics.every), "only whole images are separable into rows and columns"
        lenses = tuple(Separable(family, optic.target, optic.sums) for optic in optics.every)
        return CropMembers(family, optics, Sizes.of(optics, family.sizes, budget), lenses)

    @property
    def rounding(self) -> list[float]:
        """See :class:`members.Members`."""
        return self.sizes.rounding

    @property
    def digest(self) -> str:
        """Of the query: crops are its own values."""
        return hashlib.sha256(self.family.pixels.tobytes()).hexdigest()

    def images(self, places: Ids) -> list[Float64]:
        """See :class:`members.Members`; those asked for last are kept."""
        wanted = [int(place) for place in places]
        self.seen = {at: self.seen[at] if at in self.seen else self.optics.see(self.family.make(at)) for at in wanted}
        return [np.stack(own) for own in zip(*(self.seen[at] for at in wanted), strict=True)]

    @cached_property
    def shares(self) -> Float64:
        """Per optic, how far a crop moves in it for how far it moves in the widest: of the farthest from the whole."""
        far = np.array([0, len(self.family) - 1])
        moved = np.array([float(np.linalg.norm(one[1] - one[0])) for one in self.images(far)])
        return moved / moved.max() if moved.max() > 0.0 else np.ones(len(moved))

    def room(self, place: int, holds: Callable[[Moves], Bools]) -> float:
        """See :class:`members.Members`."""
        steps = _LONGEST * np.arange(1.0, _STEPS + 1.0) / _STEPS
        distances = [steps * share for share in self.shares]
        held = holds(self.sizes.moves(distances, np.full(_STEPS, place), self.optics.of_probe))
        return float(steps[held].max(initial=0.0))

    def moves(self, place: int, among: Ids, room: float = np.inf) -> Moves:
        """How far crops are from one of them; infinitely far where they were not compared.

        Args:
            place: of the representative.
            among: the crops asked about.
            room: distance beyond which nobody needs to know, in the optic that moves most.
        """
        if self.edges is None:
            self.edges = self._edges(room)
        far = _far(self.edges[[place]], self.edges)[0]
        closer = far < self.away
        self.reached[closer], self.away[closer] = room, far[closer]
        near = (far[among] <= room * _NEAR) | (among == place)
        images = self.seen[place] if place in self.seen else self.optics.see(self.family.make(place))
        distances = [np.full(len(among), np.inf) for _ in self.lenses]
        for found, lens, image in zip(distances, self.lenses, images, strict=True):
            found[near] = lens.distances(image, among[near])
        return self.sizes.moves(distances, among, self.optics.of_probe)

    def pick(self, places: Ids, near: Float64, count: int) -> Ids:
        """Crops with many others near them, as far as those are likely to reach."""
        if len(places) <= count or not np.isfinite(self.reached[places]).all():
            return places[np.argsort(near[places], kind="stable")[:1]]
        assert self.edges is not None, "known since the first representative"
        rng = np.random.default_rng(len(places))
        tried, counted = _some(places, _TRIED, rng), _some(places, _COUNTED, rng)
        close = _far(self.edges[tried], self.edges[counted]) <= self.reached[tried, None]
        chosen: list[int] = []
        while len(chosen) < count and close.any():
            best = int(np.count_nonzero(close, axis=1).argmax())
            chosen.append(int(tried[best]))
            close[:, close[best]] = False
        return np.array(chosen or places[:1])

    def _edges(self, room: float) -> Float64:
        """(n, 4) places of the crops such that their distances are about those of the resized crops."""
        rows, columns, sides = self.family.rows, self.family.columns, self.family.pixels.shape[:2]
        first, second = np.divmod(np.arange(len(self.family)), len(columns))
        cut = [(one[:, 0], side - one.sum(axis=1)) for one, side in zip((rows, columns), sides, strict=True)]
        edges = np.stack([*(one[first] for one in cut[0]), *(one[second] for one in cut[1])], axis=1).astype(np.float64)
        some = np.argsort((edges / np.repeat(sides, 2)).max(axis=1), kind="stable")[1 : _FITTED + 1]
        if not len(some):  # the whole image is the only crop
            return edges
        widest = int(np.argmax(self.shares))
        distances = self.lenses[widest].distances(self.optics.see(self.family.make(0))[widest], some)
        fewest = np.sort(distances)[:_FEWEST].max(initial=0.0)
        within = distances <= max(fewest, room)
        return edges @ _form(edges[some[within]], distances[within])


def _some(places: Ids, count: int, rng: np.random.Generator) -> Ids:
    return places if len(places) <= count else rng.choice(places, count, replace=False)


def fits(optic: Optic) -> bool:
    """Whether an optic looks at the whole image."""
    return optic.view is ORIGINAL


def _far(some: Float64, others: Float64) -> Float64:
    """(m, n) distances, about."""
    squares = np.einsum("ij,ij->i", some, some)[:, None] + np.einsum("ij,ij->i", others, others)
    return np.sqrt(np.maximum(squares - 2.0 * (some @ others.T), 0.0))


def _form(moved: Float64, distances: Float64) -> Float64:
    """(4, 4) m such that ‖x·m‖ is about the distance that belongs to each x."""
    first, second = np.triu_indices(moved.shape[1])
    weights = 1.0 / np.maximum(distances, 1e-6) ** 2
    terms = moved[:, first] * moved[:, second] * np.where(first == second, 1.0, 2.0)
    fitted = np.linalg.lstsq(terms * weights[:, None], np.ones(len(moved)), rcond=None)[0]
    form = np.zeros((moved.shape[1],) * 2)
    form[first, second] = form[second, first] = fitted
    values, vectors = np.linalg.eigh(form)
    return vectors * np.sqrt(np.maximum(values, 0.0))
