"""Records: the one format of every audit. A common block, then an audit's own columns; sealed, checked, brought up.

One Parquet row stands for one image that a system answered: a query as it is, or an adversarial image. The common block
says which run, system and query it was, what was done to it, how far it moved, and what that cost; an audit adds what
it asks. ``facts`` are what all rows share: what was asked, and what was left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import IntegrityError
from ...core.files import canonical_json, sync_directory, sync_file

SCHEMA_NAME = "retr.records/3"
CLEAN = "clean"
"""Goal and attack of the row without any attack."""

Row = dict[str, Any]


def column(name: str, kind: pa.DataType, meaning: str, *, optional: bool = False) -> pa.Field:
    """One column of a record, and what it means."""
    return pa.field(name, kind, nullable=optional, metadata={"meaning": meaning})


_WORD, _NUMBER, _COUNT, _FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()

COMMON = (
    column("run", _WORD, "id of the run"),
    column("command", _WORD, "command line"),
    column("versions", _WORD, "JSON: versions of retr, Python and the libraries that compute"),
    column("seed", _COUNT, "seed of the run"),
    column("system", _WORD, "what answered: an index, an embedder, a hash or a metric, by its name in the tables"),
    column("model", _WORD, "names of its models, joined by +"),
    column("model_digest", _WORD, "their digests, joined by +"),
    column("snapshot", _WORD, "id of the index snapshot; empty where there is none; for a hash, digest of its gallery"),
    column("policy_digest", _WORD, "digest of the decode policy"),
    column("query", _WORD, "path of the query or of the item it was made from, or name of the triplet"),
    column("query_sha256", _WORD, "digest of the pixels that were looked up or attacked", optional=True),
    column("width", pa.int32(), "of the query as looked up, in pixels", optional=True),
    column("height", pa.int32(), "of the query as looked up, in pixels", optional=True),
    column("edit", _WORD, "benign edit applied first; identity for none"),
    column("goal", _WORD, "what the attack is after; clean for the row without"),
    column("attack", _WORD, "name of the attack; clean for the row without"),
    column("source", _WORD, "system the attack was made on, if another (a transfer)", optional=True),
    column("norm", _WORD, "what bounds the attack: l2, linf, l0 (pixels) or none"),
    column("eps", _NUMBER, "its bound in that norm, pixels in [0, 1], l0 in pixels; null for none", optional=True),
    column("steps", _COUNT, "gradient steps per start; evaluations of the loss where no gradient is seen"),
    column("medium", _WORD, "float or png: which saved image was judged"),
    column("l2", _NUMBER, "realised norm of the saved image's change, rounded up; the largest of several images"),
    column("linf", _NUMBER, "realised largest change of a value"),
    column("rmse", _NUMBER, "realised root mean square change, in 8-bit levels"),
    column("psnr", _NUMBER, "realised PSNR in dB; null for an unchanged image", optional=True),
    column("changed_001", _NUMBER, "share of pixels changed by more than 0.001 on the scale from -1 to 1"),
    column("changed_01", _NUMBER, "the same for 0.01"),
    column("changed_03", _NUMBER, "the same for 0.03"),
    column("alarm", _FLAG, "something certified changed inside its radius"),
    column("weak", _WORD, "zero-gradient, flat-loss, joined by +: why the attack may be weak", optional=True),
    column("seconds", _NUMBER, "what the answer, or the attack's share of its batch, took"),
    column("forwards", _COUNT, "evaluations of the attack's loss"),
    column("gradients", _COUNT, "evaluations of its gradient"),
    column("image", _WORD, "the saved image, relative to the records; null if not kept", optional=True),
)
"""What every audit records; ``field.metadata[b"meaning"]`` says what each column is."""

NO_ATTACK: Mapping[str, Any] = {
    **dict.fromkeys(("goal", "attack"), CLEAN),
    **dict.fromkeys(("source", "psnr", "weak", "image")),
    **dict.fromkeys(("eps", "l2", "linf", "rmse", "changed_001", "changed_01", "changed_03", "seconds"), 0.0),
    **dict.fromkeys(("steps", "forwards", "gradients"), 0),
    "norm": "none",
    "medium": "float",
    "alarm": False,
}
"""The common columns of a query as it is."""

Facts = Mapping[str, Any]
Older = Callable[[pa.Table, Facts], tuple[pa.Table, Facts]]


@dataclass(frozen=True)
class Records:
    """Records and what they were made with.

    Attributes:
        table: see :data:`COMMON` and the audit's own columns.
        facts: JSON values: ``plan`` (what was asked), and what the audit says of all rows.
    """

    table: pa.Table
    facts: Facts


@dataclass(frozen=True)
class RecordFormat:
    """The records of one audit.

    Attributes:
        audit: its name in the file.
        own: its columns, after the common block.
        contradiction: why a table contradicts itself, with the row; None where it does not.
        older: how files of older formats become this one, by the name of their schema.
        later: optional columns that earlier files of this format do not have: they knew nothing of what these say.
    """

    audit: str
    own: tuple[pa.Field, ...]
    contradiction: Callable[[pa.Table], str | None] = lambda _: None
    older: Mapping[str, Older] = field(default_factory=dict)
    later: tuple[str, ...] = ()

    @cached_property
    def schema(self) -> pa.Schema:
        """All columns, without metadata of a file."""
        return pa.schema([*COMMON, *self.own])

    def table(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Rows, one mapping each, with every column of the schema and no other."""
        names = set(self.schema.names)
        for row in rows:
            if row.keys() != names:
                raise AssertionError(f"not the record schema: {sorted(row.keys() ^ names)}")
        return pa.Table.from_pylist([dict(row) for row in rows], schema=self.schema)

    def write(self, path: Path, table: pa.Table, facts: Facts) -> Records:
        """Write a whole run's records, with a digest over rows and facts; the file appears whole or not at all."""
        body = canonical_json(dict(facts)).decode()
        seal = {"schema": SCHEMA_NAME, "audit": self.audit, "facts": body, "sha256": _digest(table, body)}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, table.replace_schema_metadata(seal))
        return Records(table.replace_schema_metadata(None), json.loads(body))

    def read(self, path: Path) -> Records:
        """Read records that are as they were written, and agree with themselves; older ones are brought up.

        Raises:
            IntegrityError: the file is unreadable, holds something else, was changed, or contradicts itself.
        """
        table = _read_table(path)
        metadata = table.schema.metadata or {}
        schema, audit = (metadata.get(name, b"").decode() for name in (b"schema", b"audit"))
        facts = _facts(path, metadata)
        if schema in self.older:
            table, facts = self.older[schema](table, facts)
            table = self._filled(table)
            table = table.select(self.schema.names).cast(self.schema)
        elif (schema, audit) != (SCHEMA_NAME, self.audit):
            held = f"{schema} of {audit or 'no audit'}" if schema else "no records"
            raise IntegrityError(f"{path} holds {held}, not {SCHEMA_NAME} of {self.audit}")
        elif metadata.get(b"sha256", b"").decode() != _digest(table, metadata[b"facts"].decode()):
            raise IntegrityError(f"{path} was changed after it was written: its rows do not match their SHA-256")
        else:
            table = self._filled(table)
        self.check(table)
        return Records(table.replace_schema_metadata(None), facts)

    def _filled(self, table: pa.Table) -> pa.Table:
        """With the later columns, in their places."""
        missing = [name for name in self.later if name not in table.column_names]
        for name in missing:
            table = table.append_column(name, pa.nulls(table.num_rows, self.schema.field(name).type))
        known = set(table.column_names) == set(self.schema.names)
        return table.select(self.schema.names).cast(self.schema) if missing and known else table

    def check(self, table: pa.Table) -> None:
        """Refuse records that no correct run writes.

        Raises:
            IntegrityError: other columns, or the first row that contradicts itself and what is wrong with it.
        """
        if not table.schema.equals(self.schema):
            wrong = set(table.schema) ^ set(self.schema)
            names = sorted({one.name for one in wrong}) or "their order"
            raise IntegrityError(f"not the columns of {SCHEMA_NAME} of {self.audit}: {names}")
        why = self.contradiction(table)
        if why is not None:
            raise IntegrityError(f"record {why}")


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file that is there whole, or not at all: after a kill there is only a ``.part`` beside it."""
    part = path.with_name(path.name + ".part")
    pq.write_table(table, part, compression="zstd")
    sync_file(part)
    part.replace(path)
    sync_directory(path.parent)


def first_contradiction(wrong: Mapping[str, npt.NDArray[np.bool_]]) -> str | None:
    """The first row that some check finds wrong, and why; None where there is none."""
    found = [(int(rows.argmax()), why) for why, rows in wrong.items() if rows.any()]
    place, why = min(found, key=lambda one: one[0], default=(0, ""))
    return f"{place} contradicts itself: {why}" if found else None


def filled(table: pa.Table, values: Mapping[str, Any]) -> pa.Table:
    """A table of an older format with these columns added, each with one value for all rows, or replaced."""
    for name, value in values.items():
        kind = next((one.type for one in COMMON if one.name == name), None)
        array = value if isinstance(value, pa.ChunkedArray | pa.Array) else pa.array([value] * table.num_rows, kind)
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, array)
        else:
            table = table.append_column(name, array)
    return table


def _read_table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} cannot be read as records: {error}") from error


def _facts(path: Path, metadata: Mapping[bytes, bytes]) -> Facts:
    try:
        return json.loads(metadata.get(b"facts", b"{}"))
    except ValueError as error:
        raise IntegrityError(f"{path} cannot be read as records: {error}") from error


def _digest(table: pa.Table, facts: str) -> str:
    """SHA-256 of what the table says, whatever the version that wrote it and however it is cut into pieces."""
    found = hashlib.sha256(canonical_json([facts, [[one.name, str(one.type)] for one in table.schema]]))
    for name in table.column_names:
        for part in _content(table[name].combine_chunks()):
            found.update(part)
    return found.hexdigest()


def _content(values: pa.Array | pa.ChunkedArray) -> tuple[bytes, bytes]:
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    if pa.types.is_string(values.type):
        words = values.dictionary_encode()
        codes = words.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype("<i8")
        return canonical_json(words.dictionary.to_pylist()), codes.tobytes()
    there = np.packbits(values.is_valid().to_numpy(zero_copy_only=False)).tobytes()
    blank = False if pa.types.is_boolean(values.type) else 0
    numbers = values.fill_null(blank).to_numpy(zero_copy_only=False)
    return there, numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
