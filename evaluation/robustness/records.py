"""Records of an audit: one per query, system and edit as it is, and one per saved adversarial image."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..shared.frame import Frame
from ..shared.records import Facts, RecordFormat, column, first_contradiction

OWN = (
    column("system_kind", pa.string(), "index, embedder (indexed for this audit) or hash"),
    column("stranger", pa.bool_(), "known to be a copy of nothing: part of no recall, and not-a-copy is right"),
    column("geometric", pa.bool_(), "whether that edit moves things"),
    column("sees", pa.string(), "what the attack was shown of the loss: gradient, score or decision; none without"),
    column("minimal", pa.bool_(), "the attack looks for the smallest winning change: run once, at the largest budget"),
    column("budget", pa.float64(), "as asked for, in unit"),
    column("unit", pa.string(), "rmse, l2, psnr, or radius: multiples of the query's own certified radius"),
    column("restarts", pa.int32(), "random starts"),
    column("at_edge", pa.float64(), "share of the saved image's values that are 0 or 1: at the pixel box"),
    column("clean_item", pa.string(), "id of the first item for the query before the attack", optional=True),
    column("clean_first", pa.bool_(), "a true item is first before the attack"),
    column("clean_top10", pa.bool_(), "a true item is in the first ten before the attack"),
    column("clean_verdict", pa.string(), "verdict of the query before the attack", optional=True),
    column(
        "clean_tier",
        pa.string(),
        "who names that copy: certified, companion (alone) or none; null without a companion",
        optional=True,
    ),
    column("attacked_item", pa.string(), "id of the first item for the saved image", optional=True),
    column("attacked_first", pa.bool_(), "a true item is first for the saved image"),
    column("attacked_top10", pa.bool_(), "a true item is in the first ten for the saved image"),
    column("attacked_verdict", pa.string(), "verdict of the saved image", optional=True),
    column("attacked_tier", pa.string(), "the same for the saved image", optional=True),
    column("embedding_shift", pa.float64(), "goal embedding: how far the embedding moved", optional=True),
    column("embedding_limit", pa.float64(), "goal embedding: L times realised l2; null without L", optional=True),
    column("radius_top1", pa.float64(), "certified l2 radius of the first place; null if withheld", optional=True),
    column("radius_top10", pa.float64(), "certified l2 radius of a place in the first ten", optional=True),
    column("radius_verdict", pa.float64(), "certified l2 radius of the verdict; null if none", optional=True),
    column("within_top1", pa.bool_(), "a top-1 certificate was attacked: realised l2 < radius_top1"),
    column("within_top10", pa.bool_(), "a top-10 certificate was attacked: realised l2 < radius_top10"),
    column("within_verdict", pa.bool_(), "a verdict certificate was attacked: realised l2 < radius_verdict"),
    column("claimed", pa.bool_(), "the attack's own word on its success"),
    column("success", pa.bool_(), "the goal was reached, judged on the saved image"),
    column("alarm_kind", pa.string(), "top1, topk, verdict, lipschitz, joined by +; null without", optional=True),
    column("first_loss", pa.float64(), "loss of the first point that the attack evaluated", optional=True),
    column("best_loss", pa.float64(), "loss of the point that it returned", optional=True),
    column("zero_gradients", pa.float64(), "share of gradients that were exactly zero", optional=True),
    column("restart", pa.int32(), "number of the start that gave the image, from 0", optional=True),
    column("clean_image", pa.string(), "the query before the attack, saved beside it; null if not", optional=True),
)
"""The columns of an audit, after the common ones."""


def contradiction(table: pa.Table) -> str | None:
    """Why records contradict themselves, with the first such row."""
    rows = Frame.of(table)
    clean = rows["goal"] == "clean"
    return first_contradiction(
        {
            "a goal without an attack, or an attack without a goal": clean != (rows["attack"] == "clean"),
            "a change without an attack": clean & (rows["l2"] > 0),
            "an alarm without an attack": clean & rows["alarm"],
            "an alarm without a kind": rows["alarm"] != (rows["alarm_kind"] != np.asarray(None)),
        }
    )


def _second(table: pa.Table, facts: Facts) -> tuple[pa.Table, Facts]:
    """``retr.records/2`` had the same columns, and said nothing of the plan."""
    return table, {"plan": {}, **facts}


TIERS = ("clean_tier", "attacked_tier")
"""Null for systems without a companion."""
FORMAT = RecordFormat("robustness", OWN, contradiction, {"retr.records/2": _second}, later=TIERS)
SCHEMA = FORMAT.schema
