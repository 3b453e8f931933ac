"""The members of a finite family as a proof sees them: resized, and how far each is from any other."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch

from ...certificates.edit_ranges import Bools, Moves, cover_radius
from ...core.errors import UsageError
from ...images.families.family import Finite, Pixels
from ..channel import Float64
from ..evidence import Ids
from .optics import Optics

LARGEST_FAMILY = 4_000_000_000
"""Pixels of all members together beyond which a family is not made."""
MOST_KEPT = 100_000_000
"""Values of all resized members together, 8 bytes each, beyond which it is not made either."""

Made = TypeVar("Made")
Budget = Callable[[int], float]
"""Number of values of an image → ε as an ℓ2 norm."""


class Members(Protocol):
    """All members of a family, which may be too many to be kept."""

    @property
    def rounding(self) -> list[float]:
        """Per optic, a bound on the error of any member's resize."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of what was made."""
        ...

    def images(self, places: Ids) -> list[Float64]:
        """Per optic, (b, 3·h·w) of some of them."""
        ...

    def room(self, place: int, holds: Callable[[Moves], Bools]) -> float:
        """About how far a claim that holds for these moves reaches from a member; inf where nobody needs to know."""
        ...

    def moves(self, place: int, among: Ids, room: float = np.inf) -> Moves:
        """How far some members are from this one, an adversary's change included.

        Those that are farther than ``room`` may be called infinitely far.
        """
        ...

    def pick(self, places: Ids, near: Float64, count: int) -> Ids:
        """Which of these members become representatives next; ``near`` is their distance from the identity."""
        ...


@dataclass(frozen=True)
class Sizes:
    """What depends on the size of each member alone.

    Attributes:
        resize: (n, p) ρ; budget: (n,) ε in ℓ2; rounding: per optic.
    """

    resize: Float64
    budget: Float64
    rounding: list[float]

    @staticmethod
    def of(optics: Optics, sizes: np.ndarray, budget: Budget) -> Sizes:
        """Of members of these sizes, (n, 2)."""
        distinct, place = np.unique(sizes, axis=0, return_inverse=True)
        pairs = [(int(height), int(width)) for height, width in distinct]
        norms, rounding = optics.norms(pairs)
        budgets = np.array([budget(3 * height * width) for height, width in pairs])
        return Sizes(norms[place.ravel()], budgets[place.ravel()], rounding)

    def moves(self, distances: Sequence[Float64], among: Ids, of_probe: Sequence[int]) -> Moves:
        """From distances per optic, rounded up."""
        covered = np.stack([distances[optic] for optic in of_probe], axis=1)
        return Moves(covered, self.resize[among], self.budget[among])


@dataclass(frozen=True)
class MadeMembers:
    """Every member is made, resized and kept so.

    Attributes:
        seen: per optic, (n, 3·h·w).
        digest: over the pixels of all of them, in order.
    """

    optics: Optics
    sizes: Sizes
    seen: tuple[Float64, ...]
    digest: str

    @staticmethod
    def of(family: Finite, optics: Optics, budget: Budget) -> MadeMembers:
        """Make them.

        Raises:
            UsageError: there are too many for images of this size.
        """
        pixels = int((family.sizes[:, 0] * family.sizes[:, 1]).sum())
        if pixels > LARGEST_FAMILY:
            raise UsageError(f"{family.name}: {len(family)} members of {pixels} pixels together are too many to make")
        kept = len(family) * sum(3 * math.prod(optic.shape) for optic in optics.every)
        if kept > MOST_KEPT:
            views = f" in {len(optics.views)} views" if len(optics.views) > 1 else ""
            raise UsageError(
                f"{family.name}: {len(family)} members{views} are too many to hold: ask for a smaller range"
            )
        digest = hashlib.sha256()
        seen = tuple(np.empty((len(family), 3 * math.prod(optic.shape))) for optic in optics.every)

        def made(place: int) -> tuple[Pixels, list[Float64]]:
            member = family.make(place)
            return member, optics.see(member)

        for place, (member, values) in enumerate(in_threads(made, range(len(family)))):
            digest.update(member.tobytes())
            for own, one in zip(seen, values, strict=True):
                own[place] = one
        return MadeMembers(optics, Sizes.of(optics, family.sizes, budget), seen, digest.hexdigest())

    @property
    def rounding(self) -> list[float]:
        """See :class:`Members`."""
        return self.sizes.rounding

    def images(self, places: Ids) -> list[Float64]:
        """See :class:`Members`."""
        return [one[places] for one in self.seen]

    def room(self, place: int, holds: Callable[[Moves], Bools]) -> float:  # noqa: ARG002 - all are at hand
        """See :class:`Members`."""
        return np.inf

    def pick(self, places: Ids, near: Float64, count: int) -> Ids:
        """See :class:`Members`."""
        return spread(places, near, count)

    def moves(self, place: int, among: Ids, room: float = np.inf) -> Moves:  # noqa: ARG002
        """See :class:`Members`."""
        pairs = zip(self.seen, self.rounding, strict=True)
        distances = [cover_radius(one[among] - one[place], rounding=rounding) for one, rounding in pairs]
        return self.sizes.moves(distances, among, self.optics.of_probe)


def in_threads(work: Callable[[int], Made], places: Sequence[int]) -> Iterator[Made]:
    """Results in order, as many at a time as torch has threads: encoders, decoders and products release the lock."""
    threads = torch.get_num_threads()
    if threads == 1 or len(places) < 2 * threads:
        yield from map(work, places)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(work, places)


def spread(places: Ids, near: np.ndarray, count: int) -> Ids:
    """Some of these members, evenly spread over them from the identity outwards, the nearest among them."""
    ordered = places[np.argsort(near[places], kind="stable")]
    if len(ordered) <= count:
        return ordered
    picks = [0, *(math.floor((at + 0.5) * len(ordered) / count) for at in range(1, count))]
    return ordered[picks]
