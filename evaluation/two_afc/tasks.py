"""Which attacks a 2AFC benchmark runs on which metric, and which it cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...core.errors import ModelError, UsageError
from .metric import System, load_system
from .plan import TwoAFCPlan, tasks_of
from .settings import Moves, Setting


@dataclass(frozen=True)
class Task:
    """An attack on a metric; ``transfer``: judged by all others too."""

    system: System
    setting: Setting
    moves: Moves
    transfer: bool


LeftOut = dict[str, str]
"""``metric``, ``setting`` ("" where the metric is left out altogether) and ``why``."""


def load_systems(plan: TwoAFCPlan) -> tuple[dict[str, System], list[LeftOut]]:
    """The metrics of a plan by the words that name them, and those that cannot be loaded here, with the reason.

    A package or a file of weights that is missing costs one metric and not the run; a metric that does not exist, or a
    model that was changed, ends it.

    Raises:
        UsageError, IntegrityError: as ``load_metric``.
        ModelError: not one of the metrics can be loaded.
    """
    systems: dict[str, System] = {}
    missing: list[LeftOut] = []
    for spec in plan.metrics:
        try:
            systems[spec] = load_system(spec, device=plan.device)
        except ModelError as error:
            if len(plan.metrics) == 1 + len(missing):
                raise
            missing.append({"metric": spec, "setting": "", "why": str(error)})
    return systems, missing


def find_source(plan: TwoAFCPlan, systems: Mapping[str, System]) -> tuple[System | None, list[LeftOut]]:
    """The metric that transfers are made on, loaded once where it is one of those judged; or the transfers left out.

    Args:
        plan: the benchmark.
        systems: what is judged, by the words that name it.

    Raises:
        UsageError: for a metric that does not exist.
        ModelError: it cannot be loaded, and the plan holds no other attack.
    """
    if not plan.transfers or plan.transfer_from is None:
        return None, []
    for spec, system in systems.items():
        if plan.transfer_from in (spec, system.spec):
            return system, []
    try:
        source = load_system(plan.transfer_from, device=plan.device)
    except ModelError as error:
        why = f"{error}; or transfer from another metric, such as st-lpips-alex"
        if not plan.settings:
            raise type(error)(why) from error
        return None, [{"metric": plan.transfer_from, "setting": one.label, "why": why} for one in plan.transfers]
    return next((system for system in systems.values() if system.spec == source.spec), source), []


def check_different(systems: Sequence[System]) -> None:
    """Refuse the same metric under two names: its records could not be told apart.

    Raises:
        UsageError: naming it.
    """
    specs = [system.spec for system in systems]
    twice = [spec for spec in specs if specs.count(spec) > 1]
    if twice:
        raise UsageError(f"two of the metrics are the same one, {twice[0]}")


def plan_tasks(plan: TwoAFCPlan, systems: Sequence[System], source: System | None) -> tuple[list[Task], list[LeftOut]]:
    """Attacks to run, and those that a metric cannot be given, with the reason.

    Raises:
        UsageError: no transfer can be made on the source.
    """
    asked = [(system, task, False) for system in systems for task in tasks_of(plan.settings, plan)]
    if source is not None:
        asked += [(source, task, True) for task in tasks_of(plan.transfers, plan)]
    tasks, left_out = [], []
    for system, (setting, moves), transfer in asked:
        why = _unsuited(system, setting)
        if why is None:
            tasks.append(Task(system, setting, moves, transfer))
        else:
            left_out.append({"metric": system.spec, "setting": setting.label, "why": why})
    if source is not None and not any(task.transfer for task in tasks):
        raise UsageError(f"no transfer can be made on {source.spec}: {left_out[-1]['why']}; choose another metric")
    return tasks, left_out


def _unsuited(system: System, setting: Setting) -> str | None:
    """Why a metric cannot be attacked so, or None."""
    if setting.goal == "embedding" and system.embedder is None:
        return "no embedder"
    if setting.at_radius is not None and not system.certified:
        return "no certificate"
    if setting.attack.sees == "gradient" and not system.metric.facts.differentiable:
        return "not differentiable: black-box attacks only"
    return None
