"""docs/decode-policy.md says what the code does: fields, reasons, views and edits."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from retr.images import decode, edits, identify, isolated, view_pairs, views
from retr.images.policy import DecodePolicy
from retr.indexer import archive, embed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "decode-policy.md"


def rows(text: str | None) -> list[str]:
    """Table rows that begin with a name in code type."""
    return [line for line in (text or "").splitlines() if line.startswith("| `")]


def sets() -> list[str]:
    listed = {name: ", ".join(f"`{view.name}`" for view in found) for name, found in views.VIEW_SETS.items()}
    return [f"| `{name}` | {views.VIEW_ROWS[name]} | {text} |" for name, text in listed.items()]


def classes() -> list[str]:
    """What meets what, of the sets that compare views of a query."""
    found = []
    for one in (one for listed in view_pairs.VIEW_CLASSES.values() for one in listed):
        stored = dict.fromkeys(view for views in one.pairs.values() for view in views)
        met = "the same half" if one.name == "halves" else ", ".join(f"`{view}`" for view in stored)
        parts = " / ".join(f"{one.part(model):g}" for model in ("block-means", "retr_s"))
        found.append(f"| `{one.name}` | {', '.join(f'`{q}`' for q in one.pairs)} | {met} | {parts} | {one.reason} |")
    return found


def names(found: list[str]) -> list[str]:
    return [row.split("`")[1] for row in found]


@pytest.mark.parametrize("module", [decode, edits, views])
def test_tables_of_the_code_are_on_the_page(module: ModuleType):
    table = rows(module.__doc__)
    assert len(table) >= 3
    assert set(table) <= set(rows(PAGE.read_text()))


def test_the_page_has_no_other_rows():
    fields = [row for row in rows(PAGE.read_text()) if row.split("`")[1] in DecodePolicy().as_json()]
    reasons = [row for module in (decode, isolated, embed, archive) for row in rows(module.__doc__)]
    expected = [*fields, *reasons, *rows(views.__doc__), *sets(), *classes(), *rows(edits.__doc__)]
    assert sorted(rows(PAGE.read_text())) == sorted(expected)


def test_defaults():
    table = {row.split("`")[1]: row.split("|")[2].strip() for row in rows(PAGE.read_text())}
    for name, value in DecodePolicy().as_json().items():
        assert table[name] == (", ".join(map(str, value)) if isinstance(value, list) else str(value))


def test_edits_and_views_are_those_of_the_code():
    assert names(rows(edits.__doc__)) == list(edits.EDITS)
    assert [row for row in rows(PAGE.read_text()) if row in sets()] == sets()


def test_formats_are_named():
    text = PAGE.read_text().lower()
    assert all(name.lower() in text for name in identify.FORMATS)
