"""How hard an audit tries when it is not told in numbers: as it is, ``--quick`` or ``--full``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ...attacks.registry import ATTACKS
from ...core.errors import UsageError
from ...images.edits import EDITS
from ..shared.plans import said, with_preset
from ..systems.retrieval_losses import GOALS, TOP
from .plan import DEFAULT_SECONDS, AuditPlan

Preset = Literal["usual", "quick", "full"]

ALL = "all"

PRESETS: dict[Preset, dict[str, Any]] = {
    "usual": {},
    # Every attack once, on little: minutes on 2 cores. It shows whether anything is wrong, not how large a share is.
    "quick": {
        "sample": 4,
        "edits": ("identity", "jpeg"),
        "attacks": (ALL,),
        "goals": ("evasion", "verdict"),
        "budgets": (1.0, 3.0),
        "seconds": 240.0,
    },
    # Hours to days, by the number of systems: begin it with --out, so that --resume finds it again.
    "full": {
        "sample": 200,
        "edits": ("identity", "jpeg", "brightness", "text", "crop"),
        "attacks": (ALL,),
        "goals": (ALL,),
        "budgets": (0.5, 1.0, 2.0, 3.0, 5.0, 8.0),
        "steps": 100,
        "restarts": 5,
        "loss_queries": 5000,
    },
}
"""What each says of the plan; what the user says comes first."""


def plan_of(preset: Preset, given: Mapping[str, Any], *, items: int) -> AuditPlan:
    """The plan of a preset and what was given beside it.

    Args:
        preset: a key of PRESETS.
        given: fields of ``AuditPlan``; None, or no words, for those that were not given. ``all`` stands for every edit,
            attack or goal.
        items: of the index. A goal that ``all`` brings is left out where so few items cannot have it.

    Raises:
        UsageError: as the plan's own checks.
    """
    fields, asked = with_preset(PRESETS, preset, given), said(given)
    if preset == "usual" and "seconds" not in fields and not {"queries", "sample"} & asked.keys():
        fields["seconds"] = DEFAULT_SECONDS
    fields["seconds"] = fields.get("seconds") or None  # 0: no limit
    if fields.get("sample") == 0:
        fields["sample"] = None  # all of them
    goals = tuple(goal for goal in GOALS if goal != "rank10" or items > TOP)
    for name, every in (("edits", tuple(EDITS)), ("attacks", tuple(ATTACKS)), ("goals", goals)):
        if ALL in fields.get(name, ()):
            fields[name] = every
    if preset != "usual" and "edits" not in asked and fields.get("queries"):
        del fields["edits"]  # queries of one's own are taken as they are
    return AuditPlan(**fields)


def choose_preset(*, quick: bool, full: bool) -> Preset:
    """The preset of two flags.

    Raises:
        UsageError: both were given.
    """
    if quick and full:
        raise UsageError("quick and full exclude each other")
    return "quick" if quick else "full" if full else "usual"
