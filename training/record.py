"""The training record: what a model file says of the run that made its weights."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from typing import Any

import torch

from ..core.files import canonical_json, digest_json
from .checkpoint import Progress
from .plan import TrainPlan
from .recipe import Recipe

FORMAT = "retr.training/1"


def training_record(recipe: Recipe, plan: TrainPlan, progress: Progress, *, hardware: Mapping[str, Any]) -> dict:
    """Plain JSON: recipe with its data, plan, how far, figures, machine. ``digest`` covers recipe and plan."""
    begun = begun_as(recipe, plan)
    return {
        "format": FORMAT,
        **begun,
        "digest": digest_json(begun),
        "steps_done": progress.step,
        "views": progress.views,
        "skipped_steps": progress.skipped,
        "seconds": round(progress.seconds, 1),
        "evaluated_at_step": progress.evaluated if progress.evaluated >= 0 else None,
        "metrics": dict(progress.metrics),
        "hardware": dict(hardware),
        "torch": torch.__version__,
    }


def begun_as(recipe: Recipe, plan: TrainPlan) -> dict[str, Any]:
    """What a run was begun with, and must be resumed with."""
    described = {"recipe": recipe.name, "options": recipe.describe(), "plan": plan.as_json()}
    canonical_json(described)  # an option that is not plain JSON shows here, not hours later
    return described


def hardware_of(device: torch.device, *, processes: int) -> dict[str, Any]:
    """The machine in words: device, count, threads."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": device.type, "name": name, "processes": processes, "threads": torch.get_num_threads()}


def count_rejected(options: Mapping[str, Any]) -> int:
    """Files that were no acceptable image, by the ``data`` that a recipe describes; 0 where it describes none."""
    return sum((options.get("data") or {}).get("rejected", {}).values())


def plain(values: Mapping[str, float]) -> dict[str, float | None]:
    """Figures as JSON can hold them: what is not finite becomes None."""
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}
