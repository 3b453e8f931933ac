"""Members of a proved range for an attacker: its ends, at random, and where evolution finds the claim weakest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...images.families.family import Continuous, Finite, Pixels
from ...images.families.geometry import Crops
from ...retrieval.ranges.result import Reach

Family = Finite | Continuous
Losses = Callable[[Sequence[Pixels]], np.ndarray]
"""How near members are to breaking the claim, as they are; the larger the nearer."""
GENERATIONS, CHILDREN = 2, 8
_STEP = 0.15
"""Standard deviation of a child's parameter, as a share of the proved range; halved with each generation."""


@dataclass(frozen=True)
class Pool:
    """What members may be drawn of: only such as the proof covers.

    Attributes:
        draw: how many → parameters at random, both ends first.
        near: parameters of one member, and a share of the range → a child's.
        make: parameters → pixels.
    """

    draw: Callable[[int], list[tuple[float, ...]]]
    near: Callable[[tuple[float, ...], float], tuple[float, ...]]
    make: Callable[[tuple[float, ...]], Pixels]


def draw_members(
    family: Family, reach: Reach, count: int, *, rng: np.random.Generator, losses: Losses | None = None
) -> list[Pixels]:
    """Members inside of the range that is proved; none where nothing is.

    Args:
        family: of a query.
        reach: what is proved of it.
        count: how many, about: both ends, some at random, and the worst that are found.
        rng: what draws.
        losses: what evolution goes by; None for no evolution.
    """
    pool = _pool(family, reach, rng)
    if pool is None:
        return []
    chosen = pool.draw(count)
    if losses is not None:
        chosen = _evolved(pool, chosen, losses)
    return [pool.make(point) for point in chosen]


def _evolved(pool: Pool, drawn: list[tuple[float, ...]], losses: Losses) -> list[tuple[float, ...]]:
    """The ends, the first half of the others as drawn, and for the rest the worst of all that were looked at."""
    seen = dict(zip(drawn, losses([pool.make(point) for point in drawn]), strict=True))
    for generation in range(GENERATIONS):
        parents = sorted(seen, key=lambda point: -seen[point])[: max(1, CHILDREN // 2)]
        born = {pool.near(parents[at % len(parents)], _STEP / 2**generation) for at in range(CHILDREN)} - seen.keys()
        if born:
            fresh = sorted(born)
            seen |= dict(zip(fresh, losses([pool.make(point) for point in fresh]), strict=True))
    kept = drawn[: (len(drawn) + 2) // 2]
    worst = sorted(seen.keys() - set(kept), key=lambda point: -seen[point])
    return [*kept, *worst[: len(drawn) - len(kept)]]


def _pool(family: Family, reach: Reach, rng: np.random.Generator) -> Pool | None:
    if isinstance(family, Finite):
        return _pool_of_members(family, reach, rng)
    if reach.low is None or reach.high is None:
        return None
    low, high = np.array(reach.low), np.array(reach.high)

    def draw(count: int) -> list[tuple[float, ...]]:
        points = low + rng.uniform(size=(max(0, count - 2), len(low))) * (high - low)
        return [tuple(map(float, point)) for point in (low, high, *points)]

    def near(point: tuple[float, ...], share: float) -> tuple[float, ...]:
        moved = np.array(point) + share * (high - low) * rng.normal(size=len(low))
        return tuple(map(float, np.clip(moved, low, high)))

    return Pool(draw, near, family.member)


def _pool_of_members(family: Finite, reach: Reach, rng: np.random.Generator) -> Pool | None:
    if not family.ordered:
        inside = np.arange(len(family)) if reach.whole else np.arange(0)
    elif reach.low is None or reach.high is None:
        return None
    else:
        inside = np.flatnonzero((family.values >= reach.low[0]) & (family.values <= reach.high[0]))
    if not inside.size:
        return None
    ends = [int(inside[family.values[inside].argmin()]), int(inside[family.values[inside].argmax()])]
    strides = (1, len(family.columns)) if isinstance(family, Crops) else (1,)
    known = set(inside.tolist())

    def draw(count: int) -> list[tuple[float, ...]]:
        more = rng.choice(inside, max(0, min(count, len(inside)) - 2), replace=False)
        return [(float(place),) for place in dict.fromkeys([*ends, *map(int, more)])]

    def near(point: tuple[float, ...], share: float) -> tuple[float, ...]:
        steps = rng.normal(size=len(strides)) * max(1.0, share * len(inside) ** (1.0 / len(strides)))
        place = int(point[0] + sum(round(step) * stride for step, stride in zip(steps, strides, strict=True)))
        return (float(place),) if place in known else (float(rng.choice(inside)),)

    return Pool(draw, near, lambda point: family.make(int(point[0])))
