"""One model of a table: columns that say what they hold and how it is written, rows of values.

It is drawn by :mod:`.terminal` (rich), :mod:`.pages` (Jinja2) and :mod:`.markdown`. A number is rounded where it is
written, in the direction its kind names (:mod:`.kinds`), and nowhere before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from ..core.names import shown

DASH: Final = "–"
"""Where there is nothing to say."""
THIN: Final = "\u2009"
"""Between thousands; a terminal leaves it out, Markdown has commas."""


@dataclass(frozen=True)
class Text:
    """A cell in words.

    Attributes:
        main: what it says.
        small: what stands beside it, smaller or in brackets.
    """

    main: str
    small: str = ""


@dataclass(frozen=True)
class Kind:
    """What the cells of a column are, and how they are written.

    Attributes:
        write: a value as text. It never gets None, which is a dash, nor a word among numbers, which stays as it is.
        words: stands to the left; numbers stand to the right.
        small: what stands beside it, such as its interval.
        look: classes of a cell on a page; ``heat`` gives it a ground by its share, ``alarm`` colours what is not 0.
    """

    write: Callable[[Any], str]
    words: bool = False
    small: Callable[[Any], str] | None = None
    look: str = ""

    def text(self, value: Any) -> Text:
        """A value in words."""
        if value is None:
            return Text(DASH)
        if isinstance(value, str) and not self.words:
            return Text(shown(value))
        return Text(self.write(value), "" if self.small is None else self.small(value))


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        head: its heading; a terminal breaks it between words.
        kind: of its cells.
        value: what it shows of a line, see :meth:`Table.of`.
        over: a heading above it and its neighbours of the same one.
        spare: left out first where a terminal has no room for all.
        ladder: one of several sizes: where room still lacks, some are shown, evenly spread, the last among them.
    """

    head: str
    kind: Kind
    value: Callable[[Any], Any] = lambda line: line
    over: str = ""
    spare: bool = False
    ladder: bool = False


@dataclass(frozen=True)
class Group:
    """A heading between rows."""

    title: str


@dataclass(frozen=True)
class Rule:
    """A line between rows, on terminals alone."""


Row = Sequence[Any] | Group | Rule


@dataclass(frozen=True)
class Table:
    """Columns and rows of their values.

    Attributes:
        title: above it.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    title: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if not isinstance(row, Group | Rule):
                assert len(row) == len(self.columns), f"{len(row)} cells in {len(self.columns)} columns of {self.title}"

    @classmethod
    def of(
        cls,
        columns: Iterable[Column],
        lines: Iterable[Any],
        *,
        title: str = "",
        group: Callable[[Any], str] | None = None,
    ) -> Table:
        """A row for each line, with what each column shows of it.

        Args:
            columns: with their values.
            lines: of a summary.
            title: above the table.
            group: heading over the lines that have it in common, which stand together; None for no headings.
        """
        chosen = tuple(columns)
        rows: list[Row] = []
        for name, members in groupby(lines, group or (lambda _: "")):
            rows += [Group(name)] if group else []
            rows += [tuple(column.value(line) for column in chosen) for line in members]
        return cls(chosen, tuple(rows), title)

    @property
    def spans(self) -> list[tuple[str, int]]:
        """The headings above the headings, each with the number of its columns; none where no column has one."""
        found = [(over, len(list(columns))) for over, columns in groupby(self.columns, lambda column: column.over)]
        return found if any(over for over, _ in found) else []

    def texts(self, row: Sequence[Any]) -> list[Text]:
        """A row in words."""
        return [column.kind.text(value) for column, value in zip(self.columns, row, strict=True)]
