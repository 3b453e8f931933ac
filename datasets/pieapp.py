"""PieAPP, its test part: 40 references, dense comparisons by 40 people each (Prashnani et al., arXiv 1806.02067).

``labels/test/ref_N_pairwise_labels.csv``, one table per reference, whose header has spaces before its names:

| column | holds |
|---|---|
| `ref. image` | ``ref_N.png``, in ``reference_images/test`` |
| `distorted image A`, `distorted image B` | in ``distorted_images/test/ref_N`` |
| `preference for A` | share of people who found A nearer to the reference |

The reference takes part as a distorted image of itself: pairs that hold it are skipped, unlike in the published files.
Pairs that people were not clear about are skipped too; ``clear`` is the papers' 0.85.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from ..core.errors import UsageError
from .files import image_below, safe_path
from .rows import Entry, RejectedRow, RowError, read_rows
from .tables import number, read_table, require_columns, whole_row
from .triplets import Triplet, TripletSet

LAYOUT = "pieapp"
SPLITS = ("test",)
REFERENCE, FIRST, SECOND, PREFERENCE = COLUMNS = (
    "ref. image",
    "distorted image A",
    "distorted image B",
    "preference for A",
)
CLEAR = 0.85
VOTES = 40
"""People asked about each pair, by the data set's description; the tables do not say."""
_TABLE = re.compile(r"(ref_\d+)_pairwise_labels\.csv")


def is_pieapp(folder: Path) -> bool:
    """Whether a folder has this layout: ``labels/test`` with a table of pairwise labels."""
    return bool(_tables(folder, "test"))


def load_pieapp(folder: Path, *, split: str = "test", clear: float = CLEAR) -> TripletSet:
    """Read the test part. Images are looked for and not opened.

    Args:
        folder: holds ``labels``, ``reference_images`` and ``distorted_images``.
        split: test.
        clear: pairs are kept where more than this share of people agree: P(A) > clear or P(A) < 1 − clear;
            0.5 keeps all but ties.

    Raises:
        UsageError: for an unknown split, a folder of another layout, or a share that is none.
    """
    if split not in SPLITS:
        raise UsageError(f"of PieAPP only the test part is read; there is no split {split!r}")
    if not 0.5 <= clear < 1.0:
        raise UsageError(f"a clear preference is a share of at least 0.5 and below 1, got {clear}")
    folder = folder.resolve()
    tables = _tables(folder, split)
    if not tables:
        raise UsageError(f"{folder} has no labels/{split}/ref_N_pairwise_labels.csv: it is no PieAPP data set")
    usable, broken = _usable(folder, tables, split)
    kept, skipped, rejects = read_rows(_entries(folder, usable, split, clear))
    return TripletSet(LAYOUT, folder, split, kept, skipped, (*broken, *rejects))


def _tables(folder: Path, split: str) -> dict[str, Path]:
    """Stem of the reference → its table, in the order of their numbers."""
    found = [(_TABLE.fullmatch(path.name), path) for path in (folder / "labels" / split).glob("ref_*.csv")]
    named = [(match[1], path) for match, path in found if match]
    return dict(sorted(named, key=lambda item: int(item[0].removeprefix("ref_"))))


def _usable(folder: Path, tables: Mapping[str, Path], split: str) -> tuple[dict[str, Path], list[RejectedRow]]:
    """The tables that can be read, and one reject for each other one: the rest of the data set is still good."""
    usable: dict[str, Path] = {}
    broken = _strays(folder, tables, split)
    for stem, table in tables.items():
        try:
            require_columns(table, COLUMNS, "PieAPP table of pairwise labels")
            usable[stem] = table
        except UsageError as error:
            broken.append(RejectedRow("header", "bad-table", str(error), table.relative_to(folder).as_posix()))
    return usable, broken


def _strays(folder: Path, tables: Mapping[str, Path], split: str) -> list[RejectedRow]:
    """Tables whose names say no reference, and references without a table."""
    labels = sorted((folder / "labels" / split).glob("*pairwise_labels*"))
    odd = [path for path in labels if path not in tables.values()]
    alone = [path for path in sorted((folder / "reference_images" / split).glob("ref_*")) if path.stem not in tables]
    return [
        *(_stray(folder, path, "odd-table", "not called ref_N_pairwise_labels.csv") for path in odd),
        *(_stray(folder, path, "missing-table", f"no {path.stem}_pairwise_labels.csv") for path in alone),
    ]


def _stray(folder: Path, path: Path, reason: str, detail: str) -> RejectedRow:
    name = path.relative_to(folder).as_posix()
    return RejectedRow(name, reason, detail, name)


def _entries(folder: Path, tables: Mapping[str, Path], split: str, clear: float) -> Iterator[Entry[Triplet[Path]]]:
    for stem, table in tables.items():
        file = table.relative_to(folder).as_posix()
        for line, row in read_table(table, COLUMNS):
            name = f"{stem}:{line}"
            yield f"line {line}", file, partial(_read, folder, name, stem, row, split, clear)


def _read(
    folder: Path, name: str, stem: str, row: Mapping[str, str | None], split: str, clear: float
) -> Triplet[Path] | str:
    text = whole_row(row)
    share = number(text[PREFERENCE], PREFERENCE, reason="bad-preference", high=1.0)
    if safe_path(text[REFERENCE]).stem != stem:
        raise RowError("other-reference", f"the reference is {text[REFERENCE]}, in the table of {stem}")
    if stem in (safe_path(text[FIRST]).stem, safe_path(text[SECOND]).stem):
        return "holds-reference"
    if text[FIRST] == text[SECOND]:
        raise RowError("same-candidates", f"A and B are both {text[FIRST]}")
    # 0.15 must not pass for being below 1 − 0.85, which is a little more in binary.
    if abs(share - 0.5) <= clear - 0.5 + 1e-9:
        return "no-clear-preference"
    reference = image_below(folder, f"reference_images/{split}/{text[REFERENCE]}")
    left, right = (image_below(folder, f"distorted_images/{split}/{stem}/{text[key]}") for key in (FIRST, SECOND))
    return Triplet(name, reference, left, right, 1.0 - share, VOTES)
