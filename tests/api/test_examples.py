"""Every example of docs/api.md, of the public docstrings and of the notebook runs."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import retr

ROOT = Path(retr.__file__).parent
MODULES = ("attack", "audit", "index", "metric", "model", "train")
NOTEBOOKS = sorted((ROOT / "docs" / "examples").glob("*.ipynb"))


def blocks_of(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.docs
def test_api_md(home: Path) -> None:
    blocks = blocks_of((ROOT / "docs" / "api.md").read_text())
    assert len(blocks) > 12
    names: dict[str, object] = {"__name__": "examples"}
    for block in blocks:
        exec(compile(block, f"docs/api.md: {block.splitlines()[0]}", "exec"), names)
    every = {f"retr.{name}" for name in retr.__all__ if name.islower()}
    assert {name for name in every if name not in "\n".join(blocks)} <= {"retr.open"}


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str, home: Path) -> None:
    result = doctest.testmod(import_module(f"retr.api.{name}"), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 0 or name in ("audit", "train")


@pytest.mark.docs
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook(notebook: Path, home: Path) -> None:
    cells = json.loads(notebook.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert not any(cell.get("outputs") for cell in cells), "a committed notebook holds no outputs"
    program = "\n\n".join(code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS
