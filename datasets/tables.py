"""CSV tables of data sets: columns by the names in the header, whatever their order and the spaces around them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..core.errors import UsageError
from .rows import RowError


def missing_columns(table: Path, columns: Sequence[str]) -> list[str]:
    """Which columns the header lacks.

    Raises:
        UsageError: where the file cannot be read, or its header names a column twice.
    """
    header = _header(table)
    double = [name for name in columns if header.count(name) > 1]
    if double:
        raise UsageError(f"{table}: the header names {', '.join(double)} more than once")
    return [name for name in columns if name not in header]


def require_columns(table: Path, columns: Sequence[str], what: str) -> None:
    """Refuse a table without them.

    Raises:
        UsageError: naming the file and what is wrong.
    """
    missing = missing_columns(table, columns)
    if missing:
        raise UsageError(f"{table} is no {what}: its header lacks {', '.join(missing)}")


def read_table(table: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """(line number, value by column) of every row; values are stripped, and None where the row is too short.

    Raises:
        UsageError: for a table that is no CSV, naming the line.
    """
    places = {name: place for place, name in enumerate(_header(table)) if name in columns}
    for line, row in _lines(table, skip_header=True):
        yield line, {name: row[place].strip() if place < len(row) else None for name, place in places.items()}


def read_plain(table: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, stripped values) of every row of a table without a header.

    Raises:
        UsageError: as for :func:`read_table`.
    """
    for line, row in _lines(table, skip_header=False):
        yield line, [value.strip() for value in row]


def whole_row(row: Mapping[str, str | None]) -> dict[str, str]:
    """The values of a row that has them all.

    Raises:
        RowError: ``short-row``.
    """
    short = [name for name, value in row.items() if value is None]
    if short:
        raise RowError("short-row", f"no value for {', '.join(short)}")
    return {name: value or "" for name, value in row.items()}


def number(text: str, name: str, *, reason: str, low: float = 0.0, high: float = math.inf) -> float:
    """A finite number of a table, within bounds.

    Raises:
        RowError: with the given reason.
    """
    try:
        value = float(text)
    except ValueError:
        raise RowError(reason, f"{name} is {text!r}, not a number") from None
    if not (math.isfinite(value) and low <= value <= high):
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"finite and at least {low:g}"
        raise RowError(reason, f"{name} must be {bounds}, got {text}")
    return value


def _header(table: Path) -> list[str]:
    first = next(_lines(table, skip_header=False), None)
    return [name.strip() for name in first[1]] if first else []


def _lines(table: Path, *, skip_header: bool) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank; undecodable bytes become U+FFFD, which no file name and no number matches."""
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="replace") as handle:
            reader = csv.reader(handle)
            rows = ((reader.line_num, row) for row in reader if any(value.strip() for value in row))
            if skip_header:
                next(rows, None)
            yield from rows
    except OSError as error:
        raise UsageError(f"{table} cannot be read: {error.strerror}") from None
    except csv.Error as error:
        raise UsageError(f"{table} is no CSV table: {error}") from None
