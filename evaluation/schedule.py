"""Which attacks an audit runs on a query: every goal, attack and budget that makes sense for a system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..attacks.registry import ATTACKS, Attack
from .plan import AuditPlan
from .retrieval_losses import Goal
from .systems import System


@dataclass(frozen=True, slots=True)
class Task:
    """One run of an attack on one query.

    Attributes:
        level: a budget, or a multiple of the query's radius.
    """

    goal: Goal
    attack: Attack
    level: float

    def __str__(self) -> str:
        return f"{self.attack.name} at {self.level:g}"


def tasks(plan: AuditPlan, system: System) -> tuple[Task, ...]:
    """The runs on each query of a system, in the order of their records."""
    return tuple(_tasks(plan, system))


def series(every: Sequence[Task]) -> tuple[tuple[Task, ...], ...]:
    """Tasks that differ in their level alone, together: one batch runs them all, which is quicker than several."""
    return tuple(tuple(same) for _, same in groupby(every, key=lambda task: (task.goal, task.attack)))


def _tasks(plan: AuditPlan, system: System) -> Iterator[Task]:
    for goal in plan.goals:
        for name in plan.attacks:
            attack = ATTACKS[name]
            if suits(attack, goal, system):
                yield from (Task(goal, attack, level) for level in levels(attack, plan))


def suits(attack: Attack, goal: Goal, system: System) -> bool:
    """Whether the attack can be after the goal.

    How far an embedding goes is no yes or no: there is no smallest winning change, and a sign says nothing. A hash has
    bits where others have an embedding.
    """
    if goal != "embedding":
        return True
    return system.kind != "hash" and not attack.minimal and attack.sees != "decision"


def levels(attack: Attack, plan: AuditPlan) -> tuple[float, ...]:
    """The budgets it is run at: only the largest where it looks for the smallest change, or is held to no ball."""
    once = attack.minimal or attack.norm == "none"
    return (plan.largest_level,) if once else plan.levels
