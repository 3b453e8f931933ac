"""Records of a 2AFC benchmark: one Parquet row per metric, triplet and attack setting, and one before any attack."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import IntegrityError
from ...core.files import canonical_json, sync_directory, sync_file

Array = npt.NDArray[np.float64]
SCHEMA_NAME = "retr.triplets/1"
CLEAN = "none"
"""Attack, goal, moves and norm of the row that every metric and triplet has, before any attack."""


def _field(name: str, kind: pa.DataType, meaning: str, *, optional: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=optional, metadata={"meaning": meaning})


SCHEMA = pa.schema(
    [
        _field("metric", pa.string(), "spec of the metric that judges"),
        _field("title", pa.string(), "its name in tables"),
        _field("certified", pa.bool_(), "whether its judgements can have certified radii"),
        _field("data", pa.string(), "the data set, as in --data"),
        _field("triplet", pa.string(), "name of the triplet, unique in its data set"),
        _field("group", pa.string(), "the part of the data set it belongs to, or empty"),
        _field("preference", pa.float64(), "share of people who found the right candidate nearer"),
        _field("votes", pa.int64(), "how many people judged; null if the data set does not say", optional=True),
        _field("side", pa.int64(), "of the images in pixels; the shorter one"),
        _field("attack", pa.string(), "its name in the registry of attacks, or apgd-radius; none for the row without"),
        _field("setting", pa.string(), "the attack's setting in a few words, on the paper's scale; none without"),
        _field("goal", pa.string(), "flip, reverse or embedding; none without"),
        _field("moves", pa.string(), "what is changed: reference, preferred or other (by the metric), all; none"),
        _field("source", pa.string(), "metric that the attack was made on, if another (a transfer)", optional=True),
        _field("norm", pa.string(), "what bounds the attack: l2, linf, l0 (pixels) or none"),
        _field(
            "eps",
            pa.float64(),
            "its bound, for pixels from 0 to 1, l0 in pixels; null if none, or the radius",
            optional=True,
        ),
        _field("steps", pa.int64(), "gradient steps, or evaluations of the loss where no gradient is seen"),
        _field("medium", pa.string(), "float or png: which of the two saved images the columns below speak of"),
        _field("clean_left", pa.float64(), "distance of the left candidate to the reference before the attack"),
        _field("clean_right", pa.float64(), "the same of the right one"),
        _field("left", pa.float64(), "distance of the left candidate, judged on the saved image"),
        _field("right", pa.float64(), "the same of the right one"),
        _field("agrees", pa.bool_(), "metric and most people prefer the same before the attack; false for draws"),
        _field("flipped", pa.bool_(), "the metric prefers the other candidate now"),
        _field("flipped_png", pa.bool_(), "the same for the image rounded to 8 bits"),
        _field("smallest_eps", pa.float64(), "least winning size, of attacks that look for it", optional=True),
        _field("l2", pa.float64(), "realised norm of the saved image's change, rounded up; the largest of several"),
        _field("linf", pa.float64(), "realised largest change of a value"),
        _field("rmse", pa.float64(), "realised root mean square change, in 8-bit levels"),
        _field("psnr", pa.float64(), "realised PSNR in dB; null for an unchanged image", optional=True),
        _field("changed_001", pa.float64(), "share of pixels changed by more than 0.001 on the scale from -1 to 1"),
        _field("changed_01", pa.float64(), "the same for 0.01"),
        _field("changed_03", pa.float64(), "the same for 0.03"),
        _field("shift", pa.float64(), "goal embedding: how far the embedding moved, rounded down", optional=True),
        _field(
            "shift_limit",
            pa.float64(),
            "goal embedding: L times realised l2, and what float64 may add; null without L",
            optional=True,
        ),
        _field(
            "radius_sound", pa.float64(), "certified l2 radius, the reference moves; null if withheld", optional=True
        ),
        _field("radius_published", pa.float64(), "LipSim's radius, which is no certificate of ours", optional=True),
        _field("radius_all", pa.float64(), "certified l2 radius, each image moves by less; null if not", optional=True),
        _field("published_holds", pa.bool_(), "LipSim's radius is proved: |f| >= 1 on its ball", optional=True),
        _field("alarm", pa.bool_(), "a saved image inside a certified radius flips, or moves past its limit"),
        _field("weak", pa.string(), "zero-gradient, flat-loss, joined by +: why the attack may be weak", optional=True),
        _field("seconds", pa.float64(), "the attack's share of its batch, judging left out"),
        _field("gradients", pa.int64(), "evaluations of the loss's gradient"),
        _field("forwards", pa.int64(), "evaluations of the loss"),
        _field("seed", pa.int64(), "of everything random in this attack"),
        _field("image", pa.string(), "the saved image, relative to the records; null if not kept", optional=True),
    ],
    metadata={"schema": SCHEMA_NAME},
)
"""Columns of a record; ``SCHEMA.field(name).metadata[b"meaning"]`` says what each one is."""

_DISTANCES = (("clean_left", "clean_right"), ("left", "right"))
_ATTACKED_ONLY = ("shift", "shift_limit", "smallest_eps", "source", "weak", "image", "eps")


@dataclass(frozen=True)
class TripletRecords:
    """Records and what they were made with.

    Attributes:
        table: see :data:`SCHEMA`.
        facts: ``run``, ``command``, ``versions``, ``seed``, ``policy_digest``; ``plan`` (what was asked), ``metrics``,
            ``data`` (what was read, kept, skipped and rejected), ``left_out`` (attacks that a metric cannot be given,
            with the reason).
    """

    table: pa.Table
    facts: Mapping[str, Any]


def to_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows, one mapping each, with every column of the schema and no other, as a table."""
    for row in rows:
        if row.keys() != set(SCHEMA.names):
            raise AssertionError(f"not the record schema: {sorted(row.keys() ^ set(SCHEMA.names))}")
    return pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA)


