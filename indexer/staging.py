"""The segment being written: append-only rows and a journal that survives a kill at any byte.

``staging/plan.json``     what this run does; a resumed run must ask for the same
``staging/rows-C.f32``    rows of channel C, appended batch by batch (``.f16``, ``.i8``: see ``indexer.row_codes``)
``staging/journal.jsonl`` one line per batch, ``crc32 json``, written after the batch's rows are on disk

On resume the journal is read up to the last whole line and the row files are cut to the length it accounts for: a
batch is either wholly there or never happened, so the finished segment is the one an uninterrupted run makes.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.errors import UsageError
from ..core.files import canonical_json, digest_json, sha256_file, sync_directory, sync_file, write_atomically
from .catalog import catalog_table, write_catalog, write_rejects
from .row_codes import ROW_CODES, RowCode
from .row_keys import FILE, row_keys
from .row_names import FILE as NAMES
from .row_names import row_names
from .snapshot import SegmentInfo


@dataclass
class Staging:
    """An open segment in the making; one writer at a time (see ``indexer.lock``).

    Attributes:
        rows, rejects: of the catalog, as dicts.
        paths: already accepted or refused in this segment.
    """

    folder: Path
    dims: tuple[int, ...]
    codes: tuple[RowCode, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    _files: list[IO[bytes]] = field(default_factory=list)
    _journal: IO[bytes] | None = None

    @property
    def items(self) -> int:
        """Files accepted so far (an item may have several rows)."""
        return len({row["id"] for row in self.rows})

    def append(
        self,
        rows: Sequence[Mapping[str, Any]],
        vectors: Sequence[npt.NDArray[np.float32]],
        rejects: Sequence[Mapping[str, Any]],
    ) -> None:
        """Store one batch durably: vectors first, then the journal line that makes them count.

        Args:
            rows: catalog rows (dicts), n of them.
            vectors: per channel an (n, dim) float32 array.
            rejects: reject rows (dicts).
        """
        assert self._journal is not None, "staging is not open"
        for handle, array, dim, code in zip(self._files, vectors, self.dims, self.codes, strict=True):
            assert array.shape == (len(rows), dim), (array.shape, len(rows), dim)
            handle.write(code.encode(array).tobytes())
            _flush(handle)
        body = canonical_json({"rows": list(rows), "rejects": list(rejects)})
        self._journal.write(b"%08x %s\n" % (zlib.crc32(body), body))
        _flush(self._journal)
        self.note(rows, rejects)

    def note(self, rows: Sequence[Mapping[str, Any]], rejects: Sequence[Mapping[str, Any]]) -> None:
        """Remember what is on disk."""
        self.rows.extend(dict(row) for row in rows)
        self.rejects.extend(dict(row) for row in rejects)
        self.paths.update(row["path"] for row in [*rows, *rejects])

    def close(self) -> None:
        """Close the files; what was appended stays."""
        for handle in [*self._files, self._journal]:
            if handle is not None:
                handle.close()
        self._files, self._journal = [], None


def _flush(handle: IO[bytes]) -> None:
    handle.flush()
    os.fsync(handle.fileno())


def begin(folder: Path, plan: Mapping[str, Any], dims: Sequence[int], rows: Sequence[str] | None = None) -> Staging:
    """Start an empty segment; whatever the folder held is dropped.

    Args:
        folder: the staging folder.
        plan: what this run does.
        dims: row length of each channel.
        rows: how each channel's rows are stored; None for float32.
    """
    discard(folder)
    folder.mkdir(parents=True)
    write_atomically(folder / "plan.json", canonical_json(dict(plan)))
    sync_directory(folder.parent)
    return _open(_new(folder, dims, rows))


def _new(folder: Path, dims: Sequence[int], rows: Sequence[str] | None) -> Staging:
    return Staging(folder, tuple(dims), tuple(ROW_CODES[name] for name in rows or ["float32"] * len(dims)))


def unfinished_plan(folder: Path) -> dict[str, Any] | None:
    """The plan of an interrupted run, or None where there is none (a folder without a plan never began).

    One that is damaged is no plan that anything could go on with, and is there: it can only be dropped.
    """
    try:
        plan = json.loads((folder / "plan.json").read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {"damaged": True}
    if not isinstance(plan, dict):
        return {"damaged": True}
    return {"rows": ["float32"] * len(plan.get("models", [])), **plan}  # 0.1.0 knew no other


def resume(folder: Path, plan: Mapping[str, Any], dims: Sequence[int], rows: Sequence[str] | None = None) -> Staging:
    """Reopen an interrupted segment at its last whole batch; arguments as for :func:`begin`.

    Raises:
        UsageError: the plan asked for now is not the plan it was begun with.
    """
    begun = unfinished_plan(folder)
    if begun is None:
        return begin(folder, plan, dims, rows)
    differing = sorted(key for key in {*begun, *plan} if begun.get(key) != plan.get(key))
    if differing:
        was = ", ".join(f"{key} was {begun.get(key)!r} and is now {plan.get(key)!r}" for key in differing)
        raise UsageError(f"the unfinished run was begun differently: {was}; ask for the same, or restart (--restart)")
    staging = _new(folder, dims, rows)
    length = _replay(staging)
    _cut(folder / "journal.jsonl", length)
    for path, dim, code in zip(_paths(staging), dims, staging.codes, strict=True):
        _cut(path, len(staging.rows) * dim * code.width)
    return _open(staging)


def discard(folder: Path) -> None:
    """Drop an unfinished segment, if there is one. The plan goes first: without it nothing is ever resumed."""
    if not folder.exists():
        return
    (folder / "plan.json").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _open(staging: Staging) -> Staging:
    staging._files = [path.open("ab") for path in _paths(staging)]
    staging._journal = (staging.folder / "journal.jsonl").open("ab")
    return staging


def _paths(staging: Staging) -> list[Path]:
    return [staging.folder / code.file(number) for number, code in enumerate(staging.codes)]


def _replay(staging: Staging) -> int:
    valid = 0
    journal = staging.folder / "journal.jsonl"
    for line in journal.read_bytes().splitlines(keepends=True) if journal.exists() else []:
        batch = _parse(line)
        if batch is None:
            break
        staging.note(batch["rows"], batch["rejects"])
        valid += len(line)
    return valid


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n") or len(line) < 10:
        return None
    try:
        checksum = int(line[:8], 16)
    except ValueError:
        return None
    body = line[9:-1]
    return json.loads(body) if zlib.crc32(body) == checksum else None


def _cut(path: Path, length: int) -> None:
    if path.exists():
        with path.open("r+b") as handle:
            handle.truncate(length)


def seal(
    staging: Staging, index: Path, rows: Sequence[Mapping[str, Any]], *, place: int, taken: Collection[str] = ()
) -> SegmentInfo:
    """Turn the staging folder's content into an immutable segment, named by its content and its place.

    The staging folder stays until the snapshot that names the segment is committed, so a kill in between repeats this
    step and reaches the same segment.

    Args:
        staging: the segment in the making.
        index: the index folder.
        rows: its catalog rows with ``duplicate_of`` filled.
        place: how many segments the snapshot holds before it. Without it, content that comes back after a change would
            take the name, and so the tombstones, of the segment that held it before.
        taken: names that the snapshot has already; a later place is counted where it must be.
    """
    staging.close()
    temporary = sealing_folder(index)
    for path in _paths(staging):
        _link(path, temporary / path.name)
    return seal_folder(temporary, index, rows, staging.rejects, place=place, taken=taken)


def sealing_folder(index: Path) -> Path:
    """An empty folder for the files of rows of a segment in the making."""
    temporary = index / "segments" / ".sealing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    return temporary


def seal_folder(
    temporary: Path,
    index: Path,
    rows: Sequence[Mapping[str, Any]] | pa.Table,
    rejects: Sequence[Mapping[str, Any]],
    *,
    place: int,
    taken: Collection[str] = (),
) -> SegmentInfo:
    """Make a segment of a folder that holds its files of rows; arguments as for :func:`seal`."""
    catalog = catalog_table(rows) if isinstance(rows, Sequence) else rows
    write_catalog(temporary / "catalog.parquet", catalog)
    write_rejects(temporary / "rejects.parquet", rejects)
    (temporary / FILE).write_bytes(row_keys(catalog.select(["id", "pixels_sha256"]).to_pylist()))
    (temporary / NAMES).write_bytes(row_names(catalog["view"].to_pylist(), catalog["path"].to_pylist()))
    digests = {file.name: sha256_file(file) for file in sorted(temporary.iterdir())}
    for file in temporary.iterdir():
        sync_file(file)
    sync_directory(temporary)
    names = (digest_json({"files": digests, "place": number})[:16] for number in count(place))
    name = next(name for name in names if name not in taken)
    _move(temporary, index / "segments" / name, digests)
    return SegmentInfo(name, catalog.num_rows, len(catalog["id"].unique()), len(rejects), digests)


def _move(temporary: Path, final: Path, digests: Mapping[str, str]) -> None:
    """Give a sealed folder its name; one that is there with the same content, perhaps in use, is left alone."""
    if _holds(final, digests):
        shutil.rmtree(temporary)
        return
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    sync_directory(final.parent)


def _holds(folder: Path, digests: Mapping[str, str]) -> bool:
    try:
        return all(sha256_file(folder / name) == digest for name, digest in digests.items())
    except OSError:
        return False


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
