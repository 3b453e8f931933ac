"""Records of a k-NN benchmark: one per query as it is, and one per budget that it was attacked within.

The query is the image's path; what the attack moved is the vote of the k nearest rows.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..shared.frame import Frame
from ..shared.records import CLEAN, RecordFormat, column, first_contradiction

OWN = (
    column("label", pa.string(), "of the query: the name of its folder"),
    column("predicted", pa.string(), "what the vote says; null where the query cannot be compared", optional=True),
    column("votes", pa.int32(), "of the winner, among k"),
    column("first", pa.bool_(), "a row of the right label is first"),
    column("among", pa.bool_(), "one is among the first k"),
    column("average_precision", pa.float64(), "of the whole ranking by label"),
    column("radius_vote", pa.float64(), "certified l2 radius of the vote; 0 without a majority", optional=True),
    column("radius_first", pa.float64(), "certified l2 radius of first; 0 where it is not so", optional=True),
    column("radius_among", pa.float64(), "certified l2 radius of among; 0 where it is not so", optional=True),
    column("withheld", pa.string(), "why there is no certificate", optional=True),
    column("budget", pa.float64(), "of the attack, in unit; 0 for the row without"),
    column("unit", pa.string(), "rmse or l2"),
    column("success", pa.bool_(), "another label wins the vote, at this budget or at a smaller one"),
    column("fallen_at", pa.float64(), "least realised l2 norm that did so; null where none did", optional=True),
    column("alarm_kind", pa.string(), "vote, first, among, joined by +: certificates that broke", optional=True),
)
"""The columns of a k-NN benchmark, after the common ones."""


def contradiction(table: pa.Table) -> str | None:
    """Why records contradict themselves, with the first such row."""
    rows = Frame.of(table)
    clean, nothing = rows["attack"] == CLEAN, np.asarray(None)
    return first_contradiction(
        {
            "a vote that falls without an attack": clean & rows["success"],
            "an alarm without a kind": rows["alarm"] != (rows["alarm_kind"] != nothing),
            "a fallen vote without a change that did it": rows["success"] != ~np.isnan(rows["fallen_at"]),
            "a radius where the certificate is withheld": (rows["withheld"] != nothing)
            & ~np.isnan(rows["radius_vote"]),
        }
    )


FORMAT = RecordFormat("knn", OWN, contradiction)
SCHEMA = FORMAT.schema
