"""Errors of a room speak of parameters: who calls it as a library has no command line, and its options may change."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import retr

ROOT = Path(retr.__file__).parent
ROOMS = ("attacks", "certificates", "core", "datasets", "embedding", "evaluation", "images", "metrics", "training")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
FOREIGN = {"--nproc-per-node"}
"""Options of other programs that an error tells how to start."""


def options_in_errors(source: str) -> Iterator[tuple[int, str]]:
    """(line, option) for every option that the words of a ``raise`` name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and node.exc is not None:
            texts = (x.value for x in ast.walk(node.exc) if isinstance(x, ast.Constant) and isinstance(x.value, str))
            yield from ((node.lineno, word) for text in texts for word in OPTION.findall(text))


def test_an_option_in_an_error_is_seen() -> None:
    source = 'def f(x):\n    """``--fine``"""\n    raise ValueError(f"{x} is no number; see --wrong and a--b")\n'
    assert list(options_in_errors(source)) == [(3, "--wrong")]


@pytest.mark.parametrize("room", ROOMS)
def test_no_error_names_an_option(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    found = [(f"{path.name}:{line}", word) for path in files for line, word in options_in_errors(path.read_text())]
    assert [one for one in found if one[1] not in FOREIGN] == []
