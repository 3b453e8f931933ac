"""docs/benchmarks/copies.md says what the code does: families, numbers, hashes and columns, word for word."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import retr
from retr.evaluation.copies import summary as copy_summary
from retr.evaluation.copies.bench import CHECKS
from retr.evaluation.copies.records import SCHEMA
from retr.evaluation.systems import baselines
from retr.images import copy_edits

ROOT = Path(retr.__file__).parent
PAGE = (ROOT / "docs" / "benchmarks" / "copies.md").read_text()


def rows(text: str | None) -> list[str]:
    return [line for line in (text or "").splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("module", [copy_edits, copy_summary, baselines])
def test_tables_of_the_code_are_on_the_page(module: ModuleType) -> None:
    table = rows(module.__doc__)
    assert len(table) >= 3
    assert [row for row in table if row not in rows(PAGE)] == []


def test_the_columns_of_the_records_are_those_of_the_schema() -> None:
    stated = rows(PAGE.split("\n## Records", 1)[1])[1:]
    assert stated == [f"| `{field.name}` | {field.metadata[b'meaning'].decode()} |" for field in SCHEMA]


def test_the_number_of_checks() -> None:
    assert CHECKS == 12
    assert "Twelve answers" in PAGE


def test_the_guide_names_every_family_and_hash() -> None:
    section = (ROOT / "docs" / "guide.md").read_text().split("## `retr bench-copies`", 1)[1].split("\n## ", 1)[0]
    assert [name for name in (*copy_edits.FAMILIES, *baselines.HASHES) if f"`{name}`" not in section] == []
