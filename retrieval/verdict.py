"""The verdict of one probe by its evidence (T4, T5), and what rows that are not listed leave of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..certificates.decision import accepted
from ..certificates.verdicts import VerdictRadii, unseen_nothing_radii, verdict_radii_of
from ..core.numerics import norm
from ..indexer.items import NO_KEYS, Keys
from .channel import Float64
from .compared_rows import Rows
from .distances import beyond
from .evidence import Evidence
from .probe import Probe
from .ranking import Ranking
from .source import Ask

NOTHING_ROWS = 2048
"""So many rows may be looked at for the sake of the "not a copy" radius alone, which is sound with fewer too."""
_HALVINGS = 10

Bools = npt.NDArray[np.bool_]


def accepting(seen: Evidence) -> npt.NDArray[np.bool_]:
    """(m,) which listed rows the query, as it is, is a copy of."""
    assert seen.listed.limits is not None, "a verdict needs a threshold"
    return accepted(seen.listed.met.verdict_values(), seen.probe.score, seen.listed.limits)


def radii_of(probe: Probe, rows: Rows) -> VerdictRadii:
    """T4/T5 of some rows, each with its own threshold."""
    assert rows.limits is not None, "a verdict needs a threshold"
    bounds = probe.proved
    return verdict_radii_of(rows.met, rows.limits, lipschitz=bounds.lipschitz, forward_error=bounds.forward_error)


def needed_for_verdict(seen: Evidence) -> float:
    """How near an unseen row must not be for the verdict on the query as it is to stand.

    With one threshold for all rows the nearest row decides, and is listed. With local ones a farther row may accept.
    """
    return beyond(seen.reach, seen.probe.score) if seen.probe.local else 0.0


def hidden_nothing(seen: Evidence) -> float:
    """A floor under the "not a copy" radius of every row that is not listed; inf when all are."""
    return math.inf if seen.everything_listed else float(_nothing_beyond(seen, np.array([seen.unseen]))[0])


def _nothing_beyond(seen: Evidence, far: Float64) -> Float64:
    """(m,) the same, if what is not listed were so far away."""
    assert seen.widest is not None, "a verdict needs a threshold"
    radii = unseen_nothing_radii(
        far,
        z_norm=float(norm(seen.probe.z)),
        dim=len(seen.probe.z),
        score=seen.probe.score,
        threshold=seen.widest,
        lipschitz=seen.probe.proved.lipschitz,
        forward_error=seen.probe.proved.forward_error,
    )
    return np.maximum(0.0, radii)


def wish_for_nothing(seen: Evidence, ranking: Ranking, own: Keys = NO_KEYS) -> Ask | None:
    """To list so many rows that hidden ones do not lower the "not a copy" radius, or less where those are too many.

    None where they do not lower it.

    Args:
        seen: what is known.
        ranking: by all probes.
        own: items whose rows are all to be given again.
    """
    wanted, near = ranking.listed_nothing, seen.unseen
    if not wanted or hidden_nothing(seen) >= wanted:
        return None
    horizon = 2.0 if seen.probe.score == "cosine" else 4.0 * near
    far = _least_of_many(lambda b: _nothing_beyond(seen, b) >= wanted, near, horizon)
    steps = tuple(near + part * (far - near) for part in (1.0, 0.5, 0.25))
    return Ask(seen.probe, within=steps, most=NOTHING_ROWS, own=own)


def least_distance(enough: Callable[[float], bool], near: float, far: float) -> float:
    """The least distance found sufficient by halving, ``near`` if that is; ``far`` where none is."""
    if enough(near):
        return near
    for _ in range(_HALVINGS):
        middle = 0.5 * (near + far)
        near, far = (near, middle) if enough(middle) else (middle, far)
    return far


def _least_of_many(enough: Callable[[Float64], Bools], near: float, far: float) -> float:
    """:func:`least_distance` where many distances are looked at for the price of one: two grids in place of halving."""
    for _ in range(2):
        steps = np.linspace(near, far, 2 ** (_HALVINGS // 2) + 1)
        good = enough(steps)
        if not good.any():
            return far
        first = int(good.argmax())
        near, far = float(steps[max(0, first - 1)]), float(steps[first])
    return far
