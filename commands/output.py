"""Where words go: the answer to standard output in the format asked for, everything else to standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from ..core.names import shown

if TYPE_CHECKING:
    from ..reports.emit import Columns

T = TypeVar("T")

INTERRUPTED = 130
"""Exit code: the user stopped it."""


def command_line() -> str:
    """The command as it was typed, for the records of a run."""
    return " ".join(["retr", *sys.argv[1:]])


def note(text: str) -> None:
    """One line on standard error."""
    print(f"retr: {shown(text)}", file=sys.stderr, flush=True)


def note_stored(records: Path, *, stored: bool) -> None:
    """Say of an audit that was resumed when nothing was left to do that it is only told again."""
    if stored:
        note(f"finished before; told again from {records}")


def say(record: Mapping[str, Any], form: str, table: Callable[[Mapping[str, Any]], object]) -> None:
    """The answer of a command that has one: a table, else one object."""
    if form == "table":
        table(record)
        return
    from ..reports.emit import emit

    emit([record], form, one=True)


def say_all(records: Iterable[T], form: str, table: Callable[[Any], object], *, columns: Columns | None = None) -> None:
    """The answer of a command that lists: a table, else one record each (an array in json, also for one or none).

    Args:
        records: what is listed.
        form: the format asked for.
        table: prints them as one.
        columns: of csv and parquet where they are known, so that a list of nothing has them, too.
    """
    if form == "table":
        table(records)
        return
    from ..reports.emit import emit

    emit(records, form, columns=columns)  # type: ignore[arg-type]


@contextmanager
def stoppable(kept: str) -> Iterator[None]:
    """Long work that can be taken up again after Ctrl-C.

    Args:
        kept: what was kept, and how to go on.
    """
    try:
        yield
    except KeyboardInterrupt:
        note(f"interrupted; {kept}")
        raise typer.Exit(INTERRUPTED) from None
