"""Pairs of images that people know to be copies: a negative with a copy in the gallery is no negative.

Collections that were gathered from the web hold the same picture twice, flipped, cropped or stamped. An index that says
so is right, and counting its answer as a false match would set the threshold by the quality of the labels. The list is
made by looking at pictures, never by the index under test.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import UsageError
from ...indexer.addresses import MEMBER
from ...indexer.entries import Entry

COLUMNS = ("image", "copy_of")
"""Of the CSV file; further ones, such as how the two are related, are for people."""


@dataclass(frozen=True)
class KnownCopies:
    """Pairs of names, each the end of a path: ``distractors/000.tar/000049.jpg`` names any file whose path ends so.

    Attributes:
        source: the file, for messages.
        pairs: unordered.
    """

    source: Path
    pairs: tuple[tuple[str, str], ...]

    def without(self, negatives: Sequence[Entry], stored: Iterable[Entry]) -> tuple[tuple[Entry, ...], int]:
        """The negatives that have no known copy among what is stored, and how many had one.

        Raises:
            UsageError: if not one of the names is that of an image here: the list belongs to other images.
        """
        lengths = {name.count("/") + 1 for pair in self.pairs for name in pair}
        held, absent = _endings(stored, lengths), _endings(negatives, lengths)
        if self.pairs and not any(name in held or name in absent for pair in self.pairs for name in pair):
            raise UsageError(
                f"{self.source} names none of the images here, the first is {self.pairs[0][0]}; give names as their "
                "paths end, for a shard SHARD.tar/MEMBER"
            )
        both = [*self.pairs, *((b, a) for a, b in self.pairs)]
        spoilt = {a for a, b in both if a in absent and b in held}
        kept = tuple(entry for entry in negatives if not spoilt & _endings([entry], lengths))
        return kept, len(negatives) - len(kept)


def read_known_copies(path: Path) -> KnownCopies:
    """Read a CSV file with a header that names at least ``image`` and ``copy_of``.

    Raises:
        UsageError: for a file that is not there, lacks a column, or has an empty name, with its line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            reader = csv.DictReader(handle)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(
                    f"{path} needs a header with the columns {', '.join(COLUMNS)}; {missing[0]} is missing"
                )
            return KnownCopies(path, tuple(_pair(path, reader.line_num, row) for row in reader))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a CSV file: {error}") from error


def _pair(path: Path, line: int, row: dict[str, str | None]) -> tuple[str, str]:
    image, copy_of = ((row[name] or "").strip().strip("/") for name in COLUMNS)
    if not image or not copy_of or image == copy_of:
        raise UsageError(f"{path}, line {line}: two different names are needed, got {image!r} and {copy_of!r}")
    return image, copy_of


def _endings(entries: Iterable[Entry], lengths: set[int]) -> set[str]:
    """The last so many parts of every path."""
    parts = (entry.name.replace(MEMBER, "/").split("/") for entry in entries)
    return {"/".join(one[-length:]) for one in parts for length in lengths if len(one) >= length}
