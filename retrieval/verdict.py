"""The verdict of one probe by its evidence (T4, T5), and what rows that are not listed leave of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..certificates.decision import accepted
from ..certificates.verdicts import VerdictRadii, unseen_nothing_radius, verdict_radii_of
from ..core.numerics import norm
from .compared_rows import Rows
from .distances import beyond
from .evidence import Evidence
from .probe import Probe
from .source import Ask

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
    if seen.everything_listed:
        return math.inf
    assert seen.widest is not None, "a verdict needs a threshold"
    radius = unseen_nothing_radius(
        seen.unseen,
        z_norm=float(norm(seen.probe.z)),
        dim=len(seen.probe.z),
        score=seen.probe.score,
        threshold=seen.widest,
        lipschitz=seen.probe.proved.lipschitz,
        forward_error=seen.probe.proved.forward_error,
    )
    return max(radius, seen.rejects)


def wish_for_nothing(seen: Evidence, wanted: float) -> Ask | None:
    """To say how far every row rejects, where rows that are not listed leave less than the listed ones; else None.

    Args:
        seen: what is known.
        wanted: what the radius of "not a copy" is by all listed rows; 0 where the verdict is another.
    """
    asked = not wanted or seen.rejects > 0.0 or hidden_nothing(seen) >= wanted
    return None if asked else Ask(seen.probe, rejects=wanted)


def least_distance(enough: Callable[[float], bool], near: float, far: float) -> float:
    """The least distance found sufficient by halving, ``near`` if that is; ``far`` where none is."""
    if enough(near):
        return near
    for _ in range(_HALVINGS):
        middle = 0.5 * (near + far)
        near, far = (near, middle) if enough(middle) else (middle, far)
    return far
