"""The folder of a 2AFC benchmark: what it was asked to do, the parts it has done, and the records at the end.

    two-afc.json               the plan and what it is run on
    parts/000000.parquet …     until the end: the records of some triplets each
    images/…                   saved images, as asked for
    records.parquet            at the end

A part is written in one step. After a kill the parts are those of an uninterrupted run, as far as they go, and the
next one begins where they end.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ...core.errors import IntegrityError, UsageError
from ...core.files import canonical_json, sync_directory, sync_file, write_atomically
from ...datasets.rows import RejectedRow
from .records import SCHEMA, to_table, write_triplet_records
from .rows import Row
from .trials import IMAGES

RECORDS = "records.parquet"
STATE = "two-afc.json"
PARTS = "parts"
_SCHEMA = "retr.triplets-state/1"
_MARK = b"part"


@dataclass(frozen=True)
class Part:
    """What one part adds.

    Attributes:
        rows: records.
        rejects: triplets that cannot be used, each with its data set.
        seconds: spent on it.
    """

    rows: Sequence[Row]
    rejects: Sequence[tuple[str, RejectedRow]]
    seconds: float


class Folder:
    """One run's folder; made by :func:`open_folder`."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path, self.facts = path, facts
        self._parts = sorted((path / PARTS).glob("[0-9]*.parquet"))

    @property
    def records(self) -> Path:
        """The records, once the run is finished."""
        return self.path / RECORDS

    @property
    def done(self) -> int:
        """Parts written."""
        return len(self._parts)

    def add(self, part: Part) -> None:
        """Write a part."""
        file = self.path / PARTS / f"{self.done:06d}.parquet"
        file.parent.mkdir(exist_ok=True)
        mark = {"rejects": [[data, str(row)] for data, row in part.rejects], "seconds": part.seconds}
        table = to_table(part.rows).replace_schema_metadata({**(SCHEMA.metadata or {}), _MARK: canonical_json(mark)})
        unfinished = file.with_suffix(".part")
        pq.write_table(table, unfinished, compression="zstd")
        sync_file(unfinished)
        unfinished.replace(file)
        sync_directory(file.parent)
        self._parts.append(file)

    def alarms(self) -> int:
        """Alarms in the parts."""
        return sum(sum(pq.read_table(part, columns=["alarm"])["alarm"].to_pylist()) for part in self._parts)

    def finish(self) -> dict[str, Any]:
        """Join the parts to the records and remove them; the facts, as they lie beside the records.

        Raises:
            UsageError: no triplet could be used.
        """
        marks = [json.loads(pq.read_schema(part).metadata[_MARK]) for part in self._parts]
        rejects = [tuple(one) for mark in marks for one in mark["rejects"]]
        facts = {**self.facts, "rejected": rejects, "seconds": sum(mark["seconds"] for mark in marks)}
        if not sum(pq.read_metadata(part).num_rows for part in self._parts):
            self._drop()
            self._parts = []
            self.abandon()
            raise UsageError(f"no triplet can be used; the first: {rejects[0][1] if rejects else 'there is none'}")
        with write_triplet_records(self.records, facts) as writer:
            for part in self._parts:
                writer.write_table(pq.read_table(part).replace_schema_metadata(writer.schema.metadata))
        self._drop()
        return facts

    def abandon(self) -> None:
        """Leave nothing behind, where nothing has been done."""
        if not self._parts:
            (self.path / STATE).unlink(missing_ok=True)
            if not any(self.path.iterdir()):
                self.path.rmdir()

    def _drop(self) -> None:
        shutil.rmtree(self.path / PARTS, ignore_errors=True)


def open_folder(path: Path, facts: Mapping[str, Any], *, resume: bool) -> Folder:
    """The folder of a new run, or of the unfinished one to go on with.

    Args:
        path: the folder.
        facts: the run's; a resumed run must agree in ``plan``, ``metrics`` and ``data``, and keeps its id and command.
        resume: whether to go on.

    Raises:
        UsageError: it holds another run, or the unfinished one was asked for something else.
        IntegrityError: its state cannot be read.
    """
    given = json.loads(canonical_json(dict(facts)))
    if (path / RECORDS).exists():
        raise UsageError(f"{path} already holds records; choose another folder with --out")
    if (path / STATE).exists():
        if not resume:
            raise UsageError(f"{path} holds an unfinished run; go on with it by --resume, or choose another folder")
        return Folder(path, _same(path / STATE, given))
    for name in (PARTS, IMAGES):
        if (path / name).exists():
            raise UsageError(f"{path / name} is there already, and no run's; choose another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}") from error
    write_atomically(path / STATE, canonical_json({"schema": _SCHEMA, "facts": given}))
    return Folder(path, given)


def _same(state: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of an unfinished run that is this one."""
    try:
        known = json.loads(state.read_bytes())
        facts = known["facts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{state} cannot be read: {error}") from error
    if known.get("schema") != _SCHEMA:
        raise IntegrityError(f"{state} holds {known.get('schema')}, not {_SCHEMA}")
    differ = [name for name in ("plan", "metrics", "data") if facts.get(name) != given[name]]
    if differ:
        raise UsageError(f"{state.parent} was begun with other {' and '.join(differ)}; choose another folder")
    return facts
