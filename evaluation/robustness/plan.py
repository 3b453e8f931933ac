"""What an audit does: queries, edits, attacks, budgets, and how hard it tries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...attacks.harness import Effort
from ...attacks.registry import find_attack
from ...core.errors import UsageError
from ...core.units import Unit, to_l2
from ...images.edits import EDITS
from ..shared.plans import Keep, check_counts, check_keep, check_sizes, plain
from ..systems.retrieval_losses import GOALS, Goal

NO_EDIT = "identity"
DEFAULT_EDITS = ("jpeg", "brightness", "text", "crop")
DEFAULT_ATTACKS = ("apgd-l2", "apgd-linf")
DEFAULT_BUDGETS = (0.5, 1.0, 2.0, 3.0)
DEFAULT_LOSS_QUERIES = 200
DEFAULT_SAMPLE = 30
"""Items a plain ``retr attack-eval`` draws: with the edits, attacks and steps here, about two minutes on 2 cores."""
DEFAULT_SECONDS = 120.0
"""When a plain ``retr attack-eval`` ends, should images be large or the model slow."""


@dataclass(frozen=True)
class AuditPlan:
    """A whole audit.

    Attributes:
        queries: image files; empty to make queries from items of the index (self-edits).
        truth: CSV table of true items; None to go by file name. Not for self-edits.
        negatives: image files known to be copies of nothing in the index, audited beside the queries.
        sample: how many items of the index to make queries from, drawn by seed; None for all of them.
        seconds: take on no more queries than can be finished in this time; None to do them all. What is left out is
            counted.
        edits: benign edits applied to every query first, one case each; ``identity`` leaves it as it is.
        attacks: names from ``attacks.registry.ATTACKS``.
        goals: what the attacks aim at.
        budgets: in ``unit``. An ℓ∞ attack gets the ball that the ℓ2 ball just contains, ε∞ = ε₂/√n: a budget of b RMSE
            levels is b/255.
        unit: of the budgets.
        at_radius: instead of budgets, multiples of each query's own certified radius.
        steps, restarts: effort of each attack.
        loss_queries: evaluations of the loss per start, for attacks that see no gradient.
        seed: of samples, edits and random starts.
        out: folder for records and images; None for ``retr-audit/<run id>``.
        keep: which saved images to keep.
        gallery: how many of the most telling images to keep besides, with the queries they were made from.
        resume: go on with the unfinished run of ``out``, if there is one.
        batch_size: how many images of one shape to attack at a time.
        command: the command line, for the record.
    """

    queries: tuple[str, ...] = ()
    truth: Path | None = None
    negatives: tuple[str, ...] = ()
    sample: int | None = DEFAULT_SAMPLE
    seconds: float | None = None
    edits: tuple[str, ...] | None = None
    attacks: tuple[str, ...] = DEFAULT_ATTACKS
    goals: tuple[Goal, ...] = ("evasion",)
    budgets: tuple[float, ...] = DEFAULT_BUDGETS
    unit: Unit = "rmse"
    at_radius: tuple[float, ...] = ()
    steps: int = 20
    restarts: int = 1
    loss_queries: int = DEFAULT_LOSS_QUERIES
    seed: int = 0
    out: Path | None = None
    keep: Keep = "alarms"
    gallery: int = 0
    resume: bool = False
    batch_size: int = 16
    command: str = ""

    def __post_init__(self) -> None:
        _check_amounts(self)
        _check_names(self)

    @property
    def self_edits(self) -> bool:
        """Whether queries are made from the index's own items."""
        return not self.queries

    @property
    def chosen_edits(self) -> tuple[str, ...]:
        """The edits asked for; by default a few for self-edits and none for given queries."""
        return self.edits or (DEFAULT_EDITS if self.self_edits else (NO_EDIT,))

    @property
    def every_goal(self) -> bool:
        """Whether the goals are all there are, as ``all`` says: then a system is spared what it cannot have."""
        return set(GOALS) - set(self.goals) <= {"rank10"}  # left out where the index holds few items

    @property
    def effort(self) -> Effort:
        """Steps, restarts and queries."""
        return Effort(steps=self.steps, restarts=self.restarts, queries=self.loss_queries)

    @property
    def levels(self) -> tuple[float, ...]:
        """Budgets, or multiples of the radius."""
        return self.at_radius or self.budgets

    @property
    def largest_level(self) -> float:
        """The level of the largest ball; in dB that is the smallest number."""
        return max(self.levels, key=lambda level: level if self.at_radius else to_l2(level, self.unit, 1))

    @property
    def level_unit(self) -> str:
        """``radius`` for multiples of the radius, else the unit of the budgets."""
        return "radius" if self.at_radius else self.unit

    def as_json(self) -> dict[str, Any]:
        """All that a query's records depend on, in plain values: what a resumed run must agree in."""
        return {**plain(self, "out", "seconds", "command", "resume"), "edits": self.chosen_edits}


def _check_amounts(plan: AuditPlan) -> None:
    check_sizes("budgets", plan.levels)
    check_counts(sample=plan.sample, batch_size=plan.batch_size)
    check_counts(0, seed=plan.seed, gallery=plan.gallery)
    if plan.seconds is not None and not plan.seconds > 0:
        raise UsageError(f"a time limit must be above 0 seconds, got {plan.seconds}")
    _ = plan.effort  # checks itself


def _check_names(plan: AuditPlan) -> None:
    if not plan.attacks or not plan.goals:
        raise UsageError("an audit needs at least one attack and one goal")
    for name in plan.attacks:
        find_attack(name)
    for edit in plan.chosen_edits:
        if edit not in EDITS:
            raise UsageError(f"no edit is called {edit!r}; choose from {', '.join(EDITS)}")
    for goal in plan.goals:
        if goal not in GOALS:
            raise UsageError(f"no goal is called {goal!r}; choose from {', '.join(GOALS)}")
    check_keep(plan.keep)
    if plan.truth is not None and plan.self_edits:
        raise UsageError("truth speaks of query files, and none are given")
