"""Whether what an index holds fits together: names, rows and settings whose files are the ones that were written."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..core.errors import IntegrityError, RetrError
from ..core.files import sha256_file
from .catalog import item_id, read_catalog
from .declared import declared_of
from .dismissed import FILE as DISMISSED
from .dismissed import read_dismissed
from .gaps import gaps_of, read_gaps
from .labels import labels_of
from .row_codes import ROW_CODES
from .row_keys import FILE, row_keys
from .row_lengths import check_rows
from .row_names import FILE as NAMES
from .row_names import row_names
from .snapshot import TOLD, SegmentInfo, Snapshot, gaps_file, told_file
from .vectors import open_rows

Fault = tuple[str, str, str]
"""Segment, file, and what is wrong with it."""


def catalog_faults(index: Path, snapshot: Snapshot, segments: Collection[str]) -> Iterator[Fault]:
    """Names that do not follow from what they name, and paths that are there twice.

    Args:
        index: the index folder.
        snapshot: one of its snapshots.
        segments: those that are looked at: their files are whole.
    """
    held: dict[str, str] = {}
    for segment in snapshot.segments:
        if segment.id not in segments:
            continue
        file = f"segments/{segment.id}/catalog.parquet"
        try:
            every = read_catalog(index / file, ["id", "path", "bytes_sha256", "pixels_sha256", "view"])
        except (OSError, pa.ArrowException, KeyError):
            continue  # said of the segment already
        table = every.drop_columns(["view"])
        gone, named = set(snapshot.removed(segment.id)), set(snapshot.tombstones.get(segment.id, ()))
        yield from ((segment.id, file, why) for why in _names(table, gone, named, held))
        if FILE in segment.files:
            keys = (index / "segments" / segment.id / FILE).read_bytes()
            if keys != row_keys(table.select(["id", "pixels_sha256"]).to_pylist()):
                yield segment.id, f"segments/{segment.id}/{FILE}", "it names other rows than the catalog"
        if NAMES in segment.files:
            names = row_names(every["view"].to_pylist(), every["path"].to_pylist())
            if _inflated((index / "segments" / segment.id / NAMES).read_bytes()) != _inflated(names):
                yield segment.id, f"segments/{segment.id}/{NAMES}", "it names other views or paths than the catalog"


def _names(table: pa.Table, gone: set[str], named: set[str], held: dict[str, str]) -> Iterator[str]:
    names, *facts = (table[column].to_pylist() for column in table.column_names)
    items = dict(zip(names, zip(*facts, strict=True), strict=True))
    unknown = named - set(items)
    if unknown:
        yield f"{len(unknown)} tombstones name no item of it, such as {min(unknown)}"
    for name, (path, content, pixels) in items.items():
        if item_id(path, content) != name:
            yield f"item {name} is not named by its path and content ({path!r})"
        if not (_is_digest(content) and _is_digest(pixels)):
            yield f"item {name} has a digest that is no SHA-256"
        if name in gone:
            continue
        if path in held:
            yield f"{path!r} is held twice, as {held[path]} and {name}"
        held[path] = name


def _inflated(data: bytes) -> bytes | None:
    try:
        return zlib.decompress(data)  # other versions of zlib make other bytes of the same text
    except zlib.error:
        return None


def _is_digest(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")


def channel_faults(index: Path, snapshot: Snapshot, segments: Collection[str]) -> Iterator[Fault]:
    """Rows that are missing, not finite, or not of unit length where they must be; arguments as above."""
    for segment in snapshot.segments:
        if segment.id in segments:
            for number in range(len(snapshot.channels)):
                why = _rows_fault(index, snapshot, segment, number)
                if why is not None:
                    name = ROW_CODES[snapshot.channels[number].rows].file(number)
                    yield segment.id, f"segments/{segment.id}/{name}", why


def _rows_fault(index: Path, snapshot: Snapshot, segment: SegmentInfo, number: int) -> str | None:
    channel = snapshot.channels[number]
    file = index / "segments" / segment.id / ROW_CODES[channel.rows].file(number)
    try:
        store = open_rows([(file, segment.rows)], dim=channel.dim, score=channel.score, code=channel.rows)
        check_rows(store, channel.name)
    except RetrError as error:
        return str(error)
    return None


def setting_faults(index: Path, snapshot: Snapshot, bad: Collection[Path]) -> Iterator[tuple[str, str, str | None]]:
    """Models, policy, views, gaps and what users told: (file, what is wrong, what a repair may drop or None)."""
    from ..images.policy import DecodePolicy
    from ..images.views import view_set
    from .models import open_model

    name = f"snapshots/{snapshot.id}.json"
    try:
        if DecodePolicy.from_json(dict(snapshot.policy)).digest != snapshot.policy_digest:
            yield name, "the decode policy does not match its digest", None
    except RetrError as error:
        yield name, f"the decode policy is not known here: {error}", None
    try:
        view_set(snapshot.views)
    except RetrError as error:
        yield name, str(error), None
    for channel in snapshot.channels:
        try:
            open_model(index, channel)
        except RetrError as error:
            yield channel.model_file or name, str(error), None
    yield from _reference_faults(index, snapshot)
    yield from _gaps_faults(index, snapshot, bad)
    yield from _told_faults(index, snapshot, bad)
    try:
        read_dismissed(index)
    except RetrError as error:
        yield DISMISSED, str(error), None


def _reference_faults(index: Path, snapshot: Snapshot) -> Iterator[tuple[str, str, str | None]]:
    """Reference sets that the gaps were measured with: the package's, or those that the index keeps."""
    from .reference import SUFFIX, shipped_reference

    for channel in snapshot.channels:
        said = None if channel.threshold is None else channel.threshold.reference
        if said is None:
            continue
        file = index / "references" / f"{channel.model_digest[:16]}{SUFFIX}"
        name = file.relative_to(index).as_posix()
        shipped = shipped_reference(channel.model_digest)
        found = shipped.digest if shipped is not None else sha256_file(file) if file.is_file() else None
        if shipped is None and found != said:
            yield name, f"it is not the reference set that the gaps of {channel.name} were measured with", "references"


def _gaps_faults(index: Path, snapshot: Snapshot, bad: Collection[Path]) -> Iterator[tuple[str, str, str]]:
    for channel in snapshot.channels:
        gaps = None if channel.threshold is None else channel.threshold.gaps
        if gaps is None or gaps_file(index, gaps) in bad:
            continue
        try:
            found = gaps_of(snapshot, read_gaps(index, gaps))
            assert np.isfinite(found).all()
        except RetrError as error:
            yield f"gaps/{gaps_file(index, gaps).name}", str(error), "gaps"


def _told_faults(index: Path, snapshot: Snapshot, bad: Collection[Path]) -> Iterator[tuple[str, str, str]]:
    for kind in TOLD:
        digest = getattr(snapshot, kind)
        if digest is None or told_file(index, kind, digest) in bad:
            continue
        file = told_file(index, kind, digest)
        try:
            declared = kind == "declared"
            rows = len(declared_of(index, snapshot)) if declared else labels_of(index, snapshot).table.num_rows
            if not rows:
                yield f"{kind}/{file.name}", "the table is empty, and named all the same", kind
        except (OSError, pa.ArrowException, IntegrityError) as error:
            yield f"{kind}/{file.name}", f"the table cannot be read: {error}", kind
