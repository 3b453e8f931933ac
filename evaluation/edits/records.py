"""Records of edits with proof: one per query and family of edits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from ...images.families.family import Point
from ...retrieval.ranges.result import FamilyProof, RangeProof, Reach
from ..shared.frame import Frame
from ..shared.records import RecordFormat, column, first_contradiction

OWN = (
    column("family", pa.string(), "the edits that were asked about, with their range"),
    column("program", pa.string(), "what makes them, with versions"),
    column("on_top", pa.float64(), "the change that may come on top of each edit, in RMSE levels of the edited image"),
    column("claim", pa.string(), "the verdict that is proved of every edit; null without one", optional=True),
    column("right", pa.bool_(), "it names a true item, or no item for a query that is a copy of nothing"),
    column("right_first", pa.bool_(), "the item that is first is a true one"),
    column("withheld", pa.string(), "why the verdict could not be proved of any edit", optional=True),
    column("verdict_whole", pa.bool_(), "the verdict is proved of the whole range"),
    column("verdict_share", pa.float64(), "of how much of it"),
    column("verdict_range", pa.string(), "JSON: both ends of what is proved; null for nothing", optional=True),
    column("first_whole", pa.bool_(), "first place is proved of the whole range"),
    column("first_share", pa.float64(), "of how much of it"),
    column("first_range", pa.string(), "JSON: both ends of what is proved; null for nothing", optional=True),
    column("members", pa.int64(), "edits, where they are finitely many", optional=True),
    column("cells", pa.int64(), "groups of them, or cells of the range, that the proof consists of"),
    column("evaluations", pa.int64(), "images that went through the network"),
    column("outputs", pa.string(), "SHA-256 of what was made"),
    column("pairs", pa.int64(), "(edit, change) pairs that attacked what is proved"),
    column("alarms", pa.string(), "JSON: those that overturned it; null for none", optional=True),
)
"""The columns of edits with proof, after the common ones."""


def own_columns(proof: RangeProof, found: FamilyProof) -> dict[str, Any]:
    """What is proved of one family, as a record says it."""
    return {
        "family": found.asked,
        "program": found.program,
        "claim": proof.claim.verdict,
        "withheld": found.verdict.withheld,
        "verdict_whole": found.verdict.whole,
        "verdict_share": found.verdict.share,
        "verdict_range": _ends(found.verdict),
        "first_whole": found.first.whole,
        "first_share": found.first.share,
        "first_range": _ends(found.first),
        "members": found.members,
        "cells": found.cells,
        "evaluations": found.evaluations,
        "outputs": found.outputs,
    }


def _ends(reach: Reach) -> str | None:
    if reach.low is None or reach.high is None:
        return None
    ends: list[Point] = [reach.low, reach.high]
    return json.dumps([list(end) for end in ends])


def contradiction(table: pa.Table) -> str | None:
    """Why records contradict themselves, with the first such row."""
    rows, nothing = Frame.of(table), np.asarray(None)
    wrong = {
        "an alarm without words, or words without an alarm": rows["alarm"] != (rows["alarms"] != nothing),
        "an alarm without an attack": rows["alarm"] & (rows["pairs"] == 0),
        "a proof of what is withheld": (rows["withheld"] != nothing) & (rows["verdict_share"] > 0.0),
    }
    for part in ("verdict", "first"):
        share = rows[f"{part}_share"]
        wrong |= {
            f"{part}: a share beyond all of it": (share < 0.0) | (share > 1.0 + 1e-9),
            f"{part}: the whole range, but not all of it": rows[f"{part}_whole"] & (share < 1.0 - 1e-9),
        }
    return first_contradiction(wrong)


FORMAT = RecordFormat("edits", OWN, contradiction)
SCHEMA = FORMAT.schema
