"""Answers on standard output: JSON, JSON lines, CSV or Parquet; tables are drawn by the other modules here.

All four are UTF-8 whatever the locale is. CSV and Parquet hold scalars only: see :func:`flatten`.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.names import shown

Columns = Mapping[str, type]
"""Names and types (str, int, float, bool) of the columns of CSV and Parquet, in order."""

_TYPES: Mapping[type, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_KINDS = ((pa.types.is_integer, int), (pa.types.is_floating, float), (pa.types.is_boolean, bool))
_LONE = re.compile("[\ud800-\udfff]")
_OBEYED = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def columns_of(schema: pa.Schema) -> Columns:
    """The columns of a table of scalars; what is no number and no truth value is text."""
    return {field.name: next((kind for fits, kind in _KINDS if fits(field.type)), str) for field in schema}


def emit(records: Iterable[Mapping[str, Any]], form: str, *, one: bool = False, columns: Columns | None = None) -> None:
    """Write records to standard output.

    Args:
        records: JSON-like mappings; read one by one, and what was read is written even if the rest fails.
        form: json (an array, or the object itself with ``one``), jsonl, csv or parquet.
        one: there is exactly one record.
        columns: of csv and parquet, if they are known beforehand; else the union of all keys, which ends the streaming.
    """
    if form == "jsonl":
        for record in records:
            _write(to_json(record) + "\n")
    elif form == "json":
        for part in _json_parts(records, one=one):
            _write(part)
    elif form == "csv":
        for part in _csv_parts(map(flatten, records), columns):
            _write(part)
    else:
        _emit_parquet(records, columns)


def _emit_parquet(records: Iterable[Mapping[str, Any]], columns: Columns | None) -> None:
    rows: list[dict[str, Any]] = []
    try:
        for record in records:
            rows.append(flatten(record))
    except BaseException:
        if rows:
            _write(to_parquet(rows, columns))
        raise
    _write(to_parquet(rows, columns))


def _write(text: str | bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(text if isinstance(text, bytes) else text.encode())
    sys.stdout.buffer.flush()


def to_json(record: Mapping[str, Any], *, indent: int | None = None) -> str:
    r"""JSON that is valid UTF-8 and moves no terminal: control characters are escaped as JSON does it.

    Half a surrogate pair, which is how Python keeps a byte of a file name that is not UTF-8, is no text at all and
    becomes four characters, ``\xff``.
    """
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=indent)
    text = _LONE.sub(lambda half: shown(half[0]).replace("\\", "\\\\"), text)
    return _OBEYED.sub(lambda char: f"\\u{ord(char[0]):04x}", text)


def _json_parts(records: Iterable[Mapping[str, Any]], *, one: bool) -> Iterator[str]:
    """An array, element by element; it is closed even where the next record fails."""
    if one:
        yield from (to_json(record, indent=2) + "\n" for record in records)
        return
    begun = False
    try:
        for record in records:
            text = to_json(record, indent=2).replace("\n", "\n  ")
            yield f",\n  {text}" if begun else f"[\n  {text}"
            begun = True
    except GeneratorExit:  # the reader has left: nothing more can be written
        raise
    except BaseException:
        if begun:
            yield "\n]\n"
        raise
    yield "\n]\n" if begun else "[]\n"


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A record as one row of scalars.

    Nested objects become dotted columns (``seconds.embed``), lists of objects are numbered from 0
    (``channels.0.name``), lists of scalars are joined by ``"; "``, and an empty list is empty.
    """
    flat: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        elif isinstance(value, list | tuple):
            flat.update(_flat_list(name, value))
        else:
            flat[name] = _LONE.sub(lambda half: shown(half[0]), value) if isinstance(value, str) else value
    return flat


def _flat_list(name: str, values: Sequence[Any]) -> dict[str, Any]:
    if any(isinstance(value, Mapping | list | tuple) for value in values):
        return flatten({str(number): value for number, value in enumerate(values)}, f"{name}.")
    return flatten({name: "; ".join("" if value is None else str(value) for value in values) if values else None})


def _csv_parts(rows: Iterable[dict[str, Any]], columns: Columns | None) -> Iterator[str]:
    if columns is None:
        rows = list(rows)
        header = _keys(rows)
    else:
        header = list(columns)
    titles = _csv_lines([], header, titles=True)
    for row in rows:  # nothing is written before there is something to say
        yield titles + _csv_lines([{key: row[key] for key in row if columns or key in header}], header)
        titles = ""
    yield titles


def _csv_lines(rows: list[dict[str, Any]], header: list[str], *, titles: bool = False) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=header, lineterminator="\n")
    if titles:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_parquet(rows: list[dict[str, Any]], columns: Columns | None = None) -> bytes:
    """Parquet with one column for each key of any row, or with those that are declared, at their types."""
    if columns is not None:
        schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
        table = pa.Table.from_pylist(rows, schema)
    else:
        table = pa.table({key: [row.get(key) for row in rows] for key in _keys(rows)})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every key, but for those that stand for an object or a list which is empty here and has columns elsewhere."""
    keys = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    parents = {key[:at] for key in keys for at, char in enumerate(key) if char == "."}
    return [key for key in keys if key not in parents or any(row.get(key) is not None for row in rows)]
