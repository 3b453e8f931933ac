"""docs/soundness.md speaks of every planted fault, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = (HERE.parents[1] / "docs" / "soundness.md").read_text(encoding="utf-8")
FAULT = re.compile(r"^def test_\w+\(planted\b", re.MULTILINE)


def test_the_page_has_a_line_for_every_planted_fault_of_every_file():
    for file in sorted(HERE.glob("test_*_faults.py")):
        planted = len(FAULT.findall(file.read_text(encoding="utf-8")))
        assert planted
        assert PAGE.count(f"](../tests/soundness/{file.name})") == planted, file.name
