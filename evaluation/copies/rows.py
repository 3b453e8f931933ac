"""Rows of a copy benchmark's records, from queries and what a system says of them."""

from __future__ import annotations

import json
import math
from typing import Any

from ...core.files import sha256_bytes
from ...core.units import Radius
from ...images.policy import DecodePolicy
from ..shared.provenance import Provenance, describe_engine, describe_run
from ..shared.records import NO_ATTACK
from ..systems.copy_system import EngineSystem, Found, System
from .plan import CopyPlan
from .queries import Query, is_geometric


def provenance_for(plan: CopyPlan, system: System, *, run: str, command: str) -> Provenance:
    """What is the same in every record of a run and a system."""
    if isinstance(system, EngineSystem):
        described = {**describe_engine(system.engine), "model": system.name}
    else:
        described = {"model": system.name, "model_digest": system.digest, "snapshot": ""}
        described["policy_digest"] = DecodePolicy().digest
    return describe_run(described, run=run, command=command, seed=plan.seed)


def row_of(provenance: Provenance, query: Query, found: Found, checked: bool | None) -> dict[str, Any]:
    """One record.

    Args:
        provenance: of the run and the system.
        query: what was looked up.
        found: what the system says of it.
        checked: whether brute force agrees; None where it was not asked.
    """
    height, width, _ = query.pixels.shape
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
        "first": found.item,
        "first_path": found.path,
        "view": found.view,
        "channel": found.channel,
        "rank": 1 if not query.negative and found.item == query.item else None,
        "confidence": found.confidence if math.isfinite(found.confidence) else None,
        "accepted": found.accepted if query.negative or found.first_accepted is None else found.first_accepted,
        **_radius("top1", found.top1),
        **_radius("verdict", found.verdict),
        "withheld": found.withheld,
        "checked": checked,
        "seconds": found.seconds,
    }


def _radius(kind: str, radius: Radius | None) -> dict[str, float | None]:
    return {
        f"radius_{kind}": None if radius is None else radius.l2,
        f"rmse_{kind}": None if radius is None else radius.rmse,
    }
