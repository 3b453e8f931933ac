"""Tables and sentences on a terminal: names are no markup there, and no commands."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

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
    out = RichTable(title=escape(shown(table.title)) or None, title_justify="left", title_style="bold")
    for place, column in enumerate(table.columns):
        folded = column.kind.look == WRAPPED.look or (place == 0 and longest is not None)
        out.add_column(
            escape(column.head),
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
            out.add_row(escape(shown(row.title)), style="bold")
        else:
            out.add_row(*map(_cell, table.texts(row)))
    return out


def _cell(text: Text) -> str:
    words = f"{text.main} ({text.small})" if text.small else text.main
    return escape(words.replace(THIN, ""))


def facts(title: str, pairs: Iterable[tuple[str, str]]) -> RichTable:
    """Names and what is so called, without headings; a line break in a text stays."""
    out = RichTable(title=escape(shown(title)), show_header=False, title_justify="left")
    for name, text in pairs:
        out.add_row(escape(shown(name)), escape("\n".join(map(shown, text.split("\n")))))
    return out


def say(out: Console, text: str, *, style: str | None = None, lead: str = "") -> None:
    """One sentence on one line, names and all.

    Args:
        out: where.
        text: the sentence.
        style: its colour.
        lead: coloured words before it, which are ours and may be markup.
    """
    out.print(f"{lead}{escape(shown(text))}", style=style, highlight=False, soft_wrap=True)
