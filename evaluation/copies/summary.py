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
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...core.statistics import wilson
from ..shared.records import Records
from .records import NEGATIVE

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


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


@dataclass(frozen=True)
class FamilyLine:
    """One family of edits."""

    family: str
    geometric: bool
    queries: int
    scores: Scores


@dataclass(frozen=True)
class NegativeLine:
    """Negatives: how many were accepted, and what is proved of the rejected ones.

    Attributes:
        queries: measured ones (those that set the threshold are not among them).
        false_matches: accepted ones; interval: 95 % Wilson interval of their share.
        rejected: share; certified: at each ε.
    """

    queries: int
    false_matches: int
    interval: tuple[float, float]
    rejected: float
    certified: tuple[float, ...]


@dataclass(frozen=True)
class SystemLine:
    """One system.

    Attributes:
        certified: whether its answers carry radii.
        mean, worst: over families; interval: 95 % Wilson interval of the mean recall, queries taken as independent.
        worst_families: names, lowest first: by recall, and by certified recall at the ε nearest to 1.
        stored: what its index holds: items, rows, bytes per gallery item, thresholds.
        seconds: median per query.
        checked, refuted: answers recomputed by brute force, and those whose claims were larger.
    """

    system: str
    certified: bool
    families: tuple[FamilyLine, ...]
    mean: Scores
    worst: Scores
    interval: tuple[float, float]
    worst_families: tuple[str, str]
    negatives: NegativeLine | None
    stored: Mapping[str, Any]
    seconds: float
    checked: int
    refuted: int


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
    plan = records.facts["plan"]
    epsilons = tuple(float(e) for e in plan["epsilons"])
    models = np.asarray(records.table["system"].to_pylist())
    systems = [
        _system(records.table.filter(pa.array(models == stored["system"])), stored, epsilons)
        for stored in records.facts["systems"]
    ]
    run = records.table["run"][0].as_py()
    return CopySummary(run, plan, epsilons, tuple(systems), records.facts["skipped"], records.facts["negatives"])


def _system(table: pa.Table, stored: Mapping[str, Any], epsilons: Sequence[float]) -> SystemLine:
    family = np.asarray(table["edit"].to_pylist())
    rows = _Rows.of(table)
    names = list(dict.fromkeys(f for f in family.tolist() if f != NEGATIVE))
    negative = family == NEGATIVE
    lines = tuple(_family(rows, f, family == f, negative, epsilons) for f in names)
    mean = _over([line.scores for line in lines], np.mean)
    near = min(range(len(epsilons)), key=lambda place: abs(math.log(epsilons[place])))
    checked = [value for value in table["checked"].to_pylist() if value is not None]
    return SystemLine(
        system=str(stored["system"]),
        certified=any(value is None for value in table["withheld"].to_pylist()),
        families=lines,
        mean=mean,
        worst=_over([line.scores for line in lines], np.min),
        interval=wilson(mean.recall, sum(line.queries for line in lines)),
        worst_families=(
            min(lines, key=lambda line: line.scores.recall).family,
            min(lines, key=lambda line: line.scores.certified[near]).family,
        ),
        negatives=_negatives(rows, negative, epsilons) if negative.any() else None,
        stored=stored,
        seconds=float(np.median(_floats(table, "seconds"))),
        checked=len(checked),
        refuted=len(checked) - sum(checked),
    )


@dataclass(frozen=True)
class _Rows:
    """The columns that the numbers need; radii are −1 where there is none."""

    found: Bools
    geometric: Bools
    accepted: Bools | None
    confidence: Floats
    top1: Floats
    verdict: Floats

    @staticmethod
    def of(table: pa.Table) -> _Rows:
        accepted = table["accepted"].to_pylist()
        return _Rows(
            found=np.asarray([rank == 1 for rank in table["rank"].to_pylist()], dtype=np.bool_),
            geometric=np.asarray(table["geometric"].to_pylist(), dtype=np.bool_),
            accepted=None if None in accepted else np.asarray(accepted, dtype=np.bool_),
            confidence=_floats(table, "confidence", absent=-math.inf),
            top1=_floats(table, "rmse_top1", absent=-1.0),
            verdict=_floats(table, "rmse_verdict", absent=-1.0),
        )


def _floats(table: pa.Table, name: str, *, absent: float = math.nan) -> Floats:
    return np.asarray([absent if value is None else value for value in table[name].to_pylist()], dtype=np.float64)


def _family(rows: _Rows, name: str, mine: Bools, negative: Bools, epsilons: Sequence[float]) -> FamilyLine:
    found = rows.found[mine]
    copies = None if rows.accepted is None else found & rows.accepted[mine]
    proved = [float((copies & (rows.verdict[mine] >= e)).mean()) for e in epsilons] if copies is not None else None
    uap = None
    if negative.any():
        confidence = np.concatenate([rows.confidence[mine], rows.confidence[negative]])
        uap = average_precision(
            np.concatenate([found, np.zeros(int(negative.sum()), dtype=np.bool_)]), confidence, len(found)
        )
    scores = Scores(
        recall=float(found.mean()),
        certified=tuple(float((found & (rows.top1[mine] >= e)).mean()) for e in epsilons),
        uap=uap,
        verdict=None if copies is None else float(copies.mean()),
        verdict_certified=None if proved is None else tuple(proved),
    )
    return FamilyLine(name, bool(rows.geometric[mine][0]), len(found), scores)


def _negatives(rows: _Rows, negative: Bools, epsilons: Sequence[float]) -> NegativeLine | None:
    if rows.accepted is None:
        return None
    accepted, count = rows.accepted[negative], int(negative.sum())
    matches = int(accepted.sum())
    return NegativeLine(
        queries=count,
        false_matches=matches,
        interval=wilson(matches / count, count),
        rejected=1.0 - matches / count,
        certified=tuple(float((~accepted & (rows.verdict[negative] >= e)).mean()) for e in epsilons),
    )


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
