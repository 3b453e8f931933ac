"""``import retr`` is quick and loads nothing; every public name is there, for people and for type checkers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import retr
from retr.api.words import of_parameters

HEAVY = ("torch", "faiss", "numpy", "pyarrow", "PIL", "rich", "typer", "retr.api", "retr.core")


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    ).stdout


def test_import_takes_less_than_a_fifth_of_a_second() -> None:
    program = "import time; began = time.process_time(); import retr; print(time.process_time() - began)"
    assert min(float(run(program)) for _ in range(3)) < 0.2


@pytest.mark.parametrize("heavy", HEAVY)
def test_import_loads_nothing_heavy(heavy: str) -> None:
    assert run(f"import sys, retr; print({heavy!r} in sys.modules)").strip() == "False"


@pytest.mark.parametrize("name", retr.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    value = getattr(retr, name)
    assert value.__doc__
    assert value.__name__ == name
    assert name in dir(retr)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(retr.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == retr._HOMES
    assert sorted(seen) == sorted(retr.__all__)


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'biuld'; it has build"):
        _ = retr.biuld  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("option", "parameter"),
    [
        ("--batch-size must be at least 1, got 0", "batch_size must be at least 1, got 0"),
        ("go on with --resume, or choose another -o", "go on with resume=True, or choose another path"),
        ("or choose --no-pretrained", "or choose pretrained=False"),
        ("ask with --certified-only", "ask with certified_only=True"),
        ("nothing is proved (--allow-partial)", "nothing is proved (allow_partial=True)"),
        ("a range 1--2 and -1 stay", "a range 1--2 and -1 stay"),
    ],
)
def test_options_become_parameters(option: str, parameter: str) -> None:
    assert of_parameters(option) == parameter
