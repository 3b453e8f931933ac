"""Answers on standard output: JSON, JSON lines, CSV or Parquet; tables are drawn by the other modules here."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import UsageError

Format = Literal["table", "json", "jsonl", "csv", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)


def check_format(name: str) -> Format:
    """Validate a ``--format`` word.

    Raises:
        UsageError: for another word, naming the choices.
    """
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}; choose {', '.join(FORMATS)}")
    return name  # type: ignore[return-value]


def emit(records: Iterable[Mapping[str, Any]], form: Format, *, one: bool = False) -> None:
    """Write records to standard output.

    Args:
        records: JSON-like mappings.
        form: json (an array, or the object itself with ``one``), jsonl, csv or parquet.
        one: there is exactly one record.
    """
    if form == "jsonl":
        for record in records:
            print(json.dumps(record, ensure_ascii=False, allow_nan=False), flush=True)
        return
    rows = list(records)
    if form == "json":
        print(json.dumps(rows[0] if one else rows, ensure_ascii=False, allow_nan=False, indent=2))
    elif form == "csv":
        sys.stdout.write(to_csv([flatten(row) for row in rows]))
    else:
        sys.stdout.buffer.write(to_parquet([flatten(row) for row in rows]))
        sys.stdout.buffer.flush()


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects become dotted columns; lists become JSON text."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        elif isinstance(value, list | tuple):
            flat[name] = json.dumps(value, ensure_ascii=False)
        else:
            flat[name] = value
    return flat


def to_csv(rows: list[dict[str, Any]]) -> str:
    """CSV with one header for the union of all keys."""
    header = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_parquet(rows: list[dict[str, Any]]) -> bytes:
    """Parquet with one column for each key of any row."""
    header = list(dict.fromkeys(key for row in rows for key in row))
    table = pa.table({key: [row.get(key) for row in rows] for key in header})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
