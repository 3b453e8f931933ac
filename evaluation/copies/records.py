"""Records of a copy benchmark: one per query and system.

The edit is the family of edits; a negative, which is a copy of nothing, has none.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..shared.frame import Bools, Floats, Frame
from ..shared.records import CLEAN, NO_ATTACK, Facts, RecordFormat, column, filled, first_contradiction

OWN = (
    column("geometric", pa.bool_(), "whether the edit moves content"),
    column("parameters", pa.string(), "JSON: what was drawn for the edit"),
    column("item", pa.string(), "SHA-256 of its decoded pixels, which name the true item"),
    column("first", pa.string(), "the first item, by SHA-256 of its pixels; null for a flat query", optional=True),
    column("first_path", pa.string(), "file of its best row", optional=True),
    column("view", pa.string(), "stored view of that row", optional=True),
    column("channel", pa.string(), "channel of that row", optional=True),
    column(
        "rank", pa.int32(), "1 where the true item is first; null where it is not, or for a negative", optional=True
    ),
    column("confidence", pa.float64(), "score of the first item, comparable between queries", optional=True),
    column(
        "accepted",
        pa.bool_(),
        "verdict copy, of the first item or for a negative of any; null without thresholds",
        optional=True,
    ),
    column("radius_top1", pa.float64(), "certified l2 radius of the first place; null if withheld", optional=True),
    column("rmse_top1", pa.float64(), "the same in RMSE levels, rounded down", optional=True),
    column("radius_verdict", pa.float64(), "certified l2 radius of the verdict; null if withheld", optional=True),
    column("rmse_verdict", pa.float64(), "the same in RMSE levels, rounded down", optional=True),
    column("withheld", pa.string(), "why there is no certificate", optional=True),
    column("checked", pa.bool_(), "recomputed by brute force: the claims hold; null if not drawn", optional=True),
)
"""The columns of a copy benchmark, after the common ones."""

NEGATIVE = "none"
"""Edit of a query that is no copy."""


def contradiction(table: pa.Table) -> str | None:
    """Why records contradict themselves, with the first such row."""
    rows = Frame.of(table)
    nothing = np.asarray(None)
    found = (rows["edit"] != NEGATIVE) & (rows["first"] != nothing) & (rows["first"] == rows["item"])
    radii = ~np.isnan(rows["radius_top1"]) | ~np.isnan(rows["radius_verdict"])
    wrong = {
        "its rank, against the first item": (rows["rank"] == 1) != found,
        "a radius where the certificate is withheld": (rows["withheld"] != nothing) & radii,
        "a verdict's radius without a verdict": ~np.isnan(rows["radius_verdict"])
        & ~table["accepted"].is_valid().to_numpy(),
        "an attack, which no copy benchmark makes": rows["attack"] != CLEAN,
    }
    values = 3.0 * rows["width"] * rows["height"]
    for kind in ("top1", "verdict"):
        wrong |= _wrong_radii(kind, rows[f"radius_{kind}"], rows[f"rmse_{kind}"], values)
    return first_contradiction(wrong)


def _wrong_radii(kind: str, l2: Floats, rmse: Floats, values: Floats) -> dict[str, Bools]:
    with np.errstate(invalid="ignore"):
        far = (l2 < 0.0) | (l2 > np.sqrt(values) * (1.0 + 1e-12))
        levels = 255.0 * l2 / np.sqrt(values)
        apart = np.abs(levels - rmse) > 1e-9 * np.maximum(1.0, levels)
    return {
        f"radius_{kind} is given in one unit only": np.isnan(l2) != np.isnan(rmse),
        f"radius_{kind} is longer than any two images are apart, or negative": far,
        f"radius_{kind} and rmse_{kind} are not the same": apart,
    }


def _first(table: pa.Table, facts: Facts) -> tuple[pa.Table, Facts]:
    """``retr.copy-records/1`` called the edit a family, the system a model, and had no attacks."""
    return filled(
        table, {**NO_ATTACK, "seconds": table["seconds"], "system": table["model"], "edit": table["family"]}
    ), facts


FORMAT = RecordFormat("copies", OWN, contradiction, {"retr.copy-records/1": _first})
SCHEMA = FORMAT.schema
