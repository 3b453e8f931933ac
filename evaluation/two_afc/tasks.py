"""Which attacks a 2AFC benchmark runs on which metric, and which it cannot."""

from __future__ import annotations

from collections.abc import Sequence
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


def find_source(plan: TwoAFCPlan, systems: Sequence[System]) -> System | None:
    """The metric that transfers are made on, loaded once where it is one of those judged.

    Raises:
        UsageError, ModelError: it cannot be loaded; with what else there is to do.
    """
    if not plan.transfers or plan.transfer_from is None:
        return None
    for system, spec in zip(systems, plan.metrics, strict=True):
        if plan.transfer_from in (spec, system.spec):
            return system
    try:
        source = load_system(plan.transfer_from, device=plan.device)
    except ModelError as error:
        raise type(error)(f"{error}; or transfer from another one: --transfer-from st-lpips-alex, or none") from error
    return next((system for system in systems if system.spec == source.spec), source)


def check_different(systems: Sequence[System]) -> None:
    """Refuse the same metric under two names: its records could not be told apart.

    Raises:
        UsageError: naming it.
    """
    specs = [system.spec for system in systems]
    twice = [spec for spec in specs if specs.count(spec) > 1]
    if twice:
        raise UsageError(f"two of the metrics are the same one, {twice[0]}")


def plan_tasks(
    plan: TwoAFCPlan, systems: Sequence[System], source: System | None
) -> tuple[list[Task], list[dict[str, str]]]:
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
        raise UsageError(f"--transfer-from {source.spec}: {left_out[-1]['why']}; choose another metric")
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
