"""NIGHTS: 20,019 synthetic triplets with unanimous human judgements (Fu et al., DreamSim, arXiv 2306.09344).

A folder with ``data.csv``; its columns are found by name, in any order:

| column | holds |
|---|---|
| `id` | unique |
| `left_vote`, `right_vote` | judgements for each candidate: counts, or 0 and 1 where the judges were unanimous |
| `votes` | how many people judged |
| `split` | `train`, `val` or `test` |
| `is_imagenet` | `True` or `False`; divides the test split into `test_imagenet` and `test_no_imagenet` |
| `ref_path`, `left_path`, `right_path` | image files, relative to the folder |

`prompt` and other columns are not read. Rows with fewer than ``min_votes`` votes are skipped, as in the paper (6).
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..core.errors import UsageError
from .triplets import RejectedRow, RowError, Triplet, TripletSet

LAYOUT = "nights"
TABLE = "data.csv"
COLUMNS = ("id", "left_vote", "right_vote", "votes", "split", "is_imagenet", "ref_path", "left_path", "right_path")
SPLITS = ("train", "val", "test", "test_imagenet", "test_no_imagenet")
MIN_VOTES = 6
"""The paper's filter: at least six judges, all of one mind."""
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def is_nights(folder: Path) -> bool:
    """Whether a folder has this layout: a ``data.csv`` whose header has every column."""
    try:
        return not _missing(_header(folder / TABLE))
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def load_nights(folder: Path, *, split: str, min_votes: int = MIN_VOTES) -> TripletSet:
    """Read one split. Files are looked for and not opened.

    Args:
        folder: holds ``data.csv``.
        split: one of SPLITS.
        min_votes: rows with fewer are skipped.

    Raises:
        UsageError: for an unknown split, or a folder of another layout.
    """
    if split not in SPLITS:
        raise UsageError(f"NIGHTS has no split {split!r}; choose {', '.join(SPLITS)}")
    folder = folder.resolve()
    _require_header(folder / TABLE)
    kept: list[Triplet] = []
    rejects: list[RejectedRow] = []
    skipped: Counter[str] = Counter()
    seen: set[str] = set()
    for line, row in _rows(folder / TABLE):
        try:
            text = _complete(row, seen)
            reason = _skip(text, split, min_votes)
            if not reason:
                kept.append(_triplet(folder, text))
        except RowError as error:
            rejects.append(error.at(f"line {line}"))
            continue
        skipped.update([reason] if reason else [])
    return TripletSet(LAYOUT, folder, split, tuple(kept), dict(sorted(skipped.items())), tuple(rejects))


def _header(table: Path) -> list[str]:
    with table.open(newline="", encoding="utf-8-sig") as handle:
        return next(csv.reader(handle), [])


def _missing(header: list[str]) -> list[str]:
    return [name for name in COLUMNS if name not in header]


def _require_header(table: Path) -> None:
    try:
        missing = _missing(_header(table))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{table} cannot be read as a NIGHTS table: {error}") from None
    if missing:
        raise UsageError(f"{table} is no NIGHTS table: its header lacks {', '.join(missing)}")


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    """(line number, row by column); a field that the row is too short for is None."""
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as handle:
        reader = csv.DictReader(handle)
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise UsageError(f"{table}, line {reader.line_num}: {error}") from None


def _complete(row: dict[str, str | None], seen: set[str]) -> dict[str, str]:
    """The columns we read, stripped; the row's id is new."""
    short = [name for name in COLUMNS if row.get(name) is None]
    if short:
        raise RowError("short-row", f"no value for {', '.join(short)}")
    text = {name: (row[name] or "").strip() for name in COLUMNS}
    if not text["id"]:
        raise RowError("no-id", "the id is empty")
    if text["id"] in seen:
        raise RowError("duplicate-id", f"id {text['id']} stands in an earlier row")
    seen.add(text["id"])
    return text


def _skip(text: dict[str, str], split: str, min_votes: int) -> str:
    """Why a good row is left out, or ""."""
    if text["split"] not in ("train", "val", "test"):
        raise RowError("unknown-split", f"split {text['split']!r} is not train, val or test")
    wanted, _, part = split.partition("_")
    flag = _FLAGS.get(text["is_imagenet"].lower())
    if part and flag is None:
        raise RowError("bad-flag", f"is_imagenet is {text['is_imagenet']!r}, not True or False")
    if text["split"] != wanted or (part and flag != (part == "imagenet")):
        return "other-split"
    return "few-votes" if _votes(text["votes"]) < min_votes else ""


def _triplet(folder: Path, text: dict[str, str]) -> Triplet:
    reference, left, right = (_file(folder, text[name]) for name in ("ref_path", "left_path", "right_path"))
    return Triplet(text["id"], reference, left, right, _preference(text), _votes(text["votes"]))


def _preference(text: dict[str, str]) -> float:
    left, right = (_number(text[name], name) for name in ("left_vote", "right_vote"))
    if left + right <= 0:
        raise RowError("bad-votes", "neither candidate has a vote")
    return right / (left + right)


def _votes(text: str) -> int:
    votes = _number(text, "votes")
    if votes < 1 or votes != int(votes):
        raise RowError("bad-votes", f"votes must be a whole number of at least 1, got {text}")
    return int(votes)


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise RowError("bad-votes", f"{name} is {text!r}, not a number") from None
    if not math.isfinite(value) or value < 0:
        raise RowError("bad-votes", f"{name} must be finite and not negative, got {text}")
    return value


def _file(folder: Path, text: str) -> Path:
    relative = PurePosixPath(text)
    if not text or "\0" in text or relative.is_absolute() or ".." in relative.parts:
        raise RowError("bad-path", f"{text!r} is not a path below the data set's folder")
    path = folder / relative
    if not path.is_file():
        raise RowError("missing-file", f"{text} is not there")
    return path
