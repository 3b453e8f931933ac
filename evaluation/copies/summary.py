"""The numbers of a copy benchmark, computed from its records alone.

| number | what it is |
|---|---|
| recall | share of a family's queries whose true item is first |
| certified | the same, and the first place is proved at that RMSE: its radius is at least as large |
| µAP | micro average precision of the first matches of the family's queries and all negatives, ranked by confidence |
| verdict | share of queries whose true item is first and accepted, at thresholds set on the negatives for one false-match rate |
| verdict certified | the same, and "copy of that item" is proved at that RMSE |
| rejected | share of negatives that are copies of nothing; certified: proved at that RMSE |
| mean, worst | over families, each family counting alike; worst: the lowest family, column by column |
"""  # noqa: E501 - one row per number

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...core.statistics import wilson
from ..shared.frame import Bools, Floats, Frame
from ..shared.lines import Line, col
from ..shared.records import Records
from .records import NEGATIVE


@dataclass(frozen=True)
class Scores:
    """One line of the table: a family, the mean, or the worst.

    Attributes:
        recall: see the module's table; certified: at each ε; uap: None without negatives.
        verdict, verdict_certified: None without thresholds; certified ones are 0 for an uncertified system.
    """

    recall: float
    certified: tuple[float, ...]
    uap: float | None
    verdict: float | None
    verdict_certified: tuple[float, ...] | None


class Rows(Frame):
    """Records of one system, or of some of its queries."""

    @property
    def found(self) -> Bools:
        """The true item is first."""
        return self["rank"] == 1

    @property
    def accepted(self) -> Bools | None:
        """The thresholds' verdict; None where any query has none."""
        given = self["accepted"].astype(np.float64)
        return None if np.isnan(given).any() else given == 1

    @property
    def confidence(self) -> Floats:
        """Of the first item; −∞ without one."""
        return np.nan_to_num(self["confidence"], nan=-math.inf)

    def proved(self, flags: Bools, of: str, epsilons: Sequence[float]) -> tuple[float, ...]:
        """Share of the queries with a flag whose certificate reaches each ε."""
        radii = np.nan_to_num(self[f"rmse_{of}"], nan=-1.0)
        return tuple(float((flags & (radii >= eps)).mean()) for eps in epsilons)


@dataclass(frozen=True)
class OfSystem:
    """The records of one system, what it stores, and the ε that certified shares are stated at."""

    rows: Rows
    stored: Mapping[str, Any]
    epsilons: tuple[float, ...]

    @cached_property
    def negatives(self) -> Rows:
        """Queries that are copies of nothing."""
        return self.rows.where(self.rows["edit"] == NEGATIVE)

    @cached_property
    def families(self) -> tuple[FamilyLine, ...]:
        """A line for each family, in order of first appearance."""
        copies = self.rows.where(self.rows["edit"] != NEGATIVE)
        return tuple(FamilyLine.of(OfFamily(own, self)) for own in copies.groups("edit"))

    @cached_property
    def mean(self) -> Scores:
        """Over families."""
        return _over([line.scores for line in self.families], np.mean)

    @cached_property
    def checked(self) -> Floats:
        """Whether the claims of each answer that was recomputed hold."""
        found = self.rows["checked"].astype(np.float64)
        return found[~np.isnan(found)]

    @cached_property
    def matches(self) -> int:
        """Negatives that were accepted."""
        accepted = self.negatives.accepted
        assert accepted is not None, "only systems with verdicts say so"
        return int(accepted.sum())

    def rejected(self) -> tuple[float, ...]:
        """Share of the negatives that are rejected, and proved to be so at each ε."""
        accepted = self.negatives.accepted
        assert accepted is not None, "only systems with verdicts say so"
        return self.negatives.proved(~accepted, "verdict", self.epsilons)

    def worst(self) -> tuple[str, str]:
        """The lowest families by recall, and by certified recall at the ε nearest to 1."""
        near = min(range(len(self.epsilons)), key=lambda place: abs(math.log(self.epsilons[place])))
        return (
            min(self.families, key=lambda line: line.scores.recall).family,
            min(self.families, key=lambda line: line.scores.certified[near]).family,
        )

    def of_negatives(self) -> NegativeLine | None:
        """What is said of the negatives; None without any, or without verdicts."""
        return None if not len(self.negatives) or self.rows.accepted is None else NegativeLine.of(self)


@dataclass(frozen=True)
class OfFamily:
    """The queries of one family, within a system's."""

    rows: Rows
    system: OfSystem

    def scores(self) -> Scores:
        """See the module's table."""
        rows, negatives, epsilons, found = self.rows, self.system.negatives, self.system.epsilons, self.rows.found
        accepted = None if self.system.rows.accepted is None else rows.accepted
        copies = None if accepted is None else found & accepted
        uap = None
        if len(negatives):
            confidence = np.concatenate([rows.confidence, negatives.confidence])
            correct = np.concatenate([found, np.zeros(len(negatives), dtype=np.bool_)])
            uap = average_precision(correct, confidence, len(rows))
        return Scores(
            recall=float(found.mean()),
            certified=rows.proved(found, "top1", epsilons),
            uap=uap,
            verdict=None if copies is None else float(copies.mean()),
            verdict_certified=None if copies is None else rows.proved(copies, "verdict", epsilons),
        )


