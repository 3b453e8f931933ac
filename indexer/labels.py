"""Labels: what users say of files, kept by path, so that they outlive every change of the file's content.

A label is a key and a value; a path has at most one value for a key. The keys ``id`` and ``note`` are a user's own name
for an item, and words about it; they are labels like all others. The whole table is one file, named in the snapshot.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import IntegrityError, UsageError
from ..core.files import canonical_json, sha256_bytes, sha256_file, write_atomically
from .addresses import absolute_text, beginnings, is_url, own_name
from .held import among
from .snapshot import Snapshot, told_file

SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("path", "key", "value")])
Row = tuple[str, str, str]
"""Path, key, value; an empty value takes the label away."""
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_TAKEN = frozenset({"path"})


@dataclass(frozen=True)
class Labels:
    """A table of labels.

    Attributes:
        table: path, key, value, sorted, each (path, key) once.
    """

    table: pa.Table

    @staticmethod
    def none() -> Labels:
        """No labels."""
        # Not SCHEMA.empty_table(), which looks for pandas, and loads it where it is: half a second of a cold query.
        return Labels(pa.Table.from_arrays([pa.nulls(0, field.type) for field in SCHEMA], schema=SCHEMA))

    def with_rows(self, rows: Iterable[Row]) -> Labels:
        """With some labels set anew; those with an empty value are taken away."""
        known = {(path, key): value for path, key, value in self.rows()}
        known.update(((path, key), value) for path, key, value in rows)
        kept = sorted((path, key, value) for (path, key), value in known.items() if value)
        columns = zip(*kept, strict=True) if kept else ([], [], [])
        arrays = [pa.array(list(column), pa.string()) for column in columns]
        return Labels(pa.Table.from_arrays(arrays, schema=SCHEMA))

    def without(self, paths: Iterable[str]) -> Labels:
        """Without those of some files."""
        return Labels(self.table.filter(pa.array(~among(self.table["path"], paths))))

    def rows(self) -> list[Row]:
        """All of them."""
        columns = (self.table[name].to_pylist() for name in SCHEMA.names)
        return list(zip(*columns, strict=True))

    def paths_with(self, key: str, value: str | None = None) -> list[str]:
        """Paths that have a label of this key, and of this value if one is given."""
        chosen = among(self.table["key"], [key])
        if value is not None:
            chosen &= among(self.table["value"], [value])
        return self.table["path"].filter(pa.array(chosen)).to_pylist()

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Every key that is in use, sorted."""
        return tuple(sorted(self.table["key"].unique().to_pylist()))

    @cached_property
    def by_path(self) -> dict[str, dict[str, str]]:
        """Path → key → value."""
        found: dict[str, dict[str, str]] = {}
        for path, key, value in self.rows():
            found.setdefault(path, {})[key] = value
        return found


def labels_of(index: Path, snapshot: Snapshot) -> Labels:
    """The labels of a snapshot.

    Raises:
        IntegrityError: the table is missing or damaged.
    """
    if snapshot.labels is None:
        return Labels.none()
    file = told_file(index, "labels", snapshot.labels)
    try:
        if sha256_file(file) != snapshot.labels:
            raise IntegrityError(f"{file} does not match the SHA-256 that is its name")
        return Labels(pq.read_table(file, schema=SCHEMA)) if file.suffix == ".parquet" else _read_plain(file)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error


def _read_plain(file: Path) -> Labels:
    rows = json.loads(file.read_bytes())
    lines = isinstance(rows, list) and all(isinstance(row, list) and len(row) == len(SCHEMA) for row in rows)
    if not lines or not all(isinstance(text, str) for row in rows for text in row):
        raise ValueError("it is no table of path, key and value")
    return Labels.none().with_rows((path, key, value) for path, key, value in rows)


def write_labels(index: Path, labels: Labels) -> str | None:
    """Store labels, in plain JSON, so that whoever checks a proof can read them.

    Returns:
        The SHA-256 that a snapshot names them by, None where there are none.
    """
    if not labels.table.num_rows:
        return None
    content = canonical_json(labels.rows())
    digest = sha256_bytes(content)
    file = index / "labels" / f"{digest}.json"
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        write_atomically(file, content)
    return digest


def check_key(key: str) -> str:
    """A key as it may be.

    Raises:
        UsageError: it is none.
    """
    if not _KEY.fullmatch(key) or key in _TAKEN:
        raise UsageError(f"a label's key is a word such as bank, and not {key!r}")
    return key


def parse_label(text: str) -> tuple[str, str]:
    """``bank=hashes-2024`` → (bank, hashes-2024); an empty value takes the label away.

    Raises:
        UsageError: no key, or one that is none.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"a label is KEY=VALUE, got {text!r}")
    return check_key(key), value


def read_label_file(file: Path) -> list[Row]:
    """Labels out of a CSV file with the column ``path``, relative to the file's folder, and a column for each key.

    A cell that is empty says nothing.

    Raises:
        UsageError: it cannot be read, or is no such table.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as a table of labels: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        keys = _keys_of(reader.fieldnames, file)
        return [row for line in reader for row in _of_line(line, keys, file.resolve().parent)]
    except csv.Error as error:
        raise UsageError(f"{file}, line {reader.line_num}: {error}") from error


def _keys_of(names: Sequence[str] | None, file: Path) -> list[str]:
    if not names or "path" not in names:
        raise UsageError(f"{file} has no column named path: its first line names the columns, such as path,bank,note")
    if len(set(names)) < len(names):
        raise UsageError(f"{file} names a column twice: {', '.join(names)}")
    return [check_key(name) for name in names if name != "path"]


def _of_line(line: Mapping[str | None, str | None], keys: Sequence[str], base: Path) -> list[Row]:
    path = line.get("path")
    if not path:
        return []
    text = absolute_text(path if path.startswith("file://") or is_url(path) else os.path.join(base, path))
    return [(text, key, value) for key in keys if (value := line.get(key))]


NAMES = ("name", "stem", "path")
"""What ``id_from`` takes a user's id from: the file's name, that without its ending, or the path below the corpus."""


def check_name(name: str) -> str:
    """A word of :data:`NAMES`.

    Raises:
        UsageError: another one.
    """
    if name not in NAMES:
        raise UsageError(f"an id is taken from {', '.join(NAMES)}, not from {name!r}")
    return name


def id_of(path: str, source: str, root: str | None) -> str:
    """The user's id of a file, from its path as text.

    Args:
        path: of the file.
        source: of :data:`NAMES`.
        root: folder of the corpus; None where it is none: the path is whole then.
    """
    if source == "path":
        begins = next((one for one in beginnings(root) if path.startswith(one)), "") if root is not None else ""
        return path.removeprefix(begins)
    name = own_name(path)
    return name if source == "name" else name.rsplit(".", 1)[0] or name
