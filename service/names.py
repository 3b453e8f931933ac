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
        return _Renamed({path: last_part(path) for path in paths}).of(record)
    known = dict(_with_ids(record))
    return _Renamed(known | ids_of(index, paths - known.keys())).of(record)


def without_paths(text: str, known: Mapping[str, str]) -> str:
    """A sentence that names items by what they are called here."""
    return _Renamed(known).words(text)


class _Renamed:
    """What is said with other names for some paths; every request goes through here, with some hundred texts."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._longest_first = [(path, shown(path), known[path]) for path in sorted(known, key=len, reverse=True)]
        self._least = min((min(map(len, pair[:2])) for pair in self._longest_first), default=0)

    def words(self, text: str) -> str:
        """A sentence; one that is shorter than every path holds none."""
        if len(text) < self._least:
            return text
        for path, seen, name in self._longest_first:
            text = text.replace(path, name).replace(seen, name)
        return text

    def of(self, value: Any, key: str = "") -> Any:
        """JSON values."""
        if isinstance(value, dict):
            return {name: self.of(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [self.of(part, key) for part in value]
        if not isinstance(value, str):
            return value
        if key in PATHS or key in LISTS:
            return self._known.get(value, "(an item of the index)")
        return self.words(value)


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):  # of JSON, for which the abstract class is slow
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
    if isinstance(value, dict):
        if isinstance(value.get("path"), str) and isinstance(value.get("id"), str):
            yield value["path"], value["id"]
        for part in value.values():
            yield from _with_ids(part)
    elif isinstance(value, list):
        for part in value:
            yield from _with_ids(part)
