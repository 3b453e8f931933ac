"""Gaps: how far each stored row is from the nearest unrelated picture. A row accepts queries within a share of its gap.

A look-alike is a false match most often where pictures of its kind lie close together: pages, forms, daisies, towns
from the air. The gap says how close: it is the angle (for a Euclidean channel the distance) from a row to the nearest
of

* the vectors of a *reference set* (``indexer.reference``), pictures of many kinds that are nobody's; pages, forms and
  screens (``indexer.sheets``) are no farther from them than two contents of one layout are from each other;
* the unedited rows of the gallery's other items;

and no larger than the set's ``farthest``: one lonely row would make every query look for matches very far out.

Galleries hold pictures twice, as files that differ. Let a row's *reference gap* be what the reference set
alone says. Another item is a **presumed copy**, and set aside, where in some channel some row of the item lies within
``certain`` times the smaller of the two rows' reference gaps of the other's unedited row: nearer than unrelated
pictures of that kind ever come. What kind a picture is of the set may get wrong, and the reference gap of a kind that
comes in layouts is cut. So another item is a presumed copy, too, where in *every* channel such a row lies within
``certain`` times the smaller of their *uncut* reference gaps, or a smaller part where one or both are cut
(``sheets.ONE_CUT``, ``BOTH_CUT``): an original and its copy often lie on two sides of the line between kinds. Of a row
whose kind is beyond doubt the gap is cut all the same. A vector of the set that an item lies within ``certain`` times
of the vector's own distance to the next one is taken for the very picture, and set aside too.

All of this speaks of pairs, and of constants. So a gap does not depend on the order in which pictures came, and what
is left of it after some came or went is what measuring all of them again would give (``indexer.gap_update``).

Any number per row is sound: T4 and T5 hold for each row with its own threshold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import IntegrityError
from ..core.files import canonical_json, sha256_bytes, sha256_file, write_atomically
from .items import Keys
from .snapshot import SegmentInfo, Snapshot, gaps_file, neighbours_file
from .vectors import Float32, Ids

FORMAT = "retr.gaps/1"
KIND = "kind:"
"""Before the name of a kind, where a vector of the reference set limits a row."""
_OLD = pa.schema([pa.field("segment", pa.string(), nullable=False), pa.field("gap", pa.float32(), nullable=False)])
_SCHEMA = pa.schema(
    [
        pa.field("segment", pa.string(), nullable=False),
        pa.field("reference", pa.float32(), nullable=False),
        pa.field("limit", pa.string(), nullable=False),
        pa.field("presumed", pa.string(), nullable=False),
        pa.field("uncut", pa.float32(), nullable=False),
    ]
)
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
        uncut: (rows,) reference gaps if pictures of no kind had smaller ones, but for those whose kind is beyond doubt
            (``indexer.sheets``, ``Reference.caps``).
    """

    gap: Float32
    reference: Float32
    limit: Keys
    presumed: Keys
    uncut: Float32

    @staticmethod
    def unknown(rows: int) -> Gaps:
        """Nothing is known of so many rows."""
        nothing, names = np.full(rows, -1, "f4"), np.zeros(rows, "S64")
        return Gaps(np.zeros(rows, "f4"), nothing, names, names.copy(), nothing.copy())

    def take(self, rows: npt.NDArray[np.bool_] | Ids) -> Gaps:
        """Some of them."""
        return Gaps(*(getattr(self, one.name)[rows] for one in fields(Gaps)))

    def __len__(self) -> int:
        return len(self.gap)


def write_gaps(index: Path, snapshot: Snapshot, gaps: Float32) -> str:
    """Write gaps beside the segments they are of, in plain bytes: whoever checks a proof reads them too.

    Returns:
        The SHA-256 of the file, by which it is found again.
    """
    head = {"format": FORMAT, "segments": [[segment.id, segment.rows] for segment in snapshot.segments]}
    content = canonical_json(head) + b"\n" + gaps.astype("<f4").tobytes()
    digest = sha256_bytes(content)
    (index / "gaps").mkdir(exist_ok=True)
    write_atomically(index / "gaps" / f"{digest}.bin", content)
    return digest


