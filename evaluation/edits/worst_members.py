"""Members of a proved range for an attacker: at random, at its ends, and where the claim looks weakest."""

from __future__ import annotations

import numpy as np

from ...images.families.family import Continuous, Finite, Pixels
from ...retrieval.ranges.result import Reach

Family = Finite | Continuous


def draw_members(family: Family, reach: Reach, count: int, *, rng: np.random.Generator) -> list[Pixels]:
    """Members inside of the range that is proved; none where nothing is.

    Args:
        family: of a query.
        reach: what is proved of it.
        count: how many, about; both ends are among them.
        rng: what draws the others.
    """
    if isinstance(family, Finite):
        return [family.make(at) for at in _places(family, reach, count, rng)]
    if reach.low is None or reach.high is None:
        return []
    low, high = np.array(reach.low), np.array(reach.high)
    points = low + rng.uniform(size=(max(0, count - 2), len(low))) * (high - low)
    return [family.member(tuple(map(float, point))) for point in (low, high, *points)]


def _places(family: Finite, reach: Reach, count: int, rng: np.random.Generator) -> list[int]:
    if not family.ordered:
        return list(range(len(family))) if reach.whole else []
    if reach.low is None or reach.high is None:
        return []
    inside = np.flatnonzero((family.values >= reach.low[0]) & (family.values <= reach.high[0]))
    ends = [int(inside[family.values[inside].argmin()]), int(inside[family.values[inside].argmax()])]
    more = rng.choice(inside, max(0, min(count, len(inside)) - 2), replace=False)
    return list(dict.fromkeys([*ends, *map(int, more)]))
