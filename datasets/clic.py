"""CLIC 2021, its perceptual track, validation: the original, two compressed versions, and whom a person preferred.

``validation.csv`` (in the organisers' archive ``clic2021_perceptual_valid_answers.csv``) has no header; its four
columns are O, A, B, T: original, the two versions, and 0 where A was found nearer to O, 1 where B was. Names are paths
below the folder; one that leads nowhere is looked for by its last part, so that crops may lie in folders of their own.

Rows in which the original is one of the versions, or both versions are one file, tested the people and not the
versions; they are skipped. A triplet that was asked more than once is as many rows: its line is part of its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from ..core.errors import UsageError
from ..images.names import is_image_name
from .files import safe_path, walk_files, whole_file
from .rows import Entry, RowError, read_rows
from .tables import read_plain
from .triplets import Triplet, TripletSet

LAYOUT = "clic2021"
SPLITS = ("val",)
TABLES = ("validation.csv", "clic2021_perceptual_valid_answers.csv")
_ANSWERS = {"0": 0.0, "1": 1.0}


def is_clic(folder: Path) -> bool:
    """Whether a folder has this layout: one of the tables, with four columns and an answer in the first row."""
    try:
        table = _table(folder)
        first = next(read_plain(table), None) if table else None
    except UsageError:
        return False
    return first is not None and len(first[1]) == 4 and first[1][3] in _ANSWERS


def load_clic(folder: Path, *, split: str = "val") -> TripletSet:
    """Read the validation part. Images are looked for and not opened.

    Args:
        folder: holds the table and, at any depth, the images.
        split: val.

    Raises:
        UsageError: for an unknown split, or a folder of another layout.
    """
    if split not in SPLITS:
        raise UsageError(f"of CLIC 2021 only the validation part is read; there is no split {split!r}")
    folder = folder.resolve()
    table = _table(folder)
    if table is None:
        raise UsageError(f"{folder} has no {' or '.join(TABLES)}: it is no CLIC 2021 data set")
    kept, skipped, rejects = read_rows(_entries(folder, table, _by_name(folder)))
    return TripletSet(LAYOUT, folder, split, kept, skipped, rejects)


def _table(folder: Path) -> Path | None:
    """The table of answers.

    Raises:
        UsageError: where there are two: they may differ.
    """
    found = [folder / name for name in TABLES if (folder / name).is_file()]
    if len(found) > 1:
        raise UsageError(f"{folder} has both {' and '.join(TABLES)}; keep one")
    return found[0] if found else None


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """Last part of a name → files that have it."""
    table: dict[str, list[Path]] = {}
    for path in walk_files(folder):
        if is_image_name(path):
            table.setdefault(path.name, []).append(path)
    return table


def _entries(folder: Path, table: Path, by_name: Mapping[str, list[Path]]) -> Iterator[Entry[Triplet[Path]]]:
    for line, row in read_plain(table):
        yield f"line {line}", table.name, partial(_read, folder, line, row, by_name)


def _read(folder: Path, line: int, row: Sequence[str], by_name: Mapping[str, list[Path]]) -> Triplet[Path] | str:
    if len(row) != 4:
        raise RowError("bad-row", f"{len(row)} columns; there must be four: original, A, B, answer")
    original, first, second, answer = row
    if answer not in _ANSWERS:
        raise RowError("bad-answer", f"the answer is {answer!r}, not 0 (A) or 1 (B)")
    reference, left, right = (_find(folder, text, by_name) for text in (original, first, second))
    if reference in (left, right):
        return "holds-reference"
    if left == right:
        return "same-candidates"
    return Triplet(f"line {line}", reference, left, right, _ANSWERS[answer])


def _find(folder: Path, text: str, by_name: Mapping[str, list[Path]]) -> Path:
    relative = safe_path(text)
    found = by_name.get(relative.name, [])
    if os.path.isfile(folder / relative) or not found:
        return whole_file(folder, folder / relative)
    if len(found) > 1:
        raise RowError("ambiguous", f"{len(found)} files are called {relative.name}, and none is {text}", file=text)
    return whole_file(folder, found[0])
