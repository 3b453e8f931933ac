"""Tables and sentences on a terminal: names are no markup there, no emoji, and no commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
    layout = _Layout(
        table, longest, [None if isinstance(row, Group | Rule) else table.texts(row) for row in table.rows]
    )
    kept, small = layout.fitting(room) if whole else (layout.speaking, True)
    out = RichTable(show_lines=lines)
    for place in kept:
        column = table.columns[place]
        folded = column.kind.look == WRAPPED.look or (place == 0 and longest is not None)
        width = max(1, layout.width(kept, place, small=small))
        out.add_column(
            RichText("\n".join(line for text in layout.heads(kept, place) for line in wrap(text, width))),
            justify="left" if column.kind.words else "right",
            # A number is never folded; where there is no room, it is cut in sight of the reader.
            overflow="fold" if folded or not whole else "ellipsis",
            no_wrap=whole and not folded,
            max_width=longest if place == 0 else None,
        )
    for row, texts in zip(table.rows, layout.texts, strict=True):
        if texts is not None:
            out.add_row(*(RichText(_said(texts[place], small=small)) for place in kept))
            continue
        out.add_section()
        if isinstance(row, Group):
            out.add_row(_words(row.title), style="bold")
    return out


@dataclass(frozen=True)
class _Layout:
    """Which columns of a table there is room for.

    Attributes:
        longest: names in the first column are folded beyond so many characters.
        texts: the rows in words; None between them.
    """

    table: Table
    longest: int | None
    texts: Sequence[Sequence[Text] | None]

    @property
    def speaking(self) -> list[int]:
        """Places of the columns that are no drawings."""
        return [place for place, column in enumerate(self.table.columns) if column.kind is not MARKUP]

    def fitting(self, room: int) -> tuple[list[int], bool]:
        """The columns that there is room for, and whether what stands beside numbers has room too."""
        kept, small = self.speaking, True
        spare = [place for place in kept if self.table.columns[place].spare]
        ladder = [place for place in kept if self.table.columns[place].ladder]
        steps = len(ladder)
        while 1 + sum(_BORDERS + self.width(kept, place, small=small) for place in kept) > room:
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

    def width(self, kept: Sequence[int], place: int, *, small: bool) -> int:
        """Of a column: of its widest cell, or of the longest word of its heading."""
        heads = max((cell_len(word) for text in self.heads(kept, place) for word in text.split()), default=0)
        cells = (_said(texts[place], small=small) for texts in self.texts if texts is not None)
        widest = max((cell_len(line) for cell in cells for line in cell.split("\n")), default=0)
        folded = self.table.columns[place].kind.look == WRAPPED.look
        most = _LEAST if folded else self.longest if place == 0 else None
        return max(heads, widest if most is None else min(widest, most))

    def heads(self, kept: Sequence[int], place: int) -> list[str]:
        """What stands above a column: the heading that it shares, if it is the first to do so, and its own."""
        column, at = self.table.columns[place], kept.index(place)
        shared = at > 0 and self.table.columns[kept[at - 1]].over == column.over
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
