"""What an attack on one query of one system is about, and how large a change it may make."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ...attacks.projections import Norm
from ...core.numerics import round_down, round_up
from ...core.units import to_l2
from ..systems.retrieval_target import Aim
from .plan import AuditPlan
from .rows import Prepared
from .schedule import Task


def budget_of(prepared: Prepared, task: Task, plan: AuditPlan) -> float | None:
    """The level in the attack's norm; None where it is a multiple of a radius that is not there.

    An ℓ∞ attack gets the ball that the ℓ2 ball just contains, an ℓ0 attack as many pixels as may change from black to
    white inside it, at least one. All are rounded down: no attack leaves the ball that its success is counted for.
    """
    if plan.at_radius:
        radius = prepared.radius(task.goal)
        l2 = None if radius is None or radius.l2 == 0 else task.level * radius.l2
    else:
        l2 = to_l2(task.level, plan.unit, prepared.values, inside=True)
    return None if l2 is None else in_norm(l2, task.attack.norm, prepared.values)


def in_norm(l2: float, norm: Norm, values: int) -> float:
    """An ℓ2 budget in the norm of an attack, as :func:`budget_of` says."""
    if norm == "linf":
        return round_down(l2 / round_up(math.sqrt(values)))
    return float(max(1, math.floor(Fraction(l2) ** 2 / 3))) if norm == "l0" else l2


def reach_of(eps: float, norm: Norm, values: int) -> float:
    """The largest ℓ2 norm of a change that the attack may make."""
    sizes = {"l2": eps, "linf": eps * math.sqrt(values), "l0": math.sqrt(3.0 * eps), "none": math.sqrt(values)}
    return min(sizes[norm], math.sqrt(values))


def aim_of(prepared: Prepared, task: Task, eps: float, chosen: int | None) -> Aim | None:
    """The aim of a task for a system; None where there is nothing to aim at.

    Args:
        prepared: the query and the system's answer to it.
        task: goal and attack.
        eps: the budget in the attack's norm.
        chosen: for a collision, the item that shall come first, see :func:`chosen_item`.
    """
    if not prepared.clean.matches:
        return None
    first, goal, entrant = prepared.clean.matches[0].group, task.goal, prepared.entrant
    if goal == "collision":
        number = None if chosen is None else entrant.number(chosen)
        return None if number is None or number == first else Aim(first, chosen=number)
    if goal == "verdict":
        return Aim(first, copy=prepared.clean.point_verdict == "copy")
    if goal == "embedding":
        reach = reach_of(eps, task.attack.norm, prepared.values) if entrant.system.certified else 0.0
        return Aim(first, image=prepared.case.pixels, reach=reach)
    return Aim(first)


def chosen_item(prepared: Prepared, items: int) -> int | None:
    """A wrong item that shall come first, as the index numbers it that the queries belong to; None if there is none.

    Drawn by the case: the same for every system that holds it and does not answer with it already.
    """
    first = prepared.clean.matches[0].group
    for item in np.random.default_rng(prepared.case.seed).permutation(items).tolist():
        number = prepared.entrant.number(item)
        if number is not None and number != first and item not in prepared.case.truth:
            return item
    return None
