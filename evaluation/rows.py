"""Records of an audit, built from answers and outcomes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..attacks.harness import Outcome, Trial
from ..attacks.media import Medium
from ..attacks.registry import ATTACKS
from ..core.files import sha256_bytes
from ..core.units import Radius
from ..retrieval.answer import Answer
from .cases import Case
from .judging import alarms, found, holds, reached, top1_radius, verdict_radius
from .plan import AuditPlan
from .provenance import Provenance
from .retrieval_target import Aim, Goal

TOP = 10
"""How many matches an audit asks for: recall@10, and the certificates of the first ten."""


@dataclass(frozen=True)
class Prepared:
    """A case and the certified answer to its image before any attack."""

    case: Case
    clean: Answer

    @property
    def values(self) -> int:
        """Number of values in the image, 3·H·W."""
        return self.case.pixels.size

    def radius(self, goal: Goal) -> Radius | None:
        """The certificate that an attack with this goal is up against."""
        return verdict_radius(self.clean) if goal == "verdict" else top1_radius(self.clean)


@dataclass(frozen=True)
class Level:
    """A budget as asked for, and what an attack was given.

    Attributes:
        budget: as asked for; unit: its unit, or ``radius``.
        eps: in the attack's norm.
    """

    budget: float
    unit: str
    eps: float


@dataclass(frozen=True)
class Recorder:
    """Makes the records of one run."""

    provenance: Provenance
    plan: AuditPlan

    def clean(self, prepared: Prepared) -> dict[str, Any]:
        """The record of a query without attack, which every query has."""
        return {
            **self._query(prepared),
            **_no_attack(),
            **self._attacked(prepared, prepared.clean),
            "seconds": sum(prepared.clean.seconds.values()),
        }

    def trial(
        self, prepared: Prepared, goal: Goal, aim: Aim, level: Level, outcome: Outcome[Answer], trial: Trial[Answer]
    ) -> dict[str, Any]:
        """The record of one saved image; ``image`` is filled in by whoever decides what is kept."""
        clean, answer, distance = prepared.clean, trial.verdict, trial.distance
        attack = ATTACKS[outcome.attack]
        kinds = alarms(clean, answer, distance.l2)
        return {
            **self._query(prepared),
            "goal": goal,
            "attack": outcome.attack,
            "sees": attack.sees,
            "source": None,
            "minimal": attack.minimal,
            "norm": outcome.norm,
            "budget": level.budget,
            "unit": level.unit,
            "eps": level.eps,
            "steps": self.plan.effort.steps_of(attack),
            "restarts": self.plan.restarts,
            "medium": trial.medium,
            "l2": distance.l2,
            "linf": distance.linf,
            "rmse": distance.rmse,
            "psnr": distance.psnr,
            "changed_001": distance.changed_001,
            "changed_01": distance.changed_01,
            "changed_03": distance.changed_03,
            **self._attacked(prepared, answer),
            "within_top1": holds(top1_radius(clean), distance.l2),
            "within_verdict": holds(verdict_radius(clean), distance.l2),
            "claimed": outcome.claimed,
            "success": reached(goal, aim, clean, answer),
            "alarm": bool(kinds),
            "alarm_kind": "+".join(kinds) or None,
            "embedding_shift": None,
            "embedding_limit": None,
            "first_loss": finite(outcome.first_loss),
            "best_loss": finite(outcome.loss),
            "zero_gradients": outcome.zero_gradients if outcome.gradients else None,
            "restart": outcome.restart,
            "weak": "+".join(outcome.weak) or None,
            "seconds": outcome.seconds,
            "forwards": outcome.forwards,
            "gradients": outcome.gradients,
            "image": None,
            "clean_image": None,
        }

    def _query(self, prepared: Prepared) -> dict[str, Any]:
        case, clean = prepared.case, prepared.clean
        return {
            **self.provenance.columns(),
            "query": case.query,
            "stranger": False,
            "query_sha256": sha256_bytes(str(case.pixels.shape).encode() + case.pixels.tobytes()),
            "edit": case.edit,
            "geometric": case.geometric,
            "width": clean.width,
            "height": clean.height,
            "clean_item": _first_id(clean),
            "clean_first": found(clean, case.truth, 1),
            "clean_top10": found(clean, case.truth, TOP),
            "clean_verdict": clean.point_verdict,
            "radius_top1": _l2(top1_radius(clean)),
            "radius_verdict": _l2(verdict_radius(clean)),
        }

    @staticmethod
    def _attacked(prepared: Prepared, answer: Answer) -> dict[str, Any]:
        return {
            "attacked_item": _first_id(answer),
            "attacked_first": found(answer, prepared.case.truth, 1),
            "attacked_top10": found(answer, prepared.case.truth, TOP),
            "attacked_verdict": answer.point_verdict,
        }


def _no_attack() -> dict[str, Any]:
    medium: Medium = "float"
    amounts = ("budget", "eps", "l2", "linf", "rmse", "changed_001", "changed_01", "changed_03")
    numbers = dict.fromkeys(amounts, 0.0)
    counts = dict.fromkeys(("steps", "restarts", "forwards", "gradients"), 0)
    flags = dict.fromkeys(("minimal", "within_top1", "within_verdict", "claimed", "success", "alarm"), False)
    words = {"goal": "clean", "attack": "clean", "sees": "none", "norm": "none", "unit": "l2", "medium": medium}
    losses = ("first_loss", "best_loss", "zero_gradients", "restart", "weak", "embedding_shift", "embedding_limit")
    absent = dict.fromkeys((*losses, "psnr", "source", "alarm_kind", "image", "clean_image"), None)
    return {**numbers, **counts, **flags, **words, **absent}


def finite(value: float) -> float | None:
    """A number as records hold it: none for infinities and what is no number."""
    return value if math.isfinite(value) else None


def _first_id(answer: Answer) -> str | None:
    return answer.matches[0].id if answer.matches else None


def _l2(radius: Radius | None) -> float | None:
    return None if radius is None else radius.l2


def relative_to(path: Path, folder: Path) -> str:
    """A path inside a folder as it is written in records."""
    return path.relative_to(folder).as_posix()
