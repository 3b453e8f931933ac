"""How much of each family of edits is proved, over the queries of an audit: computed from the records alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..shared.frame import Frame
from ..shared.lines import Line, col, total, word
from ..shared.records import Records


def _proved(flag: str, right: str) -> Any:
    return lambda rows: float((rows[flag] & rows[right]).mean())


@dataclass(frozen=True)
class RangeLine(Line):
    """One family of edits, of all queries or of those with one edit; of a frame."""

    family: str = word("family", "the edits, with their range")
    edit: str | None = col(
        lambda rows: rows.first("edit") if len(set(rows["edit"].tolist())) == 1 else None,
        "what was done to the queries first; None for several",
    )
    queries: int = col(len, "of them")
    on_top: float = word("on_top", "RMSE of the change that may come on top")
    whole: float = col(_proved("verdict_whole", "right"), "a right verdict, proved of all edits", "share", "down")
    share: float = col(
        lambda rows: float(np.median(rows["verdict_share"] * rows["right"])),
        "of the edits that a right verdict is proved of: the median",
        "share",
        "down",
    )
    first: float = col(_proved("first_whole", "right_first"), "a true item first, proved of all edits", "share", "down")
    evaluations: float = col(lambda rows: float(np.median(rows["evaluations"])), "images through the network, median")
    seconds: float = col(lambda rows: float(np.median(rows["seconds"])), "a query, median", "s")
    pairs: int = total("pairs", "(edit, change) pairs that attacked what is proved")
    alarms: int = total("alarm", "queries where one of them overturned it: there must be none")


@dataclass(frozen=True)
class RangeSummary:
    """All families.

    Attributes:
        lines: over all queries; by_edit: the same for each edit that queries had, where there are several.
        left_out: queries that the time limit left out.
    """

    lines: tuple[RangeLine, ...]
    by_edit: tuple[RangeLine, ...]
    left_out: int

    @property
    def alarms(self) -> int:
        """Overturned proofs."""
        return sum(line.alarms for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "lines": list(map(asdict, self.lines)), "by_edit": list(map(asdict, self.by_edit))}


def summarise(records: Records) -> RangeSummary:
    """Every number, from the records."""
    rows = Frame.of(records.table)
    lines = tuple(map(RangeLine.of, rows.groups("family")))
    several = any(line.edit is None for line in lines)
    return RangeSummary(lines, tuple(_by_edit(rows)) if several else (), records.facts["left_out"])


def _by_edit(rows: Frame) -> Iterator[RangeLine]:
    return map(RangeLine.of, rows.groups("edit", "family"))
