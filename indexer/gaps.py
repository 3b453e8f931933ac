"""Gaps: how far each stored row is from the nearest other item. Local thresholds are set by them.

A look-alike is a false match most often where the gallery itself is crowded: drawings, daisies, towns from the air. A
row with many neighbours must therefore be nearer to a query than a row that stands alone. Half of a row's gap is where
its nearest neighbour begins to be nearer than the row is.

Galleries hold some pictures twice, as files that differ. Items nearer than a quarter of the median gap count as one
picture and not as neighbours: else both would accept next to nothing.

Any number per row is sound: T4 and T5 hold for each row with its own threshold. So a gap need not be exact. It is taken
from float32 products with at most ``REFERENCES`` unedited rows, and no row counts as farther from the others than 99 %
of the gallery's items are: one lonely row would make every query look for matches very far out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import IntegrityError
from ..core.files import canonical_json, sha256_bytes, sha256_file, write_atomically
from .gallery import Gallery
from .snapshot import SegmentInfo, Snapshot, gaps_file
from .vectors import Float32, Ids, RowStore

REFERENCES = 65_536
FARTHEST = 0.99
"""Share of the gallery's items whose gap is not cut."""
SAME = 0.25
"""Part of the median gap within which another item is the same picture."""
_SAMPLES = 2000
"""Items that the median is taken of."""
FORMAT = "retr.gaps/1"
_SCHEMA = pa.schema([pa.field("segment", pa.string(), nullable=False), pa.field("gap", pa.float32(), nullable=False)])
_BLOCK = 2**26
"""Products held at a time."""


def measure_gaps(gallery: Gallery, number: int, *, old: Mapping[str, Float32] | None = None) -> Float32:
    """The gap of every row of a channel.

    Args:
        gallery: an opened snapshot.
        number: of the channel.
        old: gaps by segment, as :func:`read_gaps` gives them, that are kept as they are.

    Returns:
        (rows,) angles in radians (cosine) or distances (Euclidean), ≥ 0; 0 for rows that are no longer part of the
        gallery, and where there is no other item.
    """
    store, groups = gallery.stores[number], gallery.groups
    originals = gallery.originals()
    references = _sample(originals, REFERENCES)
    gaps = np.zeros(store.rows, dtype=np.float32)
    new = groups >= 0
    for start, segment in _starts(gallery.snapshot):
        if old and segment.id in old:
            new[start : start + segment.rows] = False
            gaps[start : start + segment.rows] = old[segment.id]
    pictures = _pictures(store, groups, originals, references)
    for ids, near in _products(store, np.flatnonzero(new), references):
        near[pictures[ids][:, None] == pictures[references][None]] = -np.inf
        gaps[ids] = _distance(near.max(axis=1, initial=-np.inf), store)
    if old:
        limit = max((float(part.max(initial=0.0)) for part in old.values()), default=0.0)
    else:
        limit = float(np.quantile(gaps[originals], FARTHEST)) if len(originals) else 0.0
    return np.minimum(gaps, np.float32(limit))


def write_gaps(index: Path, snapshot: Snapshot, gaps: Float32) -> str:
    """Write gaps beside the segments they are of, in plain bytes: whoever checks a proof reads them too.

    Returns:
        The SHA-256 of the file, by which it is found again.
    """
    head = {"format": FORMAT, "segments": [[segment.id, segment.rows] for _, segment in _starts(snapshot)]}
    content = canonical_json(head) + b"\n" + gaps.astype("<f4").tobytes()
    digest = sha256_bytes(content)
    (index / "gaps").mkdir(exist_ok=True)
    write_atomically(index / "gaps" / f"{digest}.bin", content)
    return digest


