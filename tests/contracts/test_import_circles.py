"""No module of the package leads back to itself by imports, those inside functions and for type checkers included."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import retr

ROOT = Path(retr.__file__).parent
NOT_PACKAGE = {"tests", "docs", "build", "dist"}

Graph = Mapping[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """Files of the package by dotted name."""
    tops = [path for path in root.iterdir() if not path.name.startswith(".") and path.name not in NOT_PACKAGE]
    files = [path for path in tops if path.suffix == ".py"]
    files += [path for folder in tops if folder.is_dir() for path in folder.rglob("*.py")]
    return {_name(path.relative_to(root)): path for path in files}


def graph(root: Path) -> Graph:
    """What each module imports of its own package, wherever the line stands.

    ``from . import room`` leads to the room and not to the package around it: the package is loaded before either, and
    only what its own file imports can close a circle.
    """
    known = modules(root)
    return {name: set(_imports(name, path, known)) - {name} for name, path in known.items()}


def circle(edges: Graph) -> list[str]:
    """A closed way through the graph; empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _name(path: Path) -> str:
    parts = ("retr", *path.with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                if inner in known or base in known:
                    yield inner if inner in known else base


def _base(node: ast.ImportFrom, package: str) -> str:
    """The module that a ``from`` names, its leading dots resolved."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    kept = parts[: len(parts) - node.level + 1]
    return ".".join([*kept, node.module] if node.module else kept)


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in {"__init__.py": "", "room/__init__.py": "", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


class TestReading:
    def test_a_circle_through_a_function_is_seen(self, tmp_path: Path) -> None:
        write(tmp_path, {"room/a.py": "from .b import x\n", "room/b.py": "def x():\n    from . import a\n"})
        assert set(circle(graph(tmp_path))) == {"retr.room.a", "retr.room.b"}

    def test_a_circle_through_rooms_is_seen(self, tmp_path: Path) -> None:
        files = {"room/a.py": "from ..hall.b import x\n", "hall/__init__.py": "", "hall/b.py": "import retr.room.a\n"}
        assert set(circle(graph(write(tmp_path, files)))) == {"retr.room.a", "retr.hall.b"}

    def test_two_readers_of_one_module_are_none(self, tmp_path: Path) -> None:
        files = {"room/a.py": "x = 1\n", "room/b.py": "from .a import x\n", "room/c.py": "from . import a, b\n"}
        edges = graph(write(tmp_path, files))
        assert edges["retr.room.c"] == {"retr.room.a", "retr.room.b"}
        assert circle(edges) == []


@pytest.fixture(scope="module")
def edges() -> Graph:
    return graph(ROOT)


class TestPackage:
    def test_every_room_is_read(self, edges: Graph) -> None:
        rooms = {name.split(".")[1] for name, found in edges.items() if found and name.count(".") >= 2}
        assert {"core", "images", "embedding", "indexer", "retrieval", "evaluation", "training", "reports"} <= rooms

    def test_no_module_leads_back_to_itself(self, edges: Graph) -> None:
        assert " → ".join(circle(edges)) == ""
