"""Declared tables: what an audit says, a class for each table, a field for each of its columns.

A column says how it is computed over the rows that a line is of, what it is, its unit, and the direction in which it
may be rounded where it is written. A line is made by :meth:`Line.of`, and nothing of it is computed anywhere else;
unit and direction are what reports write it by (``reports.kinds.told``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

Rounded = Literal["nearest", "down", "up"]
"""A certified radius goes down, so that it never says more; how much of a bound was used goes up. Shares of what was
counted are rounded to nearest: only none of them reads 0 %, and only all of them 100 %."""
Unit = Literal["", "share", "ratio", "l2", "linf", "rmse", "dB", "s"]
"""Empty for words and counts; a ratio is of two numbers that were not counted."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One column of a declared table.

    Attributes:
        meaning: what it is, in a few words.
        unit: see :data:`Unit`.
        rounded: the safe direction.
        compute: its value from the rows of a line.
    """

    meaning: str
    unit: Unit
    rounded: Rounded
    compute: Callable[[Any], Any]


def col(compute: Callable[[Any], Any], meaning: str, unit: Unit = "", rounded: Rounded = "nearest") -> Any:
    """Declare a column; see :class:`Declared`."""
    return field(metadata={"declared": Declared(meaning, unit, rounded, compute)})


def word(name: str, meaning: str) -> Any:
    """A word that all rows share, or None."""
    return col(lambda rows: rows.first(name), meaning)


def total(name: str, meaning: str) -> Any:
    """A count, or how many rows have a flag."""
    return col(lambda rows: int(rows[name].sum()), meaning)


def mean(name: str, meaning: str, unit: Unit = "") -> Any:
    """The mean of a column of numbers."""
    return col(lambda rows: float(rows[name].mean()), meaning, unit)


@dataclass(frozen=True)
class Line:
    """A line of a declared table."""

    @classmethod
    def of(cls, rows: Any) -> Self:
        """Compute a line.

        Args:
            rows: what the table's columns are computed over: a frame, or frames that belong together.
        """
        return cls(**{name: one.compute(rows) for name, one in cls.declared().items()})

    @classmethod
    def declared(cls) -> dict[str, Declared]:
        """The columns by name, in their order."""
        return {one.name: one.metadata["declared"] for one in fields(cls)}