@dataclass(frozen=True)
class FamilyLine(Line):
    """One family of edits; of :class:`OfFamily`."""

    family: str = col(lambda own: own.rows.first("edit"), "its name")
    geometric: bool = col(lambda own: bool(own.rows.first("geometric")), "whether it moves content")
    queries: int = col(lambda own: len(own.rows), "of it")
    scores: Scores = col(OfFamily.scores, "see the module's table", "share")


@dataclass(frozen=True)
class NegativeLine(Line):
    """Negatives: how many were accepted, and what is proved of the rejected ones; of :class:`OfSystem`."""

    queries: int = col(lambda own: len(own.negatives), "measured ones; those that set the threshold are not among them")
    false_matches: int = col(lambda own: own.matches, "accepted ones")
    interval: tuple[float, float] = col(
        lambda own: wilson(own.matches / len(own.negatives), len(own.negatives)),
        "95 % Wilson interval of their share",
        "share",
    )
    rejected: float = col(lambda own: 1.0 - own.matches / len(own.negatives), "of them", "share")
    certified: tuple[float, ...] = col(OfSystem.rejected, "rejected, and proved to be so at each ε", "share")


@dataclass(frozen=True)
class SystemLine(Line):
    """One system; of :class:`OfSystem`."""

    system: str = col(lambda own: str(own.stored["system"]), "its name")
    certified: bool = col(
        lambda own: bool((own.rows["withheld"] == np.asarray(None)).any()), "whether its answers carry radii"
    )
    families: tuple[FamilyLine, ...] = col(lambda own: own.families, "a line each")
    mean: Scores = col(lambda own: own.mean, "over families", "share")
    worst: Scores = col(lambda own: _over([line.scores for line in own.families], np.min), "over families", "share")
    interval: tuple[float, float] = col(
        lambda own: wilson(own.mean.recall, sum(line.queries for line in own.families)),
        "95 % Wilson interval of the mean recall, queries taken as independent",
        "share",
    )
    worst_families: tuple[str, str] = col(OfSystem.worst, "lowest by recall, and by certified recall at the ε near 1")
    negatives: NegativeLine | None = col(OfSystem.of_negatives, "None without any, or without verdicts")
    stored: Mapping[str, Any] = col(lambda own: own.stored, "its index: items, rows, bytes per item, thresholds")
    seconds: float = col(lambda own: float(np.median(own.rows["seconds"])), "median per query", "s")
    checked: int = col(lambda own: len(own.checked), "answers recomputed by brute force")
    refuted: int = col(lambda own: len(own.checked) - int(own.checked.sum()), "those whose claims were larger")


@dataclass(frozen=True)
class CopySummary:
    """A benchmark in numbers; the first system is the one that was asked for, the others are baselines."""

    run: str
    plan: Mapping[str, Any]
    epsilons: tuple[float, ...]
    systems: tuple[SystemLine, ...]
    skipped: Mapping[str, int]
    negatives: Mapping[str, Any]

    @property
    def refuted(self) -> int:
        """Claims that brute force refutes; there must be none."""
        return sum(line.refuted for line in self.systems)

    def as_json(self) -> dict[str, Any]:
        """The summary as plain JSON values."""
        return asdict(self)


def summarise(records: Records) -> CopySummary:
    """Compute every number of a benchmark from its records."""
    plan, rows = records.facts["plan"], Rows.of(records.table)
    epsilons = tuple(float(e) for e in plan["epsilons"])
    systems = tuple(
        SystemLine.of(OfSystem(rows.where(rows["system"] == stored["system"]), stored, epsilons))
        for stored in records.facts["systems"]
    )
    run = str(rows.first("run"))
    return CopySummary(run, plan, epsilons, systems, records.facts["skipped"], records.facts["negatives"])


def _over(lines: Sequence[Scores], reduce: Any) -> Scores:
    """Column by column over families."""

    def column(values: Sequence[float | None]) -> float | None:
        present = [value for value in values if value is not None]
        return float(reduce(present)) if present else None

    certified = tuple(float(reduce(values)) for values in zip(*(line.certified for line in lines), strict=True))
    verdicts = [line.verdict_certified for line in lines if line.verdict_certified is not None]
    return Scores(
        recall=float(reduce([line.recall for line in lines])),
        certified=certified,
        uap=column([line.uap for line in lines]),
        verdict=column([line.verdict for line in lines]),
        verdict_certified=tuple(float(reduce(values)) for values in zip(*verdicts, strict=True)) if verdicts else None,
    )


def average_precision(correct: Bools, confidence: Floats, positives: int) -> float:
    """µAP: Σ over correct predictions, by falling confidence, of the precision so far, ÷ positives.

    Predictions of equal confidence enter together, so that their order plays no part: each correct one of them counts
    with the precision after all of them.

    Args:
        correct: (n,) whether a prediction is right.
        confidence: (n,).
        positives: how many could be right.
    """
    order = np.argsort(-confidence, kind="stable")
    right, level = correct[order], confidence[order]
    last = np.append(level[1:] != level[:-1], True)
    ends = np.flatnonzero(last)
    hits = np.cumsum(right)[ends]
    gained = np.diff(hits, prepend=0)
    return float((gained * hits / (ends + 1)).sum() / positives)