@contextmanager
def write_triplet_records(path: Path, facts: Mapping[str, Any]) -> Iterator[pq.ParquetWriter]:
    """Open a records file for tables of the schema.

    It appears under its name at the end, whole: after an error or a kill there is only a ``.part`` beside it.
    """
    part = path.with_name(path.name + ".part")
    schema = SCHEMA.with_metadata({"schema": SCHEMA_NAME, "facts": canonical_json(dict(facts))})
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        yield writer
    sync_file(part)
    part.replace(path)
    sync_directory(path.parent)


def read_triplet_records(path: Path) -> TripletRecords:
    """Read records that agree with themselves.

    Raises:
        IntegrityError: the file is unreadable, holds something else, or contradicts itself.
    """
    try:
        table = pq.read_table(path)
        metadata = table.schema.metadata or {}
        if metadata.get(b"schema") != SCHEMA_NAME.encode():
            raise IntegrityError(f"{path} does not hold {SCHEMA_NAME}")
        facts = json.loads(metadata[b"facts"])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise IntegrityError(f"{path} cannot be read as records: {error}") from error
    check_table(table)
    return TripletRecords(table, facts)


def check_table(table: pa.Table) -> None:
    """Refuse records that contradict themselves: no correct run writes such.

    Raises:
        IntegrityError: naming what is wrong and the first such row.
    """
    if not table.schema.equals(SCHEMA):
        raise IntegrityError(f"not the columns of {SCHEMA_NAME}: {sorted(set(table.schema.names) ^ set(SCHEMA.names))}")
    before, after = (nearer(_numbers(table, left), _numbers(table, right)) for left, right in _DISTANCES)
    people = np.sign(_numbers(table, "preference") - 0.5)
    clean = np.asarray(table["attack"].to_pylist(), dtype=object) == CLEAN
    wrong = {
        "flipped, or not, against its distances": _flags(table, "flipped") != (before * after < 0),
        "agrees, or not, against its distances": _flags(table, "agrees") != (before * people > 0),
        "a change without an attack": clean & (_numbers(table, "l2") > 0),
        "an alarm without an attack": clean & _flags(table, "alarm"),
    }
    for name in _ATTACKED_ONLY:
        wrong[f"{name} without an attack"] = clean & table[name].is_valid().to_numpy()
    for why, rows in wrong.items():
        if rows.any():
            raise IntegrityError(f"record {int(rows.argmax())} contradicts itself: {why}")


def nearer(left: Array, right: Array) -> Array:
    """+1 where the right candidate is nearer to the reference, −1 where the left one is, 0 where neither is."""
    return np.nan_to_num(np.sign(left - right))


def _numbers(table: pa.Table, name: str) -> Array:
    return table[name].to_numpy().astype(np.float64)


def _flags(table: pa.Table, name: str) -> npt.NDArray[np.bool_]:
    return table[name].to_numpy().astype(np.bool_)
