"""Records of an audit, built from answers and outcomes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...attacks.harness import Effort, Outcome, Trial
from ...attacks.media import as_pixels
from ...core.files import sha256_bytes
from ...core.units import Radius
from ...retrieval.answer import Answer
from ...retrieval.channel import QueryEmbedding
from ..shared.attacking import sizes_of
from ..shared.embedding_shift import Shift, shift_of
from ..shared.provenance import Provenance
from ..shared.records import NO_ATTACK
from ..shared.truth import Groups
from ..systems.index_system import Entrant, embed
from ..systems.retrieval_losses import TOP, Goal
from ..systems.retrieval_target import Aim
from .cases import Case
from .judging import Judgement, alarms, found, goal_radius, holds, reached, tier_of, top1_radius, verdict_radius
from .schedule import Task


@dataclass(frozen=True)
class Prepared:
    """A case, a system, and its certified answer to the case's image before any attack."""

    case: Case
    entrant: Entrant
    clean: Answer

    @property
    def values(self) -> int:
        """Number of values in the image, 3·H·W."""
        return self.case.pixels.size

    @property
    def truth(self) -> Groups:
        """The true items, as the system numbers them."""
        return self.entrant.groups(self.case.truth)

    @cached_property
    def embedded(self) -> tuple[QueryEmbedding, ...]:
        """The case's image as the system embeds it, for many attacks."""
        return embed(self.entrant.system, as_pixels(self.case.pixels))

    def radius(self, goal: Goal) -> Radius | None:
        """The certificate that an attack with this goal is up against."""
        return goal_radius(self.clean, goal)


@dataclass(frozen=True)
class Run:
    """One run of an attack on one query.

    Attributes:
        task: goal, attack and level.
        aim: what it was about for the system that judges.
        unit: of the level.
        effort: as given to the attack.
        outcome: what came of it.
        source: the system it was made on, if another than judges.
        before: embeddings of the query, where the attack was after them.
    """

    task: Task
    aim: Aim
    unit: str
    effort: Effort
    outcome: Outcome[Any]
    source: str | None = None
    before: tuple[QueryEmbedding, ...] = ()


@dataclass(frozen=True)
class Recorder:
    """Makes the records of one run of an audit.

    Attributes:
        provenance: by the name of a system.
    """

    provenance: Mapping[str, Provenance]

    def clean(self, prepared: Prepared) -> dict[str, Any]:
        """The record of a query without attack, which every query has."""
        return {
            **self._query(prepared),
            **_no_attack(),
            **_attacked(prepared, prepared.clean),
            "seconds": sum(prepared.clean.seconds.values()),
        }

    def trial(self, prepared: Prepared, run: Run, trial: Trial[Any], judgement: Judgement) -> dict[str, Any]:
        """The record of one saved image; ``image`` is filled in by whoever decides what is kept."""
        clean, answer, distance = prepared.clean, judgement.answer, trial.distance
        shift = shift_of(run.before, judgement.embedded, distance.l2) if run.before else None
        kinds = alarms(clean, answer, distance.l2) + (("lipschitz",) if shift and shift.broken else ())
        return {
            **self._query(prepared),
            **_run(run),
            "medium": trial.medium,
            **sizes_of(distance),
            "at_edge": distance.at_edge,
            **_attacked(prepared, answer),
            **_moved(shift),
            "within_top1": holds(top1_radius(clean), distance.l2),
            "within_top10": holds(goal_radius(clean, "rank10"), distance.l2),
            "within_verdict": holds(verdict_radius(clean), distance.l2),
            "success": shift.broken if shift else reached(run.task.goal, run.aim, clean, answer),
            "alarm": bool(kinds),
            "alarm_kind": "+".join(kinds) or None,
            "image": None,
            "clean_image": None,
        }

    def _query(self, prepared: Prepared) -> dict[str, Any]:
        case, clean, truth, system = prepared.case, prepared.clean, prepared.truth, prepared.entrant.system
        return {
            **self.provenance[system.name].columns(),
            "system": system.name,
            "system_kind": system.kind,
            "query": case.query,
            "query_sha256": sha256_bytes(str(case.pixels.shape).encode() + case.pixels.tobytes()),
            "stranger": case.stranger,
            "edit": case.edit,
            "geometric": case.geometric,
            "width": clean.width,
            "height": clean.height,
            "clean_item": _first_id(clean),
            "clean_first": found(clean, truth, 1),
            "clean_top10": found(clean, truth, TOP),
            "clean_verdict": clean.point_verdict,
            "clean_tier": tier_of(clean),
            "radius_top1": _l2(top1_radius(clean)),
            "radius_top10": _l2(goal_radius(clean, "rank10")),
            "radius_verdict": _l2(verdict_radius(clean)),
        }


def _run(run: Run) -> dict[str, Any]:
    task, outcome = run.task, run.outcome
    return {
        "goal": task.goal,
        "attack": task.attack.name,
        "sees": task.attack.sees,
        "source": run.source,
        "minimal": task.attack.minimal,
        "norm": task.attack.norm,
        "budget": task.level,
        "unit": run.unit,
        "eps": outcome.subject.eps,
        "steps": run.effort.steps_of(task.attack),
        "restarts": run.effort.restarts,
        "claimed": outcome.claimed,
        "first_loss": _finite(outcome.first_loss),
        "best_loss": _finite(outcome.loss),
        "zero_gradients": outcome.zero_gradients if outcome.gradients else None,
        "restart": outcome.restart,
        "weak": "+".join(outcome.weak) or None,
        "seconds": outcome.seconds,
        "forwards": outcome.forwards,
        "gradients": outcome.gradients,
    }


def _attacked(prepared: Prepared, answer: Answer) -> dict[str, Any]:
    truth = prepared.truth
    return {
        "attacked_item": _first_id(answer),
        "attacked_first": found(answer, truth, 1),
        "attacked_top10": found(answer, truth, TOP),
        "attacked_verdict": answer.point_verdict,
        "attacked_tier": tier_of(answer),
    }


def _moved(shift: Shift | None) -> dict[str, float | None]:
    return {"embedding_shift": shift.moved if shift else None, "embedding_limit": shift.limit if shift else None}


def _no_attack() -> dict[str, Any]:
    """What a query as it is has in the columns of attacks."""
    numbers = dict.fromkeys(("budget", "at_edge"), 0.0)
    flags = dict.fromkeys(("minimal", "within_top1", "within_top10", "within_verdict", "claimed", "success"), False)
    losses = ("first_loss", "best_loss", "zero_gradients", "restart", "embedding_shift", "embedding_limit")
    absent = dict.fromkeys((*losses, "alarm_kind", "clean_image"), None)
    return {**NO_ATTACK, **numbers, **flags, **absent, "restarts": 0, "sees": "none", "unit": "l2"}


def _finite(value: float) -> float | None:
    """A number as records hold it: none for infinities and what is no number."""
    return value if math.isfinite(value) else None


def _first_id(answer: Answer) -> str | None:
    return answer.matches[0].id if answer.matches else None


def _l2(radius: Radius | None) -> float | None:
    return None if radius is None else radius.l2
