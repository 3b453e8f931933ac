"""Tables as HTML: rows of words and numbers, with headings in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeGuard

from .html_tags import Content, Html, tag


def grid(
    heads: Sequence[Content],
    rows: Iterable[Html],
    *,
    caption: str = "",
    words: int = 1,
    over: Sequence[tuple[str, int]] = (),
) -> Html:
    """A table that scrolls by itself where the page is narrow.

    Args:
        heads: of the columns; one that is a ``th`` already stays as it is.
        rows: from :func:`row` or :func:`group`.
        caption: above it.
        words: how many of the first columns hold words.
        over: headings above these, each with the number of columns that it spans.
    """
    cells = [head if _is(head, "th") else heading(head, words=i < words) for i, head in enumerate(heads)]
    spans = [tag("th", name, scope="colgroup", colspan=width, class_="over" if name else None) for name, width in over]
    top = tag("tr", spans) if over else ""
    body = tag("tbody", list(rows))
    title = tag("caption", caption) if caption else ""
    return tag("div", tag("table", title, tag("thead", top, tag("tr", cells)), body), class_="scroll")


def heading(name: Content, *, words: bool = False) -> Html:
    """The head of one column, of words or of numbers."""
    return tag("th", name, scope="col", class_="words" if words else None)


def row(*cells: Content, words: int = 1) -> Html:
    """One row; a cell that is a ``td`` already stays as it is."""
    return tag("tr", [_td(cell, i < words) for i, cell in enumerate(cells)])


def group(title: str, columns: int) -> Html:
    """A heading between rows."""
    return tag("tr", tag("th", title, scope="rowgroup", colspan=columns), class_="group")


def _td(cell: Content, words: bool) -> Html:
    return cell if _is(cell, "td") else tag("td", cell, class_="words" if words else None)


def _is(content: Content, name: str) -> TypeGuard[Html]:
    return isinstance(content, Html) and content.startswith(f"<{name}")


def count(number: int) -> str:
    """A count with a thin space between thousands."""
    return f"{number:,}".replace(",", "\u2009")
