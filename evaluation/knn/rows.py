"""Queries of a k-NN benchmark with what became of them, to records and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from ..shared.attacking import SIZES
from ..shared.records import CLEAN, NO_ATTACK, Row
from .label_retrieval import Retrieved
from .plan import ATTACK, Budget, KnnPlan

MEASURED = (*SIZES, "seconds", "forwards", "gradients")


@dataclass(frozen=True)
class Attacked:
    """The best an attack did within one budget.

    Attributes:
        budget: what it was allowed.
        fallen: another label wins the vote, for the saved float image or the 8-bit one, here or at a smaller budget.
        l2: least norm, measured on a saved file, that did so; None where none did.
        alarms: names of the certificates that a saved image broke; none unless something is wrong with retr.
        measured: columns of the record: how far the saved float image is, and what the attack cost; those of the
            attack that made it fall, where that had a smaller budget.
    """

    budget: Budget
    fallen: bool
    l2: float | None
    alarms: tuple[str, ...]
    measured: Mapping[str, Any]


@dataclass(frozen=True)
class KnnRow:
    """One query.

    Attributes:
        name: its file.
        label: its true label.
        predicted: what the vote says; None where the query cannot be compared.
        votes: of the winner, among k.
        radius: certified ℓ2 radius, in pixels, of the vote; None where withheld, 0 where the winner has no majority.
        shape: (H, W) of the query.
        retrieved: retrieval by label.
        withheld: why there is no certificate, or None.
        attacked: per budget; empty where it was not attacked.
    """

    name: str
    label: str
    predicted: str | None
    votes: int
    radius: float | None
    shape: tuple[int, int]
    retrieved: Retrieved
    withheld: str | None
    attacked: tuple[Attacked, ...] = ()

    @property
    def values(self) -> int:
        """3·H·W."""
        return 3 * self.shape[0] * self.shape[1]

    @property
    def correct(self) -> bool:
        """The vote finds the true label."""
        return self.predicted == self.label


def records_of(row: KnnRow, told: Mapping[str, Any], plan: KnnPlan) -> Iterator[Row]:
    """The record of a query as it is, and one for every budget that it was attacked within.

    Args:
        row: the query.
        told: what all records share.
        plan: of the run.
    """
    height, width = row.shape
    base = {
        **told,
        **NO_ATTACK,
        "system": told["model"],
        "query": row.name,
        "query_sha256": None,
        "width": width,
        "height": height,
        "edit": "identity",
        "label": row.label,
        "predicted": row.predicted,
        "votes": row.votes,
        "first": row.retrieved.first,
        "among": row.retrieved.among,
        "average_precision": row.retrieved.average_precision,
        "radius_vote": row.radius,
        "radius_first": row.retrieved.radius_first,
        "radius_among": row.retrieved.radius_among,
        "withheld": row.withheld,
        "budget": 0.0,
        "unit": "l2",
        "success": False,
        "fallen_at": None,
        "alarm_kind": None,
    }
    yield base
    for one in row.attacked:
        yield {
            **base,
            "goal": "vote",
            "attack": ATTACK,
            "norm": "l2",
            "eps": one.budget.l2(row.values),
            "steps": plan.steps,
            **one.measured,
            "budget": one.budget.amount,
            "unit": one.budget.unit,
            "success": one.fallen,
            "fallen_at": one.l2,
            "alarm": bool(one.alarms),
            "alarm_kind": "+".join(one.alarms) or None,
        }


def rows_of(table: pa.Table, budgets: Sequence[Budget]) -> tuple[KnnRow, ...]:
    """The queries of a table of records, in order."""
    rows: dict[str, KnnRow] = {}
    for record in table.to_pylist():
        if record["attack"] == CLEAN:
            rows[record["query"]] = _row(record)
        else:
            row = rows[record["query"]]
            rows[record["query"]] = replace(row, attacked=(*row.attacked, _attacked(record)))
    assert all([one.budget for one in row.attacked] in ([], list(budgets)) for row in rows.values())
    return tuple(rows.values())


def _row(record: Row) -> KnnRow:
    names = ("first", "among", "average_precision", "radius_first", "radius_among")
    return KnnRow(
        name=record["query"],
        label=record["label"],
        predicted=record["predicted"],
        votes=record["votes"],
        radius=record["radius_vote"],
        shape=(record["height"], record["width"]),
        retrieved=Retrieved(**{name: record[name] for name in names}),
        withheld=record["withheld"],
    )


def _attacked(record: Row) -> Attacked:
    alarms = tuple((record["alarm_kind"] or "").split("+")) if record["alarm"] else ()
    measured = {name: record[name] for name in MEASURED}
    return Attacked(Budget(record["unit"], record["budget"]), record["success"], record["fallen_at"], alarms, measured)