def read_gaps(index: Path, digest: str) -> dict[str, Float32]:
    """Gaps by segment.

    Raises:
        IntegrityError: the file is missing or not what it should be.
    """
    file = gaps_file(index, digest)
    try:
        if sha256_file(file) != digest:
            raise IntegrityError(f"{file} does not match the SHA-256 that is its name")
        found = _read_parquet(file) if file.suffix == ".parquet" else _read_plain(file.read_bytes())
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error
    if not all(np.isfinite(gaps).all() and (gaps >= 0).all() for gaps in found.values()):
        raise IntegrityError(f"{file} holds gaps that are no angles or distances")
    return found


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
    table = pq.read_table(file, schema=_SCHEMA)
    gaps, names = table["gap"].to_numpy(), table["segment"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    return {name: gaps[codes == code] for code, name in enumerate(names.dictionary.to_pylist())}


def gaps_of(snapshot: Snapshot, by_segment: Mapping[str, Float32]) -> Float32:
    """(rows,) gaps in global row order; 0 for segments that came later.

    Raises:
        IntegrityError: a segment has another number of rows.
    """
    parts = []
    for _, segment in _starts(snapshot):
        part = by_segment.get(segment.id, np.zeros(segment.rows, dtype=np.float32))
        if len(part) != segment.rows:
            raise IntegrityError(f"segment {segment.id} has {segment.rows} rows, and gaps of {len(part)} are stored")
        parts.append(part)
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def _starts(snapshot: Snapshot) -> Iterator[tuple[int, SegmentInfo]]:
    start = 0
    for segment in snapshot.segments:
        yield start, segment
        start += segment.rows


def _sample(originals: Ids, most: int) -> Ids:
    if len(originals) <= most:
        return originals
    return np.sort(np.random.default_rng(0).choice(originals, most, replace=False))


def _pictures(store: RowStore, groups: npt.NDArray[np.int64], originals: Ids, references: Ids) -> npt.NDArray[np.int64]:
    """(rows,) number of the picture that each row shows: its item, or the first of several that are one picture."""
    sample, best = _sample(originals, _SAMPLES), [np.zeros(0, dtype=np.float32)]
    for ids, near in _products(store, sample, references):
        near[groups[ids][:, None] == groups[references][None]] = -np.inf
        best.append(_distance(near.max(axis=1, initial=-np.inf), store))
    same = SAME * float(np.median(np.concatenate(best))) if len(sample) else 0.0
    parents = np.arange(int(groups.max(initial=-1)) + 1)
    if same > 0.0:
        nearest = math.cos(same) if store.score == "cosine" else -(same**2)
        for ids, near in _products(store, originals, references):
            rows, columns = np.nonzero(near > np.float32(nearest))
            pairs = np.stack([groups[ids[rows]], groups[references[columns]]], axis=1)
            for one, other in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0):
                _join(parents, int(one), int(other))
    for item in range(len(parents)):  # a parent is never the larger number
        parents[item] = parents[parents[item]]
    return np.where(groups >= 0, np.append(parents, -1)[groups], -1)


def _join(parents: npt.NDArray[np.int64], one: int, other: int) -> None:
    """Two items are one picture: the root with the smaller number becomes the other's parent."""
    roots = []
    for item in (one, other):
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = int(parents[item])
        roots.append(item)
    parents[max(roots)] = min(roots)


def _products(store: RowStore, rows: Ids, references: Ids) -> Iterator[tuple[Ids, Float32]]:
    """(rows, their inner products with the references or minus their squared distances), some at a time."""
    others = store.take(references)
    for ids in _blocks(rows, max(1, _BLOCK // max(1, len(references)))):
        own = store.take(ids)
        yield ids, own @ others.T if store.score == "cosine" else -_squares(own, others)


def _distance(best: Float32, store: RowStore) -> Float32:
    """Angles or distances of such numbers; 0 for −inf, where there is no other item."""
    far = np.arccos(np.clip(best, -1.0, 1.0)) if store.score == "cosine" else np.sqrt(np.maximum(-best, 0.0))
    return np.where(np.isfinite(best), far, 0.0).astype(np.float32)


def _blocks(rows: Ids, size: int) -> Sequence[Ids]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _squares(left: Float32, right: Float32) -> Float32:
    """(m, n) squared distances."""
    return (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
