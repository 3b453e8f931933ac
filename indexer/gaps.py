"""Gaps: how far each stored row is from the nearest unrelated picture. A row accepts queries within a share of its gap.

A look-alike is a false match most often where pictures of its kind lie close together: pages, forms, daisies, towns
from the air. The gap says how close: it is the angle (for a Euclidean channel the distance) from a row to the nearest
of

* the vectors of a *reference set* (``indexer.reference``), pictures of many kinds that are nobody's;
* the unedited rows of the gallery's other items;

and no larger than the set's ``farthest``: one lonely row would make every query look for matches very far out.

Galleries hold pictures twice, as files that differ. Let a row's *reference gap* be its distance to the reference set
alone. Another item is a **presumed copy**, and set aside, where in some channel some row of the item lies within
``certain`` times the smaller of the two rows' reference gaps of the other's unedited row: nearer than unrelated
pictures of that kind ever come. A vector of the set that an item lies within ``certain`` times of the vector's own
distance to the next one is taken for the very picture, and set aside too.

All of this speaks of pairs, and of constants. So a gap does not depend on the order in which pictures came, and what
is left of it after some came or went is what measuring all of them again would give (``indexer.gap_update``).

Any number per row is sound: T4 and T5 hold for each row with its own threshold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import IntegrityError
from ..core.files import sha256_file, write_atomically
from .items import Keys
from .snapshot import SegmentInfo, Snapshot, gaps_file
from .vectors import Float32

KIND = "kind:"
"""Before the name of a kind, where a vector of the reference set limits a row."""
_SCHEMA = pa.schema(
    [
        pa.field("segment", pa.string(), nullable=False),
        pa.field("gap", pa.float32(), nullable=False),
        pa.field("reference", pa.float32(), nullable=False),
        pa.field("limit", pa.string(), nullable=False),
        pa.field("presumed", pa.string(), nullable=False),
    ]
)
_OLD = pa.schema([_SCHEMA.field("segment"), _SCHEMA.field("gap")])
"""Of files that versions before 0.4 wrote."""
_BASIS = b"retr.basis"


@dataclass(frozen=True, slots=True)
class Gaps:
    """What is known of the rows of a channel, in global row order.

    Attributes:
        gap: (rows,) angles in radians (cosine) or distances (Euclidean); 0 for rows that are no part of the gallery.
        reference: (rows,) reference gaps; −1 for rows that are no part of the gallery, or of which nothing is known.
        limit: (rows,) ``S64``: what is nearest, the pixels' SHA-256 of an item or ``kind:`` and the kind of a
            reference vector; empty where nothing is nearer than ``farthest``.
        presumed: (rows,) ``S64``: of the items set aside as presumed copies of this row's, the one whose pixels'
            SHA-256 is least; empty where there is none.
    """

    gap: Float32
    reference: Float32
    limit: Keys
    presumed: Keys

    @staticmethod
    def unknown(rows: int) -> Gaps:
        """Nothing is known of so many rows."""
        return Gaps(np.zeros(rows, "f4"), np.full(rows, -1, "f4"), np.zeros(rows, "S64"), np.zeros(rows, "S64"))

    def __len__(self) -> int:
        return len(self.gap)


def write_gaps(index: Path, snapshot: Snapshot, gaps: Gaps, *, basis: str = "") -> str:
    """Write gaps beside the segments they are of.

    Args:
        index: the index folder.
        snapshot: whose rows they are of.
        gaps: of one channel.
        basis: what they were measured on (``gap_update.basis_of``).

    Returns:
        The SHA-256 of the file, by which it is found again.
    """
    names = [segment.id for _, segment in _starts(snapshot)]
    sizes = [segment.rows for _, segment in _starts(snapshot)]
    columns = {
        "segment": pa.array(np.repeat(np.array(names, dtype=object), sizes), pa.string()),
        "gap": pa.array(gaps.gap, pa.float32()),
        "reference": pa.array(gaps.reference, pa.float32()),
        "limit": _text(gaps.limit),
        "presumed": _text(gaps.presumed),
    }
    table = pa.table(columns, schema=_SCHEMA.with_metadata({_BASIS: basis.encode()}))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    digest = hashlib.sha256(content).hexdigest()
    (index / "gaps").mkdir(exist_ok=True)
    write_atomically(gaps_file(index, digest), content)
    return digest


def _text(keys: Keys) -> pa.Array:
    return pa.array(keys.astype("U64").astype(object), pa.string())


def read_gaps(index: Path, digest: str) -> dict[str, Float32]:
    """Only the gaps, by segment, of this or an earlier version.

    Raises:
        IntegrityError: the file is missing or not what it should be.
    """
    table = _read(index, digest, _OLD)
    return {name: table["gap"].to_numpy()[places] for name, places in _segments(table).items()}


def read_all(index: Path, digest: str) -> tuple[dict[str, Gaps], str]:
    """All that is known, by segment, and what it was measured on.

    Raises:
        IntegrityError: as :func:`read_gaps`.
    """
    table = _read(index, digest, _SCHEMA)
    parts = [table["gap"].to_numpy(), table["reference"].to_numpy(), *map(_keys, (table["limit"], table["presumed"]))]
    found = {name: Gaps(*(part[places] for part in parts)) for name, places in _segments(table).items()}
    return found, (table.schema.metadata or {}).get(_BASIS, b"").decode()


def _keys(column: pa.ChunkedArray) -> Keys:
    coded = column.combine_chunks().dictionary_encode()
    names = np.array(coded.dictionary.to_pylist(), dtype="S64")
    return names[coded.indices.to_numpy()] if len(names) else np.zeros(0, dtype="S64")


def _read(index: Path, digest: str, schema: pa.Schema) -> pa.Table:
    file = gaps_file(index, digest)
    try:
        if sha256_file(file) != digest:
            raise IntegrityError(f"{file} does not match the SHA-256 that is its name")
        table = pq.read_table(file, columns=schema.names)
        table = table.cast(schema.with_metadata(table.schema.metadata))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error
    gaps = table["gap"].to_numpy()
    if not (np.isfinite(gaps).all() and (gaps >= 0).all()):
        raise IntegrityError(f"{file} holds gaps that are no angles or distances")
    return table


def _segments(table: pa.Table) -> dict[str, np.ndarray]:
    names = table["segment"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    return {name: np.flatnonzero(codes == code) for code, name in enumerate(names.dictionary.to_pylist())}


def gaps_of(snapshot: Snapshot, by_segment: Mapping[str, Float32]) -> Float32:
    """(rows,) gaps in global row order; 0 for segments that came later.

    Raises:
        IntegrityError: a segment has another number of rows.
    """
    parts = [np.zeros(0, dtype=np.float32)]
    for _, segment in _starts(snapshot):
        part = by_segment.get(segment.id, np.zeros(segment.rows, dtype=np.float32))
        _check_rows(segment, len(part))
        parts.append(part)
    return np.concatenate(parts)


def all_of(snapshot: Snapshot, by_segment: Mapping[str, Gaps]) -> Gaps:
    """What is known of all rows in global row order; nothing of segments that came later.

    Raises:
        IntegrityError: as :func:`gaps_of`.
    """
    parts = [Gaps.unknown(0)]
    for _, segment in _starts(snapshot):
        parts.append(by_segment.get(segment.id, Gaps.unknown(segment.rows)))
        _check_rows(segment, len(parts[-1]))
    return Gaps(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Gaps)))


def _check_rows(segment: SegmentInfo, rows: int) -> None:
    if rows != segment.rows:
        raise IntegrityError(f"segment {segment.id} has {segment.rows} rows, and gaps of {rows} are stored")


def _starts(snapshot: Snapshot) -> Iterator[tuple[int, SegmentInfo]]:
    start = 0
    for segment in snapshot.segments:
        yield start, segment
        start += segment.rows
