"""Records of a 2AFC benchmark: one per metric and triplet before any attack, and one per attack setting.

The system is the metric that judges, by its spec; the query is the triplet.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..shared.frame import Frame
from ..shared.records import CLEAN, Facts, RecordFormat, Records, column, filled, first_contradiction

__all__ = ["CLEAN", "FORMAT", "SCHEMA", "Records", "contradiction", "nearer"]

Array = npt.NDArray[np.float64]

OWN = (
    column("title", pa.string(), "its name in tables"),
    column("certified", pa.bool_(), "whether its judgements can have certified radii"),
    column("data", pa.string(), "the data set, as in --data"),
    column("group", pa.string(), "the part of the data set it belongs to, or empty"),
    column("preference", pa.float64(), "share of people who found the right candidate nearer"),
    column("votes", pa.int64(), "how many people judged; null if the data set does not say", optional=True),
    column("side", pa.int64(), "of the images in pixels; the shorter one"),
    column("setting", pa.string(), "the attack's setting in a few words, on the paper's scale; none without"),
    column("moves", pa.string(), "what is changed: reference, preferred or other (by the metric), all; none"),
    column("clean_left", pa.float64(), "distance of the left candidate to the reference before the attack"),
    column("clean_right", pa.float64(), "the same of the right one"),
    column("left", pa.float64(), "distance of the left candidate, judged on the saved image"),
    column("right", pa.float64(), "the same of the right one"),
    column("agrees", pa.bool_(), "metric and most people prefer the same before the attack; false for draws"),
    column("flipped", pa.bool_(), "the metric prefers the other candidate now"),
    column("flipped_png", pa.bool_(), "the same for the image rounded to 8 bits"),
    column("smallest_eps", pa.float64(), "least winning size, of attacks that look for it", optional=True),
    column("shift", pa.float64(), "goal embedding: how far the embedding moved, rounded down", optional=True),
    column(
        "shift_limit",
        pa.float64(),
        "goal embedding: L times realised l2, and what float64 may add; null without L",
        optional=True,
    ),
    column("radius_sound", pa.float64(), "certified l2 radius, the reference moves; null if withheld", optional=True),
    column("radius_published", pa.float64(), "LipSim's radius, which is no certificate of ours", optional=True),
    column("radius_all", pa.float64(), "certified l2 radius, each image moves by less; null if not", optional=True),
    column("published_holds", pa.bool_(), "LipSim's radius is proved: |f| >= 1 on its ball", optional=True),
    column("attack_seed", pa.int64(), "of everything random in this attack; the run's for the row without"),
)
"""The columns of a 2AFC benchmark, after the common ones."""

_ATTACKED_ONLY = ("shift", "shift_limit", "smallest_eps", "source", "weak", "image", "eps")


def contradiction(table: pa.Table) -> str | None:
    """Why records contradict themselves, with the first such row."""
    rows = Frame.of(table)
    before, after = nearer(rows["clean_left"], rows["clean_right"]), nearer(rows["left"], rows["right"])
    clean = rows["attack"] == CLEAN
    wrong = {
        "flipped, or not, against its distances": rows["flipped"] != (before * after < 0),
        "agrees, or not, against its distances": rows["agrees"] != (before * np.sign(rows["preference"] - 0.5) > 0),
        "a change without an attack": clean & (rows["l2"] > 0),
        "an alarm without an attack": clean & rows["alarm"],
    }
    for name in _ATTACKED_ONLY:
        wrong[f"{name} without an attack"] = clean & table[name].is_valid().to_numpy()
    return first_contradiction(wrong)


def nearer(left: Array, right: Array) -> Array:
    """+1 where the right candidate is nearer to the reference, −1 where the left one is, 0 where neither is."""
    return np.nan_to_num(np.sign(left - right))


def _first(table: pa.Table, facts: Facts) -> tuple[pa.Table, Facts]:
    """``retr.triplets/1`` named the metric and the triplet, kept what all rows share in its facts, and had a seed."""
    digests = {one["spec"]: one.get("digest") or "" for one in facts.get("metrics", ())}
    words = {name: facts.get(name, "") for name in ("run", "command", "versions", "policy_digest")}
    metrics = table["metric"].to_pylist()
    renamed = filled(
        table,
        {
            **words,
            "snapshot": "",
            "edit": "identity",
            "system": table["metric"],
            "model": table["metric"],
            "model_digest": pa.array([digests.get(name, "") for name in metrics]),
            "query": table["triplet"],
            "attack_seed": table["seed"],
            "seed": int(facts.get("seed", 0)),
            **dict.fromkeys(("query_sha256", "width", "height")),
            "attack": _clean(table["attack"]),
            "goal": _clean(table["goal"]),
        },
    )
    return renamed, facts


def _clean(column: pa.ChunkedArray) -> pa.Array:
    """The word for no attack was none."""
    return pa.array([CLEAN if word == "none" else word for word in column.to_pylist()])


FORMAT = RecordFormat("two-afc", OWN, contradiction, {"retr.triplets/1": _first})
SCHEMA = FORMAT.schema
