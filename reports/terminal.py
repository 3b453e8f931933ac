"""Tables and sentences on a terminal: names are no markup there, and no commands."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text as RichText

from ..core.names import shown
from .kinds import WRAPPED
from .table import THIN, Group, Rule, Table, Text


def drawn(table: Table, *, longest: int | None = None, whole: bool = True) -> RichTable:
    """A table as rich draws it.

    Args:
        table: what to draw.
        longest: names in the first column are folded beyond so many characters; None leaves them whole.
        whole: only these and columns of kind ``WRAPPED`` are folded; False folds any where the terminal is narrow.
    """
    title = _words(table.title) if table.title else None
    out = RichTable(title=title, title_justify="left", title_style="bold")
    for place, column in enumerate(table.columns):
        folded = column.kind.look == WRAPPED.look or (place == 0 and longest is not None)
        out.add_column(
            RichText(column.head),
            justify="left" if column.kind.words else "right",
            # A number is never folded; where there is no room, it is cut in sight of the reader.
            overflow="fold" if folded or not whole else "ellipsis",
            no_wrap=whole and not folded,
            max_width=longest if place == 0 else None,
        )
    for row in table.rows:
        if isinstance(row, Rule):
            out.add_section()
        elif isinstance(row, Group):
            out.add_section()
            out.add_row(_words(row.title), style="bold")
        else:
            out.add_row(*map(_cell, table.texts(row)))
    return out


def _cell(text: Text) -> RichText:
    words = f"{text.main} ({text.small})" if text.small else text.main
    return RichText(words.replace(THIN, ""))


def _words(text: str) -> RichText:
    """No markup, and no ``:name:`` of an emoji either."""
    return RichText(shown(text))


def facts(title: str, pairs: Iterable[tuple[str, str]]) -> RichTable:
    """Names and what is so called, without headings; a line break in a text stays."""
    out = RichTable(title=_words(title), show_header=False, title_justify="left")
    for name, text in pairs:
        out.add_row(_words(name), RichText("\n".join(map(shown, text.split("\n")))))
    return out


def say(out: Console, *parts: str | tuple[str, str], on_one_line: bool = False) -> None:
    """A sentence, names and all.

    Args:
        out: where.
        parts: its words, or words and their colour.
        on_one_line: it is not folded, so that a path in it can be copied.
    """
    pieces = [(part, "") if isinstance(part, str) else part for part in parts]
    out.print(RichText.assemble(*((shown(words), style) for words, style in pieces)), soft_wrap=on_one_line)
