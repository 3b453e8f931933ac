"""Tables and sentences on a terminal: names are no markup there, no emoji, and no commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text as RichText

from ..core.names import shown
from .kinds import MARKUP, WRAPPED
from .table import THIN, Group, Rule, Table, Text

_BORDERS = 3
"""What a column takes beside its cells."""
_LEAST = 12
"""The least room of a column that is folded."""


def show(out: Console, table: Table, *, longest: int | None = None, whole: bool = True, lines: bool = False) -> None:
    """Print a table below its title, with as many of its columns as there is room for.

    Args:
        out: where.
        table: what to print.
        longest: names in the first column are folded beyond so many characters; None leaves them whole.
        whole: only these and columns of kind ``WRAPPED`` are folded; False folds any where the terminal is narrow.
        lines: between rows, for cells of several lines.
    """
    if table.title:
        say(out, (table.title, "bold"))
    out.print(_drawn(table, out.width, longest, whole=whole, lines=lines))


def _drawn(table: Table, room: int, longest: int | None, *, whole: bool, lines: bool) -> RichTable:
    kept, small = _fitting(table, room, longest) if whole else (_speaking(table), True)
    out = RichTable(show_lines=lines)
    for place in kept:
        column = table.columns[place]
        folded = column.kind.look == WRAPPED.look or (place == 0 and longest is not None)
        width = _width(table, kept, place, longest, small=small)
        head = [line for text in _heads(table, kept, place) for line in wrap(text, max(width, 1))]
        out.add_column(
            RichText("\n".join(head)),
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
            texts = table.texts(row)
            out.add_row(*(RichText(_said(texts[place], small=small)) for place in kept))
    return out


def _speaking(table: Table) -> list[int]:
    """Places of the columns that are no drawings."""
    return [place for place, column in enumerate(table.columns) if column.kind is not MARKUP]


def _fitting(table: Table, room: int, longest: int | None) -> tuple[list[int], bool]:
    """The columns that there is room for, and whether what stands beside numbers has room too."""
    kept, small = _speaking(table), True
    spare = [place for place in kept if table.columns[place].spare]
    ladder = [place for place in kept if table.columns[place].ladder]
    steps = len(ladder)
    while 1 + sum(_BORDERS + _width(table, kept, place, longest, small=small) for place in kept) > room:
        if spare:
            kept.remove(spare.pop())
        elif small:
            small = False
        elif steps > 2:
            steps -= 1
            chosen = {ladder[round(i * (len(ladder) - 1) / (steps - 1))] for i in range(steps)}
            kept = [place for place in kept if place not in ladder or place in chosen]
        else:
            break
    return kept, small


def _width(table: Table, kept: Sequence[int], place: int, longest: int | None, *, small: bool) -> int:
    """Of a column: of its widest cell, or of the longest word of its heading."""
    words = max((cell_len(word) for text in _heads(table, kept, place) for word in text.split()), default=0)
    cells = [_said(table.texts(row)[place], small=small) for row in table.rows if not isinstance(row, Group | Rule)]
    widest = max((cell_len(line) for cell in cells for line in cell.split("\n")), default=0)
    most = _LEAST if table.columns[place].kind.look == WRAPPED.look else longest if place == 0 else None
    return max(words, widest if most is None else min(widest, most))


def _heads(table: Table, kept: Sequence[int], place: int) -> list[str]:
    """What stands above a column: the heading that it shares, if it is the first to do so, and its own."""
    column, at = table.columns[place], kept.index(place)
    shared = at > 0 and table.columns[kept[at - 1]].over == column.over
    return [_spaced(text) for text in ("" if shared else column.over, column.head)]


def _said(text: Text, *, small: bool) -> str:
    return _spaced(f"{text.main} ({text.small})" if text.small and small else text.main)


def _spaced(text: str) -> str:
    return text.replace(THIN, "").replace("\u00a0", " ")


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
