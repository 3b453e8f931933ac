"""The view and the path of each row of a segment: what a proof about views or conditions is checked against.

The catalog says the same in Parquet, which whoever checks a proof cannot read with a few lines. The file is JSON,
compressed with zlib: ``views`` are names, ``items`` are pairs of a path and the numbers of the views of its rows, in
row order.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from itertools import groupby

from ..core.files import canonical_json
from .row_keys import FILE as KEYS

FILE = "row-names.bin"
"""Its name in the folder of a segment."""
FORMAT = "retr.row-names/1"
PLAIN = frozenset({KEYS, FILE})
"""The files of a segment that repeat some of its catalog for whoever checks a proof."""


def row_names(views: Sequence[str], paths: Sequence[str]) -> bytes:
    """The content of the file.

    Args:
        views: (rows,) the name of each row's view, in row order.
        paths: (rows,) its path, as in the catalog.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(views))}
    runs = groupby(zip(paths, views, strict=True), key=lambda row: row[0])
    items = [[path, [numbers[view] for _, view in rows]] for path, rows in runs]
    return zlib.compress(canonical_json({"format": FORMAT, "views": list(numbers), "items": items}))


def is_plain(files: Collection[str]) -> bool:
    """Whether a segment with these files has all that proofs are checked against; those of older versions lack some."""
    return set(files) >= PLAIN
