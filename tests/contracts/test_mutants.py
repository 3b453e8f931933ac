"""The faults that ``make mutants`` draws: which changes there are, which are named as harmless, and what is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mutants import __main__ as command
from mutants import named
from mutants.imports import distances
from mutants.sites import changes

ROOT = Path(__file__).resolve().parents[2]
SOURCE = '''
"""1 + 1."""
def f(x: int = 2, *, y: "a < b" = None) -> "1":
    """max - min."""
    low, high = pair(x)  # 3 < 4
    assert x > 5, "x + x"
    if x <= 0.5 and not -x == 4:
        raise ValueError(f"{x + 1} is too {min(x)}")
    return up(low) * ((x)  # × up
        + (max)(high, a.max))
'''


def made(source: str) -> set[tuple[int, str, str]]:
    return {(change.line, change.old, change.new) for change in changes("f.py", source.encode())}


def test_every_token_that_counts_is_changed_and_no_other():
    assert made(SOURCE) == {
        (3, "2", "0"),
        (3, "2", "3"),
        (3, "2", "1"),
        (5, "low, high", "high, low"),
        (7, "<=", "<"),
        (7, "0.5", "0.0"),
        (7, "0.5", "1.5"),
        (7, "0.5", "0.25"),
        (7, "and", "or"),
        (7, "-", ""),
        (7, "==", "!="),
        (7, "4", "0"),
        (7, "4", "5"),
        (7, "4", "2"),
        (9, "up", "down"),
        (9, "*", "/"),
        (10, "+", "-"),
        (10, "max", "min"),
    }


def test_a_change_is_made_where_it_was_found():
    for change in changes("f.py", SOURCE.encode()):
        before, after = SOURCE.splitlines(), change.applied(SOURCE.encode()).decode().splitlines()
        different = [number for number, pair in enumerate(zip(before, after, strict=True), 1) if pair[0] != pair[1]]
        assert different == [change.line]
        assert before[change.line - 1].strip() == change.text


def test_the_draw_is_that_of_its_seed_and_takes_a_place_once():
    found = changes("f.py", SOURCE.encode())
    drawn = command.draw(found, 6, seed=3)
    assert drawn == command.draw(found, 6, seed=3) != command.draw(found, 6, seed=4)
    assert len({change.start for change in drawn}) == 6
    assert command.draw(found, 0, seed=3) == found
    assert len(command.draw(found, 1000, seed=3)) == len({change.start for change in found})


def test_every_named_change_is_there_and_has_a_reason():
    names = named.read()
    found = [change for file in {name.file for name in names} for change in changes(file, (ROOT / file).read_bytes())]
    _, known, stale = named.split(found, names)
    assert not stale
    assert known
    assert all(len(name.why) > 20 for name in names)


def test_names_fit_by_line_token_and_place():
    line = "a = 1 + 1"
    found = changes("f.py", line.encode())
    by: dict[str, Any] = {"file": "f.py", "line": line, "why": "because"}
    one = named.Named(**by, old="1", new="0", which=1)
    counted, known, stale = named.split(found, [one, named.Named(**by, old="2")])
    assert [(change.start, change.new) for change in known] == [(8, "0")]
    assert len(counted) == len(found) - 1
    assert [name.old for name in stale] == ["2"]
    assert len(named.split(found, [named.Named(**by, old="1")])[1]) == 4


def test_tests_are_those_that_reach_the_file():
    tests = [
        "tests/certificates/test_ranking.py",
        "tests/certificates/test_proof.py",
        "tests/certificates/test_outward.py",
    ]
    steps = distances("certificates/rounding.py", tests, ROOT)
    assert steps == {"tests/certificates/test_ranking.py": 2, "tests/certificates/test_outward.py": 1}
    assert distances("core/numerics.py", tests, ROOT)["tests/certificates/test_proof.py"] == 2


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package of one line, and a test of it."""
    root = tmp_path / "project"
    (root / "tests").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "half.py").write_text("def half(x):\n    return x / 2 if x < 9 else 0\n")
    (root / "tests" / "test_half.py").write_text(
        "def test_half():\n    from retr.half import half\n    assert half(8) == 4\n"
    )
    return root


def test_changes_are_noticed_in_a_copy_and_the_project_stays(project: Path, tmp_path: Path):
    source = (project / "half.py").read_bytes()
    result = tmp_path / "result.json"
    given = ["--root", project, "--files", "half.py", "--tests", "tests", "--count", "0", "--json", result]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "support")}
    command = [sys.executable, "-m", "mutants", *map(str, given)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 1, ended.stderr  # fewer than 95 in 100
    found = {(row["old"], row["new"]): row["outcome"] for row in json.loads(result.read_text())["mutants"]}
    assert {change: outcome["word"] for change, outcome in found.items()} == {
        ("/", "*"): "failed",
        ("2", "0"): "failed",
        ("2", "3"): "failed",
        ("2", "1"): "failed",
        ("<", "<="): "passed",
        ("0", "1"): "passed",
        ("9", "0"): "failed",
        ("9", "10"): "passed",
        ("9", "4"): "failed",
    }
    assert found["/", "*"]["test"] == "tests/test_half.py::test_half"
    assert "survived: half.py:2  < → <=  [return x / 2 if x < 9 else 0]" in ended.stdout
    assert (project / "half.py").read_bytes() == source
