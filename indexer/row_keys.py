"""Which item each row of a segment is of, in plain bytes: what a proof is checked against without reading Parquet.

One line of 40 bytes a row, in row order: the row's id in the catalog (8 bytes), then the SHA-256 of its pixels (32).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FILE = "row-keys.bin"
"""Its name in the folder of a segment."""
WIDTH = 40
"""Bytes a row."""


def row_keys(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The content of the file.

    Args:
        rows: catalog rows, in row order.
    """
    return b"".join(bytes.fromhex(row["id"] + row["pixels_sha256"]) for row in rows)
