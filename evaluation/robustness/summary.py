"""The numbers of an audit, computed from its records alone: what rows each line of its tables is of."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from .attack_lines import AttackLine, Attempts
from .columns import RADIUS, Columns, ball_order
from .shifts import shift_lines
from .summary_lines import AtBudget, BudgetLine, EditLine, MultipleLine, Summary, SystemLine
from .tightness import tightness_lines
from .weak_attacks import weak_attacks


def summarise(records: pa.Table) -> Summary:
    """Summarise the records of one run."""
    table = Columns.of(records)
    by_system = list(table.groups("system"))
    by_edit = [part for system in by_system for part in system.groups("edit")]
    systems = tuple(SystemLine.of(system) for system in by_system)
    return Summary(
        run=str(table.first("run")),
        queries=systems[0].queries,
        files=systems[0].files,
        systems=systems,
        budgets=tuple(BudgetLine.of(at) for system in by_system for at in _budgets(system)),
        edit_budgets=tuple(BudgetLine.of(at) for part in by_edit for at in _budgets(part, part.first("edit"))),
        multiples=tuple(MultipleLine.of(at) for system in by_system for at in _levels(system) if at.unit == RADIUS),
        attacks=tuple(AttackLine.of(one) for system in by_system for one in _attempts(system)),
        edit_attacks=tuple(AttackLine.of(one) for part in by_edit for one in _attempts(part, part.first("edit"))),
        edits=tuple(EditLine.of(part) for part in by_edit),
        tightness=tuple(tightness_lines(table)),
        shifts=tuple(shift_lines(table)),
        warnings=tuple(weak_attacks(table)),
        certificates=sum(line.certificates for line in systems),
        alarms=sum(line.alarms for line in systems),
    )


def _levels(part: Columns, edit: str | None = None) -> list[AtBudget]:
    """Its budgets from the smallest ball to the largest."""
    trials = part.attacked
    unit = str(trials.first("unit")) if len(trials) else RADIUS
    order = sorted(set(trials["budget"].tolist()), key=lambda budget: ball_order(budget, unit))
    return [AtBudget(part, budget, unit, edit) for budget in order]


def _budgets(part: Columns, edit: str | None = None) -> list[AtBudget]:
    """The same; none where they are multiples of the radius."""
    return [at for at in _levels(part, edit) if at.unit != RADIUS]


def _attempts(part: Columns, edit: str | None = None) -> Iterator[Attempts]:
    """Every attack with every goal at every budget that it says something of."""
    levels, clean = _levels(part, edit), part.clean
    for runs in part.attacked.groups("attack", "source", "goal"):
        for at in levels:
            one = Attempts(clean, runs, at.budget, at.unit, edit)
            if len(one.here):
                yield one
