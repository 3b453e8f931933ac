"""Which items of the corpus a query should find."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from ...core.errors import UsageError
from ...indexer.gallery import Gallery

Groups = frozenset[int]


@dataclass(frozen=True)
class Truth:
    """True items (group numbers) per query path, and the queries left out with the reason."""

    items: Mapping[str, Groups]
    skipped: Mapping[str, str]


@dataclass(frozen=True)
class _Names:
    """Items of a gallery by everything a person may call them."""

    by_id: Mapping[str, Groups]
    by_path: Mapping[str, Groups]
    by_name: Mapping[str, Groups]
    by_stem: Mapping[str, Groups]


def truth_from_csv(gallery: Gallery, queries: Sequence[str], table: Path) -> Truth:
    """Truth from a CSV file with the columns ``query`` and ``truth``; a query may have several rows.

    ``query`` is the path as given, its absolute path or its file name. ``truth`` is an item's id, its path (absolute,
    or relative to the table's folder) or its file name.

    Raises:
        UsageError: the file or a column is missing, or names an item that the index does not hold or cannot tell
            from another.
    """
    pairs = _read_pairs(table)
    names = _names(gallery)
    items, skipped = {}, {}
    for query in queries:
        named = [truth for key in _keys_of_query(query) for truth in pairs.get(key, [])]
        if named:
            items[query] = frozenset().union(*(_find(names, name, table) for name in dict.fromkeys(named)))
        else:
            skipped[query] = f"no row in {table.name}"
    return Truth(items, skipped)


def truth_from_stems(gallery: Gallery, queries: Sequence[str]) -> Truth:
    """Truth by file name without extension; where several items share it, by the longest common end of the path."""
    names = _names(gallery)
    items, skipped = {}, {}
    for query in queries:
        found = _by_stem(names, query)
        if len(found) == 1:
            items[query] = found
        else:
            stem = PurePath(query).stem
            skipped[query] = f"{len(found)} items are named {stem!r}" if found else f"no item is named {stem!r}"
    return Truth(items, skipped)


def _by_stem(names: _Names, query: str) -> Groups:
    candidates = names.by_stem.get(PurePath(query).stem, frozenset())
    if len(candidates) <= 1:
        return candidates
    wanted = _tail(query)
    shared = {path: _common_end(_tail(path), wanted) for path, groups in names.by_path.items() if groups & candidates}
    longest = max(shared.values())
    return frozenset().union(*(names.by_path[path] for path, length in shared.items() if length == longest))


def _tail(path: str) -> list[str]:
    pure = PurePath(path)
    return [pure.stem, *reversed(pure.parts[:-1])]


def _common_end(a: list[str], b: list[str]) -> int:
    length = 0
    while length < min(len(a), len(b)) and a[length] == b[length]:
        length += 1
    return length


def _read_pairs(table: Path) -> dict[str, list[str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            columns = set(reader.fieldnames or [])
            if not {"query", "truth"} <= columns:
                raise UsageError(f"{table} needs the columns query and truth, and has {sorted(columns)}")
            pairs = defaultdict(list)
            for row in reader:
                pairs[row["query"] or ""].append(row["truth"] or "")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{table} cannot be read as a CSV table: {error}") from error
    return pairs


def _keys_of_query(query: str) -> list[str]:
    return list(dict.fromkeys([query, str(Path(query).absolute()), PurePath(query).name]))


def _names(gallery: Gallery) -> _Names:
    tables: tuple[dict[str, set[int]], ...] = tuple(defaultdict(set) for _ in range(4))
    columns = (gallery.catalog["id"].to_pylist(), gallery.catalog["path"].to_pylist())
    for item, path, group in zip(*columns, gallery.groups.tolist(), strict=True):
        if group >= 0:
            keys = (item, path, PurePath(path).name, PurePath(path).stem)
            for table, key in zip(tables, keys, strict=True):
                table[key].add(group)
    return _Names(*({key: frozenset(groups) for key, groups in table.items()} for table in tables))


def _find(names: _Names, name: str, table: Path) -> Groups:
    absolute = str((table.parent / name).absolute())
    for index, key in (
        (names.by_id, name),
        (names.by_path, name),
        (names.by_path, absolute),
        (names.by_name, name),
    ):
        found = index.get(key)
        if found is not None:
            if len(found) > 1:
                raise UsageError(f"{table}: {name!r} names {len(found)} items of the index; give a path or an id")
            return found
    raise UsageError(f"{table}: the index holds no item with the id, path or file name {name!r}")
