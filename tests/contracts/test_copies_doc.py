"""docs/benchmarks/copies.md says what the code does: families, numbers, hashes and columns, word for word."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import retr
from retr.evaluation.copies import summary as copy_summary
from retr.evaluation.copies.asking import CHECKS
from retr.evaluation.systems import baselines
from retr.images import copy_edits, copy_edits_more

ROOT = Path(retr.__file__).parent
PAGE = (ROOT / "docs" / "benchmarks" / "copies.md").read_text()


def rows(text: str | None) -> list[str]:
    return [line for line in (text or "").splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("module", [copy_edits, copy_edits_more, copy_summary, baselines])
def test_tables_of_the_code_are_on_the_page(module: ModuleType) -> None:
    table = rows(module.__doc__)
    assert len(table) >= 3
    assert [row for row in table if row not in rows(PAGE)] == []


def test_the_number_of_checks() -> None:
    assert CHECKS == 12
    assert "Twelve answers" in PAGE


def test_the_guide_names_every_family_and_hash() -> None:
    section = (ROOT / "docs" / "guide.md").read_text().split("## `retr bench-copies`", 1)[1].split("\n## ", 1)[0]
    assert [name for name in (*copy_edits.FAMILIES, *baselines.HASHES) if f"`{name}`" not in section] == []


FIGURES = (ROOT / "docs" / "benchmarks" / "verdicts.md").read_text()
SAID = {
    "logo": r"logos \((\d+) %\)",
    "rotation": r"rotations by 2° to 20° \((\d+) %\)",
    "screenshot": r"screenshots \((\d+) %\)",
    "two edits": r"two edits at once \((\d+) %\)",
    "frame": r"frames and letterboxes \((\d+) %\)",
    "bar": r"opaque bars \((\d+) %\)",
    "crop": r"and crops \((\d+) %\); of receipts",
    "mirrored": r"(\d+) % mirrored",
    "grey": r"(\d+) % in grey",
    "text": r"(\d+) % with text",
}
"""How the README states the verdict of an index as it comes, by family."""


@pytest.mark.parametrize("family", SAID)
def test_the_readme_states_the_verdicts_that_were_measured(family: str) -> None:
    measured = " ".join(re.split(r"By\s+family, in %, with 50 queries each:", FIGURES)[1].split("\n\n", 1)[0].split())
    readme = " ".join((ROOT / "README.md").read_text().split())
    verdict = re.search(rf"{family} (\d+)", measured)
    said = re.search(SAID[family], readme)
    assert verdict is not None
    assert said is not None
    assert said[1] == verdict[1]
