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

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from ..core.errors import UsageError
from .files import image_below
from .rows import Entry, RowError, read_rows
from .tables import missing_columns, number, read_table, require_columns, whole_row
from .triplets import Triplet, TripletSet

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
        return not missing_columns(folder / TABLE, COLUMNS)
    except UsageError:
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
    require_columns(folder / TABLE, COLUMNS, "NIGHTS table")
    kept, skipped, rejects = read_rows(_entries(folder, split, min_votes))
    return TripletSet(LAYOUT, folder, split, kept, skipped, rejects)


def _entries(folder: Path, split: str, min_votes: int) -> Iterator[Entry[Triplet[Path]]]:
    seen: set[str] = set()
    for line, row in read_table(folder / TABLE, COLUMNS):
        yield f"line {line}", TABLE, partial(_read, folder, row, seen, split, min_votes)


def _read(
    folder: Path, row: Mapping[str, str | None], seen: set[str], split: str, min_votes: int
) -> Triplet[Path] | str:
    text = _unique(whole_row(row), seen)
    return _skip(text, split, min_votes) or _triplet(folder, text)


def _unique(text: dict[str, str], seen: set[str]) -> dict[str, str]:
    """The row itself, if its id is new."""
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


def _triplet(folder: Path, text: dict[str, str]) -> Triplet[Path]:
    reference, left, right = (image_below(folder, text[name]) for name in ("ref_path", "left_path", "right_path"))
    return Triplet(text["id"], reference, left, right, _preference(text), _votes(text["votes"]))


def _preference(text: dict[str, str]) -> float:
    left, right = (number(text[name], name, reason="bad-votes") for name in ("left_vote", "right_vote"))
    if left + right <= 0:
        raise RowError("bad-votes", "neither candidate has a vote")
    return right / (left + right)


def _votes(text: str) -> int:
    votes = number(text, "votes", reason="bad-votes", low=1)
    if votes != int(votes):
        raise RowError("bad-votes", f"votes must be a whole number, got {text}")
    return int(votes)
