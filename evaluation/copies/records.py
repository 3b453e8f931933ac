"""Records of a copy benchmark: one Parquet row per query and system, sealed by a digest, checked when read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import IntegrityError
from ...core.files import canonical_json, digest_json, sync_directory, sync_file

SCHEMA_NAME = "retr.copy-records/1"


def _field(name: str, kind: pa.DataType, meaning: str, *, optional: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=optional, metadata={"meaning": meaning})


SCHEMA = pa.schema(
    [
        _field("run", pa.string(), "id of the run"),
        _field("command", pa.string(), "command line"),
        _field("versions", pa.string(), "JSON: versions of retr, Python and the libraries that compute"),
        _field("seed", pa.int64(), "seed of the run"),
        _field("model", pa.string(), "the system: names of an index's channels joined by +, or of a hash"),
        _field("model_digest", pa.string(), "its digests, joined by +"),
        _field("snapshot", pa.string(), "id of the index snapshot; empty for a hash"),
        _field("policy_digest", pa.string(), "digest of the decode policy"),
        _field("family", pa.string(), "edit family; none for a negative"),
        _field("geometric", pa.bool_(), "whether the edit moves content"),
        _field("parameters", pa.string(), "JSON: what was drawn for the edit"),
        _field("query", pa.string(), "path of the file that was edited; SHARD/MEMBER in a tar shard"),
        _field("item", pa.string(), "SHA-256 of its decoded pixels, which name the true item"),
        _field("query_sha256", pa.string(), "digest of the pixels that were looked up"),
        _field("width", pa.int32(), "of the query as looked up, in pixels"),
        _field("height", pa.int32(), "of the query as looked up, in pixels"),
        _field("first", pa.string(), "the first item, by SHA-256 of its pixels; null for a flat query", optional=True),
        _field("first_path", pa.string(), "file of its best row", optional=True),
        _field("view", pa.string(), "stored view of that row", optional=True),
        _field("channel", pa.string(), "channel of that row", optional=True),
        _field(
            "rank", pa.int32(), "1 where the true item is first; null where it is not, or for a negative", optional=True
        ),
        _field("confidence", pa.float64(), "score of the first item, comparable between queries", optional=True),
        _field(
            "accepted",
            pa.bool_(),
            "verdict copy, of the first item or for a negative of any; null without thresholds",
            optional=True,
        ),
        _field("radius_top1", pa.float64(), "certified l2 radius of the first place; null if withheld", optional=True),
        _field("rmse_top1", pa.float64(), "the same in RMSE levels, rounded down", optional=True),
        _field("radius_verdict", pa.float64(), "certified l2 radius of the verdict; null if withheld", optional=True),
        _field("rmse_verdict", pa.float64(), "the same in RMSE levels, rounded down", optional=True),
        _field("withheld", pa.string(), "why there is no certificate", optional=True),
        _field("checked", pa.bool_(), "recomputed by brute force: the claims hold; null if not drawn", optional=True),
        _field("seconds", pa.float64(), "embedding and search, its share of the batch"),
    ]
)
"""Columns of a record; ``SCHEMA.field(name).metadata[b"meaning"]`` says what each one is."""


@dataclass(frozen=True)
class CopyRecords:
    """Records and what they were made with.

    Attributes:
        table: see :data:`SCHEMA`.
        facts: ``plan`` (what was asked), ``systems`` (what each stores, its thresholds), ``negatives`` and
            ``skipped`` (counts).
    """

    table: pa.Table
    facts: Mapping[str, Any]


def write_copy_records(path: Path, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> CopyRecords:
    """Write a whole run's records with a digest over rows and facts; the file appears whole or not at all."""
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA)
    body = canonical_json(dict(facts)).decode()
    seal = {"schema": SCHEMA_NAME, "facts": body, "sha256": _digest(table, body)}
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(seal), part, compression="zstd")
    sync_file(part)
    part.replace(path)
    sync_directory(path.parent)
    return CopyRecords(table, json.loads(body))


def read_copy_records(path: Path) -> CopyRecords:
    """Read records that are as they were written, and agree with themselves.

    Raises:
        IntegrityError: the file is unreadable, holds something else, was changed, or contradicts itself.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} cannot be read as records: {error}") from error
    metadata = table.schema.metadata or {}
    if metadata.get(b"schema") != SCHEMA_NAME.encode():
        raise IntegrityError(f"{path} does not hold {SCHEMA_NAME}")
    facts = metadata.get(b"facts", b"").decode()
    if metadata.get(b"sha256", b"").decode() != _digest(table, facts):
        raise IntegrityError(f"{path} was changed after it was written: its rows do not match their SHA-256")
    check_table(table)
    return CopyRecords(table, json.loads(facts))


def _digest(table: pa.Table, facts: str) -> str:
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return digest_json({"facts": facts, "columns": columns})


def check_table(table: pa.Table) -> None:
    """Refuse records that contradict themselves: no correct run writes such.

    Raises:
        IntegrityError: naming the first such row and what is wrong with it.
    """
    if table.schema.names != SCHEMA.names:
        raise IntegrityError(f"not the columns of {SCHEMA_NAME}: {sorted(set(table.schema.names) ^ set(SCHEMA.names))}")
    columns = {name: table[name].to_pylist() for name in SCHEMA.names}
    for row in range(table.num_rows):
        why = _contradiction({name: column[row] for name, column in columns.items()})
        if why:
            raise IntegrityError(f"record {row} contradicts itself: {why}")


def _contradiction(row: Mapping[str, Any]) -> str | None:
    found = row["family"] != "none" and row["first"] is not None and row["first"] == row["item"]
    if (row["rank"] == 1) != found:
        return f"rank {row['rank']}, and the first item is {'the' if found else 'not the'} true one"
    for kind in ("top1", "verdict"):
        why = _wrong_radius(row[f"radius_{kind}"], row[f"rmse_{kind}"], 3 * row["width"] * row["height"])
        if why:
            return f"radius_{kind} {why}"
    if row["withheld"] is not None and (row["radius_top1"] is not None or row["radius_verdict"] is not None):
        return f"a radius where the certificate is withheld ({row['withheld']})"
    if row["accepted"] is None and row["radius_verdict"] is not None:
        return "a verdict's radius without a verdict"
    return None


def _wrong_radius(l2: float | None, rmse: float | None, values: int) -> str | None:
    if l2 is None or rmse is None:
        return None if l2 is rmse else "is given in one unit only"
    if not (np.isfinite(l2) and 0.0 <= l2 <= np.sqrt(values) * (1.0 + 1e-12)):
        return f"of {l2:.6g} px: no two images of {values} values are farther apart than {np.sqrt(values):.6g}"
    in_levels = 255.0 * l2 / np.sqrt(values)
    return None if abs(in_levels - rmse) <= 1e-9 * max(1.0, in_levels) else f"is {in_levels:.6g} RMSE, not {rmse:.6g}"
