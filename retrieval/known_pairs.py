"""What a person says of pairs of a negative and a gallery image: copies of one another, or different pictures."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UsageError
from ..indexer.addresses import absolute_text

COLUMNS = ("image", "copy_of")
RELATION = "relation"
"""How the two are related; a pair without the column is one of copies."""
SAME = ("same", "presumed", "altered", "recoloured", "")
"""Relations of pairs that are copies: by a person's word, as a review lists those that calibration left out, and by
what was done to one of them."""
DIFFERENT = ("different", "counted")
"""Relations of pairs that are no copies: by a person's word, and as a review lists those that calibration counted."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class KnownPairs:
    """Pairs of names, each the end of a path, negative first or second.

    Attributes:
        copies, different: what was said of them.
        source: the file that says so.
    """

    copies: frozenset[Pair] = frozenset()
    different: frozenset[Pair] = frozenset()
    source: str = ""

    def check_names(self, negatives: Iterable[str], stored: Iterable[str]) -> None:
        """A list that speaks of other images would be silent about these.

        Raises:
            UsageError: it names not one of the negatives and the stored paths.
        """
        pairs = self.copies | self.different
        named, lengths = {name for pair in pairs for name in pair}, _lengths(pairs)
        held = (_ends(path, lengths) for path in (*map(_absolute, negatives), *stored))
        if pairs and not any(named & ends for ends in held):
            raise UsageError(
                f"{self.source} names none of the images here, its first is {min(pairs)[0]!r}; give names as paths end"
            )

    def copies_of(self, negatives: Sequence[str], stored: Iterable[str]) -> list[int]:
        """Numbers of the negatives that have a known copy among the stored paths."""
        lengths = _lengths(self.copies)
        held = {end for path in stored for end in _ends(path, lengths)}
        both = self.copies | {(b, a) for a, b in self.copies}
        spoilt = {a for a, b in both if b in held}
        return [n for n, name in enumerate(negatives) if spoilt & _ends(_absolute(name), lengths)]

    def says_different(self, negative: str, stored: str) -> bool:
        """Whether a person says that these two are no copies."""
        lengths = _lengths(self.different)
        mine, theirs = _ends(_absolute(negative), lengths), _ends(stored, lengths)
        return any((a in mine and b in theirs) or (b in mine and a in theirs) for a, b in self.different)


def read_known_pairs(path: Path) -> KnownPairs:
    """Read a CSV file whose header names at least ``image`` and ``copy_of``, such as a review's ``pairs.csv``.

    Where it has a column ``relation``, that is a word of ``SAME`` or ``DIFFERENT``.

    Raises:
        UsageError: for a file that is not there, lacks a column, or has an empty name or another relation, with its
            line.
    """
    copies, different = set(), set()
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            for name in COLUMNS:
                if name not in (reader.fieldnames or ()):
                    raise UsageError(f"{path} needs a header with the columns {', '.join(COLUMNS)}; {name} is missing")
            for row in reader:
                is_copy = _is_copy(path, reader.line_num, row.get(RELATION) or "")
                (copies if is_copy else different).add(_pair(path, reader.line_num, row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a CSV file: {error}") from error
    return KnownPairs(frozenset(copies), frozenset(different), str(path))


def _is_copy(path: Path, line: int, word: str) -> bool:
    relation = word.strip().lower()
    if relation not in (*SAME, *DIFFERENT):  # a word that was mistyped must not take a negative away
        raise UsageError(f"{path}, line {line}: the {RELATION} is same or different, not {word.strip()!r}")
    return relation in SAME


def _pair(path: Path, line: int, row: dict[str, str | None]) -> Pair:
    image, copy_of = ((row[name] or "").strip().strip("/") for name in COLUMNS)
    if not image or not copy_of or image == copy_of:
        raise UsageError(f"{path}, line {line}: two different names are needed, got {image!r} and {copy_of!r}")
    return image, copy_of


def _absolute(path: str) -> str:
    return absolute_text(path)


def _lengths(pairs: Iterable[Pair]) -> frozenset[int]:
    return frozenset(name.count("/") + 1 for pair in pairs for name in pair)


def _ends(path: str, lengths: Iterable[int]) -> set[str]:
    """The last so many parts of a path."""
    parts = path.strip("/").split("/")
    return {"/".join(parts[-length:]) for length in lengths if length <= len(parts)}
