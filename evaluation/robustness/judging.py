"""What an attack achieved, and whether it broke a promise: the clean answer against the attacked one."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.units import Radius
from ...retrieval.answer import Answer
from ...retrieval.channel import QueryEmbedding
from ..shared.truth import Groups
from ..systems.retrieval_losses import TOP, Goal
from ..systems.retrieval_target import Aim


@dataclass(frozen=True)
class Judgement:
    """What a system says of a saved image.

    Attributes:
        answer: its answer.
        embedded: its embeddings, one per channel, where the attack was after them.
    """

    answer: Answer
    embedded: tuple[QueryEmbedding, ...] = ()


def tier_of(answer: Answer) -> str | None:
    """Who names the copy beside a companion: ``certified``, ``companion`` (alone) or ``none``; None without one."""
    if answer.companion is None:
        return None
    if answer.companion.names_copy:
        return "companion"
    return "certified" if answer.point_verdict == "copy" else "none"


def first_group(answer: Answer) -> int | None:
    """Item number of the first match; None where nothing matched."""
    return answer.matches[0].group if answer.matches else None


def found(answer: Answer, truth: Groups, k: int) -> bool:
    """A true item is among the first k."""
    return any(match.group in truth for match in answer.matches[:k])


def top1_radius(answer: Answer) -> Radius | None:
    """Certified radius of the first place."""
    return answer.matches[0].top1 if answer.matches else None


def verdict_radius(answer: Answer) -> Radius | None:
    """Certified radius of the verdict, whichever it is."""
    return answer.copy if answer.copy is not None else answer.not_a_copy


def holds(radius: Radius | None, l2: float) -> bool:
    """A certificate covers a change of this norm."""
    return radius is not None and l2 < radius.l2


def alarms(clean: Answer, attacked: Answer, l2: float) -> tuple[str, ...]:
    """Names of the certificates that an image at this realised ℓ2 norm proves wrong.

    Args:
        clean: certified answer to the clean query.
        attacked: answer to the attacked query, along the same path and with the same k.
        l2: the realised norm, rounded up, so that an alarm is never an artefact of measuring.
    """
    checks = {
        "top1": holds(top1_radius(clean), l2) and first_group(attacked) != first_group(clean),
        "topk": not _kept(clean, l2) <= {match.group for match in attacked.matches},
        "verdict": holds(verdict_radius(clean), l2) and _flipped(clean, attacked),
    }
    return tuple(name for name, broken in checks.items() if broken)


def _flipped(clean: Answer, attacked: Answer) -> bool:
    """Whether the verdict is another; a proved copy that only a companion still names is one no more."""
    alone = attacked.companion is not None and attacked.companion.names_copy
    return attacked.point_verdict != clean.point_verdict or (clean.point_verdict == "copy" and alone)


def _kept(clean: Answer, l2: float) -> set[int]:
    """Items proved to stay among the first k at this norm."""
    return {match.group for match in clean.matches if holds(match.topk, l2)}


def goal_radius(answer: Answer, goal: Goal) -> Radius | None:
    """The certificate that an attack with this goal is up against."""
    if goal == "verdict":
        return verdict_radius(answer)
    if goal == "rank10":
        return answer.matches[0].topk if answer.matches else None
    return top1_radius(answer)


def reached(goal: Goal, aim: Aim, clean: Answer, attacked: Answer) -> bool:
    """Whether the attack's goal is reached, by the engine's word; of embeddings an answer says nothing."""
    if goal == "evasion":
        return first_group(attacked) != aim.item
    if goal == "rank10":
        return not found(attacked, frozenset([aim.item]), TOP)
    if goal == "collision":
        return first_group(attacked) == aim.chosen
    return goal == "verdict" and attacked.point_verdict != clean.point_verdict
