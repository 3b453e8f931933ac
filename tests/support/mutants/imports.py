"""Which test files reach a module, and by how many steps."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = "retr"


def imported(path: Path, root: Path) -> set[str]:
    """Files of the project that a file imports, as paths from the root."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            base = _base(node, path, root)
            if base is not None:
                found |= {name for alias in node.names for name in _files([*base, alias.name], root)}
                found |= _files(base, root)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                found |= _files(parts[1:], root) if parts[0] == PACKAGE else _support(parts, root)
    return found


def _base(node: ast.ImportFrom, path: Path, root: Path) -> list[str] | None:
    """The module that is imported from, as parts of a path from the root; None for another's."""
    parts = node.module.split(".") if node.module else []
    if node.level:
        here = path.relative_to(root).parent.parts
        return [*here[: len(here) - node.level + 1], *parts]
    if parts[0] == PACKAGE:
        return parts[1:]
    return ["tests", "support", *parts] if _support(parts, root) else None


def _support(parts: list[str], root: Path) -> set[str]:
    return _files(["tests", "support", *parts], root)


def _files(parts: list[str], root: Path) -> set[str]:
    file = "/".join(parts) + ".py"
    return {file} if parts and (root / file).is_file() else set()


def distances(module: str, tests: Iterable[str], root: Path) -> dict[str, int]:
    """Of the test files that reach a module: 1 for those that import it, 2 for importers of importers, and so on."""
    return {test: steps[module] for test in tests if module in (steps := _steps(test, root))}


def libraries(tests: Iterable[str], root: Path) -> set[str]:
    """Names that the tests, or what they reach, import from elsewhere: the first part of each."""
    files = {file for test in tests for file in (test, *_steps(test, root))}
    nodes = [node for file in files for node in ast.walk(ast.parse((root / file).read_bytes()))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level and node.module]
    return {name.split(".")[0] for name in names}


@cache
def _steps(test: str, root: Path) -> dict[str, int]:
    """Every file of the project that a test reaches, and by how many steps."""
    found: dict[str, int] = {}
    front, step = {test}, 0
    while front:
        step += 1
        front = {name for file in front for name in _imported(file, root)} - found.keys()
        found |= dict.fromkeys(front, step)
    return found


@cache
def _imported(file: str, root: Path) -> set[str]:
    return imported(root / file, root)
