"""docs/theory.md names the function behind every theorem, and every name it gives exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THEORY = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(r"`((?:core|certificates|embedding|images)(?:\.\w+)+)`", THEORY)))
THEOREMS = [f"T{i}" for i in range(1, 10)]


@pytest.mark.parametrize("name", NAMES)
def test_named_functions_exist(name):
    module, attribute = f"retr.{name}".rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), attribute))


@pytest.mark.parametrize("theorem", THEOREMS)
def test_every_theorem_names_its_code(theorem):
    stated = re.search(rf"^\*\*{theorem}\b.*?(?=^\*\*|^## )", THEORY, re.DOTALL | re.MULTILINE)
    assert stated, f"{theorem} is not stated"
    assert re.search(r"`(certificates|embedding)\.\w+\.\w+`", stated.group())


def test_the_page_covers_every_public_theorem():
    """A function of certificates/ whose docstring cites a theorem is named on the page."""
    missing = []
    for path in sorted((ROOT / "certificates").glob("*.py")):
        for name, doc in re.findall(r'^def ([a-z]\w*)\(.*?"""(.*?)"""', path.read_text(), re.DOTALL | re.MULTILINE):
            full = f"certificates.{path.stem}.{name}"
            if re.match(r"T[1-9]\b", doc) and full not in NAMES:
                missing.append(full)
    assert not missing
    assert len(NAMES) > 30
