"""Which attacks an audit runs on a query: every goal, attack and budget that makes sense for a system."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...attacks.registry import ATTACKS, Attack
from ...core.rounded import budget_text
from ..systems.index_system import EngineSystem, System
from ..systems.retrieval_losses import Goal
from .plan import AuditPlan


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
        return f"{self.attack.name} at {budget_text(self.level)}"


def tasks(plan: AuditPlan, system: System) -> tuple[Task, ...]:
    """The runs on each query of a system."""
    return tuple(_tasks(plan, system))


def series(plan: AuditPlan, system: System) -> tuple[tuple[Task, ...], ...]:
    """The tasks of a system by attack, in the order of their records: one batch runs several quicker than several do.

    An index embeds a batch once for all goals. Whatever else there is has a target for each goal.
    """
    found: dict[tuple[str, str], list[Task]] = {}
    for task in tasks(plan, system):
        apart = not isinstance(system, EngineSystem) or endless(task.goal, system)
        found.setdefault((task.attack.name, task.goal if apart else ""), []).append(task)
    return tuple(tuple(same) for same in found.values())


def endless(goal: Goal, system: System) -> bool:
    """Whether there is nothing to stop at: an embedding can always be moved farther where no limit can be broken."""
    return goal == "embedding" and not system.certified


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
