"""Records: the one Parquet schema that every audit writes, and every report reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import IntegrityError
from ...core.files import sync_directory, sync_file

SCHEMA_NAME = "retr.records/2"


def _field(name: str, kind: pa.DataType, meaning: str, *, optional: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=optional, metadata={"meaning": meaning})


SCHEMA = pa.schema(
    [
        _field("run", pa.string(), "id of the run"),
        _field("command", pa.string(), "command line"),
        _field("versions", pa.string(), "JSON: versions of retr, Python and the libraries that compute"),
        _field("seed", pa.int64(), "seed of the run"),
        _field("system", pa.string(), "the system that answered, by the name it has in --systems"),
        _field("system_kind", pa.string(), "index, embedder (indexed for this audit) or hash"),
        _field("model", pa.string(), "names of the channels' models, or of the hash"),
        _field("model_digest", pa.string(), "their digests, joined by +"),
        _field("snapshot", pa.string(), "id of the index snapshot; for a hash, digest of its gallery"),
        _field("policy_digest", pa.string(), "digest of the decode policy"),
        _field("query", pa.string(), "path of the query, or of the item it was made from"),
        _field("query_sha256", pa.string(), "digest of the decoded pixels that were attacked"),
        _field("stranger", pa.bool_(), "known to be a copy of nothing: part of no recall, and not-a-copy is right"),
        _field("edit", pa.string(), "benign edit applied first; identity for none"),
        _field("geometric", pa.bool_(), "whether that edit moves things"),
        _field("width", pa.int32(), "of the attacked query, in pixels"),
        _field("height", pa.int32(), "of the attacked query, in pixels"),
        _field(
            "goal", pa.string(), "evasion, rank10, verdict, collision or embedding; clean for the row without attack"
        ),
        _field("attack", pa.string(), "name of the attack; clean for the row without"),
        _field("sees", pa.string(), "what the attack was shown of the loss: gradient, score or decision; none without"),
        _field("source", pa.string(), "system the attack was made on, if another (a transfer)", optional=True),
        _field(
            "minimal", pa.bool_(), "the attack looks for the smallest winning change: run once, at the largest budget"
        ),
        _field("norm", pa.string(), "what bounds the attack: l2, linf, l0 (pixels) or none; none for the row without"),
        _field("budget", pa.float64(), "as asked for, in unit"),
        _field("unit", pa.string(), "rmse, l2, psnr, or radius: multiples of the query's own certified radius"),
        _field("eps", pa.float64(), "the budget in the attack's norm: pixels in [0, 1], for l0 a number of pixels"),
        _field("steps", pa.int32(), "gradient steps per start; evaluations of the loss where no gradient is seen"),
        _field("restarts", pa.int32(), "random starts"),
        _field("medium", pa.string(), "float or png: which saved image was judged"),
        _field("l2", pa.float64(), "realised norm of the saved image's change, rounded up"),
        _field("linf", pa.float64(), "realised largest change of a value"),
        _field("rmse", pa.float64(), "realised root mean square change, in 8-bit levels"),
        _field("psnr", pa.float64(), "realised PSNR in dB; null for an unchanged image", optional=True),
        _field("changed_001", pa.float64(), "share of pixels changed by more than 0.001 on the scale from -1 to 1"),
        _field("changed_01", pa.float64(), "the same for 0.01"),
        _field("changed_03", pa.float64(), "the same for 0.03"),
        _field("at_edge", pa.float64(), "share of the saved image's values that are 0 or 1: at the pixel box"),
        _field("clean_item", pa.string(), "id of the first item for the query before the attack", optional=True),
        _field("clean_first", pa.bool_(), "a true item is first before the attack"),
        _field("clean_top10", pa.bool_(), "a true item is in the first ten before the attack"),
        _field("clean_verdict", pa.string(), "verdict of the query before the attack", optional=True),
        _field("attacked_item", pa.string(), "id of the first item for the saved image", optional=True),
        _field("attacked_first", pa.bool_(), "a true item is first for the saved image"),
        _field("attacked_top10", pa.bool_(), "a true item is in the first ten for the saved image"),
        _field("attacked_verdict", pa.string(), "verdict of the saved image", optional=True),
        _field("embedding_shift", pa.float64(), "goal embedding: how far the embedding moved", optional=True),
        _field("embedding_limit", pa.float64(), "goal embedding: L times realised l2; null without L", optional=True),
        _field("radius_top1", pa.float64(), "certified l2 radius of the first place; null if withheld", optional=True),
        _field("radius_top10", pa.float64(), "certified l2 radius of a place in the first ten", optional=True),
        _field("radius_verdict", pa.float64(), "certified l2 radius of the verdict; null if none", optional=True),
        _field("within_top1", pa.bool_(), "a top-1 certificate was attacked: realised l2 < radius_top1"),
        _field("within_top10", pa.bool_(), "a top-10 certificate was attacked: realised l2 < radius_top10"),
        _field("within_verdict", pa.bool_(), "a verdict certificate was attacked: realised l2 < radius_verdict"),
        _field("claimed", pa.bool_(), "the attack's own word on its success"),
        _field("success", pa.bool_(), "the goal was reached, judged on the saved image"),
        _field("alarm", pa.bool_(), "something certified changed inside its radius"),
        _field("alarm_kind", pa.string(), "top1, topk, verdict, lipschitz, joined by +; null without", optional=True),
        _field("first_loss", pa.float64(), "loss of the first point that the attack evaluated", optional=True),
        _field("best_loss", pa.float64(), "loss of the point that it returned", optional=True),
        _field("zero_gradients", pa.float64(), "share of gradients that were exactly zero", optional=True),
        _field("restart", pa.int32(), "number of the start that gave the image, from 0", optional=True),
        _field("weak", pa.string(), "zero-gradient, flat-loss, joined by +: why the attack may be weak", optional=True),
        _field("seconds", pa.float64(), "the attack's share of its batch, judging left out"),
        _field("forwards", pa.int64(), "evaluations of the loss"),
        _field("gradients", pa.int64(), "evaluations of its gradient"),
        _field("image", pa.string(), "the saved image, relative to the records; null if not kept", optional=True),
        _field("clean_image", pa.string(), "the query before the attack, saved beside it; null if not", optional=True),
    ],
    metadata={"schema": SCHEMA_NAME},
)
"""Columns of a record; ``SCHEMA.field(name).metadata[b"meaning"]`` says what each one is."""


class RecordWriter:
    """Appends records to an open file; see :func:`write_records`."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self.count = 0

    def add(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write a batch of records."""
        if records:
            self.add_table(to_table(records))

    def add_table(self, table: pa.Table) -> None:
        """Write a batch of records that is a table."""
        self._writer.write_table(table.replace_schema_metadata(SCHEMA.metadata))
        self.count += table.num_rows


def to_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Records, one mapping each, with every column of the schema and no other, as a table."""
    for record in records:
        if record.keys() != set(SCHEMA.names):
            raise AssertionError(f"not the record schema: {sorted(record.keys() ^ set(SCHEMA.names))}")
    return pa.Table.from_pylist([dict(record) for record in records], schema=SCHEMA)


@contextmanager
def write_records(path: Path) -> Iterator[RecordWriter]:
    """Open a records file for writing in batches.

    The file appears under its name at the end, whole: after an error or a kill there is only a ``.part`` beside it,
    which no report reads.
    """
    part = path.with_name(path.name + ".part")
    with pq.ParquetWriter(part, SCHEMA, compression="zstd") as writer:
        yield RecordWriter(writer)
    sync_file(part)
    part.replace(path)
    sync_directory(path.parent)


def read_records(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read records, all columns or some.

    Raises:
        IntegrityError: the file is unreadable, or holds something else.
    """
    try:
        schema = pq.read_schema(path)
        if (schema.metadata or {}).get(b"schema") != SCHEMA_NAME.encode():
            raise IntegrityError(f"{path} does not hold {SCHEMA_NAME}")
        return pq.read_table(path, columns=list(columns) if columns else None)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} cannot be read as records: {error}") from error
