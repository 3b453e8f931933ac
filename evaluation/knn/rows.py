"""Rows of a k-NN benchmark's records: a query as it is, and what became of it within each budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ...attacks.harness import Outcome
from ...datasets.labelled import LabelledImage
from ..shared.attacking import sizes_of
from ..shared.records import NO_ATTACK, Row
from .label_retrieval import NOTHING, Retrieved
from .plan import ATTACK, Budget, KnnPlan

_VOTE = ("predicted", "votes", "radius_vote")


def clean_row(
    told: Mapping[str, Any],
    image: LabelledImage,
    shape: tuple[int, ...],
    vote: tuple[str | None, int, float | None] = (None, 0, None),
    retrieved: Retrieved = NOTHING,
    withheld: str | None = None,
) -> Row:
    """The record of a query as it is.

    Args:
        told: what all records share.
        image: the query.
        shape: (H, W, 3) of its pixels.
        vote: the label that wins, its votes among k, and the certified ℓ2 radius of that, in pixels; None where it is
            withheld, 0 where the winner has no majority.
        retrieved: retrieval by label.
        withheld: why there is no certificate, or None.
    """
    return {
        **told,
        **NO_ATTACK,
        "system": told["model"],
        "query": image.name,
        "query_sha256": None,
        "width": shape[1],
        "height": shape[0],
        "edit": "identity",
        "label": image.label,
        **dict(zip(_VOTE, vote, strict=True)),
        **asdict(retrieved),
        "withheld": withheld,
        "budget": 0.0,
        "unit": "l2",
        "success": False,
        "fallen_at": None,
        "alarm_kind": None,
    }


def values_of(row: Row) -> int:
    """3·H·W of a query."""
    return 3 * row["height"] * row["width"]


def attacked_row(
    row: Row, plan: KnnPlan, budget: Budget, outcome: Outcome[Any], fallen_at: float | None, alarms: tuple[str, ...]
) -> Row:
    """The record of an attack on a query.

    Args:
        row: the query as it is.
        plan: of the run.
        budget: what the attack was allowed.
        outcome: how far the saved float image is, and what it cost.
        fallen_at: least ℓ2 norm, measured on a saved file, with which another label wins the vote; None where none did.
        alarms: names of the certificates that a saved image broke; none unless something is wrong with retr.
    """
    return {
        **row,
        "goal": "vote",
        "attack": ATTACK,
        "norm": "l2",
        "steps": plan.steps,
        **sizes_of(outcome.trials[0].distance),
        **{name: getattr(outcome, name) for name in ("seconds", "forwards", "gradients")},
        **_allowed(row, budget),
        "success": fallen_at is not None,
        "fallen_at": fallen_at,
        "alarm": bool(alarms),
        "alarm_kind": "+".join(alarms) or None,
    }


def fallen_row(row: Row, budget: Budget) -> Row:
    """The record of a budget within which a smaller attack has succeeded: that one's, which broke nothing anew."""
    return {**row, **_allowed(row, budget), "alarm": False, "alarm_kind": None}


def _allowed(row: Row, budget: Budget) -> Row:
    return {"budget": budget.amount, "unit": budget.unit, "eps": budget.l2(values_of(row))}
