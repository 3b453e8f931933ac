"""Tables as Markdown."""

from __future__ import annotations

from .kinds import MARKUP
from .table import DASH, THIN, Group, Rule, Table, Text


def markdown(table: Table) -> list[str]:
    """Lines of a Markdown table and an empty one; without columns of dashes or drawings; nothing where no row is.

    Its title and its groups are the caller's to write.
    """
    rows = [row for row in table.rows if not isinstance(row, Group | Rule)]
    if not rows:
        return []
    body = [[_cell(text) for text in table.texts(row)] for row in rows]
    marks = ["---" if column.kind.words else "---:" for column in table.columns]
    heads = [_escaped(f"{one.over}: {one.head}" if one.over else one.head) for one in table.columns]
    columns = list(zip(table.columns, zip(heads, marks, *body, strict=True), strict=True))
    said = (cells for one, cells in columns if one.kind is not MARKUP and set(cells[2:]) != {DASH})
    kept = zip(*said, strict=True)
    return [*(f"| {' | '.join(row)} |" for row in kept), ""]


def _cell(text: Text) -> str:
    main = text.main.replace(THIN, ",")
    return _escaped(f"{main} ({text.small})" if text.small else main)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
