"""No path leaves the server: what an answer names by path is named by id, or by file name where pictures are served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..api.index import Index
from ..api.serving import ids_of
from ..core.names import shown

PATHS = frozenset({"path", "rival"})
LISTS = frozenset({"duplicates"})


def last_part(path: str) -> str:
    """The name of a file without its folders."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def hidden(record: Any, index: Index, *, names: bool) -> Any:
    """A record without paths.

    Args:
        record: JSON values.
        index: whose items it speaks of.
        names: whether file names may be told; else each path becomes the item's id.
    """
    paths = set(_paths(record))
    if names:
        return _renamed(record, {path: last_part(path) for path in paths})
    known = dict(_with_ids(record))
    return _renamed(record, known | ids_of(index, paths - known.keys()))


def without_paths(text: str, known: Mapping[str, str]) -> str:
    """A sentence that names items by what they are called here."""
    for path in sorted(known, key=len, reverse=True):
        text = text.replace(path, known[path]).replace(shown(path), known[path])
    return text


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key in PATHS and isinstance(part, str):
                yield part
            elif key in LISTS and isinstance(part, list):
                yield from part
            else:
                yield from _paths(part)
    elif isinstance(value, list):
        for part in value:
            yield from _paths(part)


def _with_ids(value: Any) -> Iterator[tuple[str, str]]:
    """Paths that stand beside their id."""
    if isinstance(value, Mapping):
        if isinstance(value.get("path"), str) and isinstance(value.get("id"), str):
            yield value["path"], value["id"]
        for part in value.values():
            yield from _with_ids(part)
    elif isinstance(value, list):
        for part in value:
            yield from _with_ids(part)


def _renamed(value: Any, known: Mapping[str, str], key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _renamed(part, known, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_renamed(part, known, key) for part in value]
    if not isinstance(value, str):
        return value
    if key in PATHS or key in LISTS:
        return known.get(value, "(an item of the index)")
    return without_paths(value, known)
