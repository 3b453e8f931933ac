"""Rows of a data set, read with accounts: every row is kept, skipped for a reason, or rejected by file and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from ..core.files import digest_json


class Row(Protocol):
    """What a loader gives, one per row of the data set."""

    def facts(self, folder: Path) -> list[Any]:
        """JSON values that a digest is taken over; files by their place below the folder."""
        ...


RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row of a data set that cannot be used.

    Attributes:
        name: where it stands (``line 7``, ``cnn/000012``).
        reason: a short stable name, the key of counts.
        detail: a sentence for people.
        file: the file at fault, relative to the data set's folder; "" where the row is no file's fault.
    """

    name: str
    reason: str
    detail: str
    file: str = ""

    def __str__(self) -> str:
        place = f"{self.file}, {self.name}" if self.file and self.file != self.name else self.name
        return f"{place}: {self.reason}: {self.detail}"


class RowError(Exception):
    """A row is wrong; loaders turn it into a :class:`RejectedRow`."""

    def __init__(self, reason: str, detail: str, *, file: str = "") -> None:
        super().__init__(detail)
        self.reason, self.detail, self.file = reason, detail, file

    def at(self, name: str, file: str = "") -> RejectedRow:
        """The record of it; ``file`` is named where the error itself names none."""
        return RejectedRow(name, self.reason, self.detail, self.file or file)


@dataclass(frozen=True)
class RowSet(Generic[RowT]):
    """One split of a data set. Every row is accounted for: seen = kept + skipped + rejected.

    Attributes:
        layout: which loader read it.
        folder: where it lies.
        split: which part of it.
        rows: what can be used, in the data set's order.
        skipped: reason → good rows left out on purpose (another split, too few votes).
        rejects: rows that are wrong.
    """

    layout: str
    folder: Path
    split: str
    rows: tuple[RowT, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    rejects: tuple[RejectedRow, ...] = ()

    @property
    def seen(self) -> int:
        """Rows of the data set that were looked at."""
        return len(self.rows) + sum(self.skipped.values()) + len(self.rejects)

    def reject_counts(self) -> dict[str, int]:
        """Reason → how many."""
        return dict(sorted(Counter(row.reason for row in self.rejects).items()))

    def digest(self) -> str:
        """Hex SHA-256 over the rows kept: files by their place in the folder, and judgements. Not over pixels."""
        rows = [row.facts(self.folder) for row in self.rows]
        return digest_json({"layout": self.layout, "split": self.split, "rows": rows})

    def describe(self) -> dict[str, Any]:
        """Plain JSON for records and reports; the counts add up to ``seen``."""
        return {
            "layout": self.layout,
            "split": self.split,
            "sha256": self.digest(),
            "seen": self.seen,
            "kept": len(self.rows),
            "skipped": dict(self.skipped),
            "rejected": self.reject_counts(),
        }

    def keep(self, test: Callable[[RowT], bool], reason: str) -> Self:
        """Only the rows that pass; the others are skipped for this reason."""
        kept = tuple(row for row in self.rows if test(row))
        return replace(self, rows=kept, skipped=counted(self.skipped, {reason: len(self.rows) - len(kept)}))


def counted(*counts: Mapping[str, int]) -> dict[str, int]:
    """Sums by reason, sorted, without the reasons that nothing was left out for."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return {reason: count for reason, count in sorted(total.items()) if count}


Entry = tuple[str, str, Callable[[], RowT | str]]
"""Where a row stands, in which file, and what reads it: a row, or the reason why a good row is skipped."""


def read_rows(entries: Iterable[Entry[RowT]]) -> tuple[tuple[RowT, ...], dict[str, int], tuple[RejectedRow, ...]]:
    """Read every row: (kept, skipped, rejected)."""
    kept: list[RowT] = []
    skipped: Counter[str] = Counter()
    rejects: list[RejectedRow] = []
    for name, file, read in entries:
        try:
            outcome = read()
        except RowError as error:
            rejects.append(error.at(name, file))
            continue
        if isinstance(outcome, str):
            skipped[outcome] += 1
        else:
            kept.append(outcome)
    return tuple(kept), counted(skipped), tuple(rejects)
