"""Rows of a copy benchmark's records, from queries and what a system says of them."""

from __future__ import annotations

import json
import math
from typing import Any

from ...core.files import sha256_bytes
from ...core.units import Radius
from ...retrieval.answer import Answer
from ..shared.provenance import Provenance, describe_run
from ..shared.records import NO_ATTACK
from ..systems.index_system import Calibrated, EngineSystem
from .plan import CopyPlan
from .queries import Query, is_geometric


def provenance_for(plan: CopyPlan, system: Calibrated, *, run: str, command: str) -> Provenance:
    """What is the same in every record of a run and a system."""
    return describe_run({**system.describe(), "model": system.name}, run=run, command=command, seed=plan.seed)


def row_of(
    provenance: Provenance, query: Query, system: Calibrated, answer: Answer, checked: bool | None
) -> dict[str, Any]:
    """One record.

    Args:
        provenance: of the run and the system.
        query: what was looked up.
        system: what answered.
        answer: with certificates, k = 1.
        checked: whether brute force agrees; None where it was not asked.
    """
    height, width, _ = query.pixels.shape
    first = answer.matches[0] if answer.matches else None
    item = None if first is None else system.pixels_of(first.group)
    return {
        **provenance.columns(),
        **NO_ATTACK,
        "system": provenance.model,
        "edit": query.family,
        "geometric": is_geometric(query.family),
        "parameters": json.dumps(query.parameters),
        "query": query.entry.name,
        "item": query.item,
        "query_sha256": sha256_bytes(query.pixels.tobytes()),
        "width": width,
        "height": height,
        "first": item,
        "first_path": first and first.path,
        "view": first and first.view,
        "channel": first and first.channel,
        "rank": 1 if not query.negative and item == query.item else None,
        "confidence": _confidence(system, answer),
        "accepted": _accepted(system, answer, first_only=not query.negative),
        **_radius("top1", first and first.top1),
        **_radius("verdict", verdict_radius(system, answer)),
        "withheld": answer.withheld,
        "checked": checked,
        "seconds": math.fsum(answer.seconds.values()),
    }


def _accepted(system: Calibrated, answer: Answer, *, first_only: bool) -> bool | None:
    """The thresholds' verdict; of the first item alone, for local thresholds may accept a farther one."""
    if not system.has_verdicts:
        return None
    of_first = answer.matches[0].accepted if first_only and answer.matches else None
    return answer.point_verdict == "copy" if of_first is None else of_first


def _confidence(system: Calibrated, answer: Answer) -> float | None:
    """The score of one test; the margin of several in RMSE levels, so that sizes of queries play no part."""
    if not answer.matches:
        return None
    score = answer.matches[0].score
    if isinstance(system, EngineSystem) and len(system.engine.tests) > 1:
        score = 255.0 * score / math.sqrt(3 * answer.width * answer.height)
    return score if math.isfinite(score) else None


def verdict_radius(system: Calibrated, answer: Answer) -> Radius | None:
    """T4, T5 or T9: of "copy of the first item" if accepted, else of "copy of nothing"; 0 if nothing is proved."""
    if not system.has_verdicts or answer.certificate is None or not answer.matches:
        return None
    proved = answer.matches[0].copy if answer.point_verdict == "copy" else answer.not_a_copy
    return proved or Radius(0.0, 3 * answer.width * answer.height)


def _radius(kind: str, radius: Radius | None) -> dict[str, float | None]:
    return {
        f"radius_{kind}": None if radius is None else radius.l2,
        f"rmse_{kind}": None if radius is None else radius.rmse,
    }
