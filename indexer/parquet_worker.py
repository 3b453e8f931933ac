"""Reads Parquet files in a process of its own: what a stranger's file does to the library it does to that process.

python -m retr.indexer.parquet_worker; one request, one answer, in the messages of ``images.isolated``.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..images.isolated import receive, send
from ..images.isolated_worker import clock, limit_resources
from .places import opened

NAMES = frozenset({"image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp"})
"""Columns of bytes that hold images."""
_ERRORS = (pa.ArrowException, OSError, ValueError, KeyError, IndexError, MemoryError, TypeError)


def listed(archive: str) -> dict[str, Any]:
    """The columns of images (place, name), all names, and the rows and bytes of each row group."""
    with opened(archive) as file, pq.ParquetFile(file) as table:
        schema, facts = table.schema_arrow, table.metadata
        groups = [facts.row_group(number) for number in range(table.num_row_groups)]
        return {
            "columns": [[place, field.name] for place, field in enumerate(schema) if _holds_images(field)],
            "names": [str(name)[:100] for name in schema.names[:20]],
            "groups": [[group.num_rows, group.total_byte_size] for group in groups],
        }


def _holds_images(field: pa.Field) -> bool:
    kind = field.type
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_bytes(kind.field(place).type)
    return _is_bytes(kind) and field.name.lower() in NAMES


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def rows(archive: str, column: int, first: int, last: int) -> list[bytes | None]:
    """The images of some row groups, None for rows that hold none."""
    with opened(archive) as file, pq.ParquetFile(file) as table:
        name = table.schema_arrow.field(column).name
        cells = table.read_row_groups(range(first, last + 1), columns=[name], use_threads=False).column(0)
        if pa.types.is_struct(cells.type):
            cells = cells.flatten()[cells.type.get_field_index("bytes")]
        return cells.to_pylist()


def main() -> None:
    """Answer the one request."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    asked, _ = receive(sys.stdin.buffer, most=(2**20, 0))
    limit_resources(int(asked["memory"]))
    clock(float(asked["seconds"]))
    try:
        if asked["do"] == "list":
            send(answers, listed(asked["archive"]), b"")
            return
        found = rows(asked["archive"], asked["column"], asked["first"], asked["last"])
    except _ERRORS as error:
        send(answers, {"error": (str(error) or type(error).__name__)[:500]}, b"")
        return
    sizes = [-1 if one is None else len(one) for one in found]
    send(answers, {"sizes": sizes}, b"".join(one for one in found if one is not None))


if __name__ == "__main__":
    main()