def write_neighbours(index: Path, snapshot: Snapshot, gaps: Gaps, *, basis: str) -> str:
    """Write what gaps were measured by.

    Args:
        index: the index folder.
        snapshot: whose rows they are of.
        gaps: of one channel.
        basis: what they were measured on (``gap_update.basis_of``).

    Returns:
        The SHA-256 of the file, by which it is found again.
    """
    names, sizes = [one.id for one in snapshot.segments], [one.rows for one in snapshot.segments]
    columns = {
        "segment": pa.array(np.repeat(np.array(names, dtype=object), sizes), pa.string()),
        "reference": pa.array(gaps.reference, pa.float32()),
        "limit": _text(gaps.limit),
        "presumed": _text(gaps.presumed),
        "uncut": pa.array(gaps.uncut, pa.float32()),
    }
    table = pa.table(columns, schema=_SCHEMA.with_metadata({_BASIS: basis.encode()}))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    digest = sha256_bytes(content)
    (index / "gaps").mkdir(exist_ok=True)
    write_atomically(neighbours_file(index, digest), content)
    return digest


def _text(keys: Keys) -> pa.Array:
    return pa.array(keys.astype("U64").astype(object), pa.string())


def read_gaps(index: Path, digest: str) -> dict[str, Float32]:
    """Gaps by segment.

    Raises:
        IntegrityError: the file is missing or not what it should be.
    """
    file = gaps_file(index, digest)
    try:
        _check(file, digest)
        found = _read_parquet(file) if file.suffix == ".parquet" else _read_plain(file.read_bytes())
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error
    if not all(np.isfinite(gaps).all() and (gaps >= 0).all() for gaps in found.values()):
        raise IntegrityError(f"{file} holds gaps that are no angles or distances")
    return found


def read_neighbours(index: Path, gaps: str, digest: str) -> tuple[dict[str, Gaps], str]:
    """All that is known, by segment, and what it was measured on.

    Args:
        index: the index folder.
        gaps: SHA-256 of the file of gaps.
        digest: of :func:`write_neighbours`.

    Raises:
        IntegrityError: as :func:`read_gaps`.
    """
    by_segment, file = read_gaps(index, gaps), neighbours_file(index, digest)
    try:
        _check(file, digest)
        table = pq.read_table(file)
        if "uncut" not in table.column_names:  # older gaps: of another basis, so that nothing is measured by them
            table = table.append_column("uncut", table["reference"])
        table = table.select(_SCHEMA.names).cast(_SCHEMA.with_metadata(table.schema.metadata))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error
    parts = [table["reference"].to_numpy(), _keys(table["limit"]), _keys(table["presumed"]), table["uncut"].to_numpy()]
    found = {}
    for name, places in _segments(table).items():
        found[name] = Gaps(by_segment.get(name, np.zeros(0, "f4")), *(part[places] for part in parts))
        if len(found[name].gap) != len(places):
            raise IntegrityError(f"{file} speaks of other rows than the gaps that it is of")
    return found, (table.schema.metadata or {}).get(_BASIS, b"").decode()


def _check(file: Path, digest: str) -> None:
    if sha256_file(file) != digest:
        raise IntegrityError(f"{file} does not match the SHA-256 that is its name")


def _keys(column: pa.ChunkedArray) -> Keys:
    coded = column.combine_chunks().dictionary_encode()
    names = np.array(coded.dictionary.to_pylist(), dtype="S64")
    return names[coded.indices.to_numpy()] if len(names) else np.zeros(0, dtype="S64")


def _read_plain(content: bytes) -> dict[str, Float32]:
    line, _, numbers = content.partition(b"\n")
    head = json.loads(line)
    if head["format"] != FORMAT:
        raise ValueError(f"gaps of format {head['format']!r}")
    names, counts = [str(name) for name, _ in head["segments"]], [int(rows) for _, rows in head["segments"]]
    gaps = np.frombuffer(numbers, dtype="<f4").astype(np.float32)
    if len(gaps) != sum(counts):
        raise ValueError(f"{len(gaps)} gaps of {sum(counts)} rows")
    return dict(zip(names, np.split(gaps, np.cumsum(counts)[:-1]), strict=True)) if names else {}


def _read_parquet(file: Path) -> dict[str, Float32]:
    """As 0.1.0 wrote them."""
    table = pq.read_table(file, schema=_OLD)
    gaps = table["gap"].to_numpy()
    return {name: gaps[places] for name, places in _segments(table).items()}


def _segments(table: pa.Table) -> dict[str, Ids]:
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
