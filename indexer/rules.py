"""Rules for some of the items: negative banks, which silence matches, and how far the rows of a label accept.

Both are constants of the snapshot, as labels are, so that the theorems on verdicts hold as they stand: T4 and T5 for
every row with a threshold of its own, and T9 for the rows of a bank and for those of the rest, each set for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.errors import IntegrityError, UsageError
from .held import read_held
from .labels import Labels, labels_of
from .snapshot import MOST_REACH, Rule, Snapshot
from .where import Mask, parse_condition, rows_where


def check_rules(negative: Sequence[str], reach: Mapping[str, float]) -> tuple[Rule, ...]:
    """Rules as they may be.

    Args:
        negative: conditions of negative banks.
        reach: condition → how many times as far its rows accept as they would.

    Raises:
        UsageError: no condition, one that has two rules, or a reach out of range.
    """
    rules = [*map(Rule, negative), *(Rule(where, float(factor)) for where, factor in reach.items())]
    for rule in rules:
        parse_condition(rule.where)
        if rule.reach is not None and not 0.0 < rule.reach <= MOST_REACH:
            raise UsageError(f"a reach is more than 0 and at most {MOST_REACH:g}, got {rule.reach:g} for {rule.where}")
    conditions = [rule.where for rule in rules]
    twice = next((one for one in conditions if conditions.count(one) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} has two rules; it can have one")
    return tuple(rules)


def rows_of_rule(rule: Rule, catalog: pa.Table, labels: Labels) -> Mask:
    """(rows,) whether a rule is about each row of a catalog.

    Raises:
        IntegrityError: the condition is none.
    """
    try:
        return rows_where(catalog, labels, [parse_condition(rule.where)])
    except UsageError as error:
        raise IntegrityError(f"the snapshot holds a rule that is none: {error}") from error


def reach_factors(rules: Sequence[Rule], catalog: pa.Table, labels: Labels) -> npt.NDArray[np.float64] | None:
    """(rows,) how many times as far each row accepts: by the last rule about it; None where no rule is about reach."""
    found = None
    for rule in rules:
        if rule.reach is not None:
            found = np.ones(catalog.num_rows) if found is None else found
            found[rows_of_rule(rule, catalog, labels)] = rule.reach
    return found


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule, and how many files of the index it is about.

    Attributes:
        where, reach: as in :class:`Rule`.
        kind: ``negative`` or ``reach``.
        files: so many fulfil the condition.
    """

    kind: str
    where: str
    reach: float | None
    files: int


def describe_rules(index: Path, snapshot: Snapshot) -> list[RuleFacts]:
    """The rules of a snapshot, in their order."""
    if not snapshot.rules:
        return []
    table, labels = read_held(index, snapshot).table, labels_of(index, snapshot)
    return [
        RuleFacts(
            "negative" if rule.negative else "reach", rule.where, rule.reach, _count(rows_of_rule(rule, table, labels))
        )
        for rule in snapshot.rules
    ]


def _count(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


def plain_rules(facts: Sequence[RuleFacts]) -> list[dict[str, Any]]:
    """As in ``retr.rules/1``."""
    return [{"kind": one.kind, "where": one.where, "reach": one.reach, "files": one.files} for one in facts]
