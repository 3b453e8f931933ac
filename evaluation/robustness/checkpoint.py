"""The folder of an audit: what it was asked to do, the parts it has done, and the records at the end.

    audit.json                 the plan, the systems; at the end what was left out
    parts/000000.parquet …     until the end
    records.parquet            at the end

A part holds the records of some queries and is written in one step, with how far the audit has come by then. After a
kill at any instant the parts are those of an uninterrupted run, as far as they go, and the next one begins where they
end.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import IntegrityError, UsageError
from ...core.files import canonical_json, sync_directory, sync_file, write_atomically
from ..shared.provenance import new_run_id
from .plan import AuditPlan
from .records import read_records, to_table, write_records
from .showcase import GALLERY, IMAGES, WORK

RECORDS = "records.parquet"
STATE = "audit.json"
PARTS = "parts"
HOME = Path("retr-audit")
"""Where audits go that are not told where."""
_SCHEMA = "retr.audit-state/1"
_MARK = b"reached"

Skips = tuple[tuple[str, str], ...]
"""(path, reason) of inputs left out."""


@dataclass(frozen=True)
class Reached:
    """How far an audit has come.

    Attributes:
        sources: queries taken on, or left out for what they are.
        done: attacks finished or not needed.
        alarms: found so far.
        seconds: spent so far, in all sittings.
        skipped: the inputs left out.
    """

    sources: int = 0
    done: int = 0
    alarms: int = 0
    seconds: float = 0.0
    skipped: Skips = ()


class Checkpoint:
    """One audit's folder; made by :func:`open_folder`."""

    def __init__(self, folder: Path, state: dict[str, Any]) -> None:
        self.folder = folder
        self._state = state
        self._parts = sorted((folder / PARTS).glob("[0-9]*.parquet"))

    @property
    def run(self) -> str:
        """Id of the run."""
        return self._state["run"]

    @property
    def command(self) -> str:
        """The command line that began it."""
        return self._state["command"]

    @property
    def count(self) -> int:
        """Records in the parts."""
        return sum(pq.read_metadata(part).num_rows for part in self._parts)

    @property
    def records(self) -> Path:
        """The records, once it is finished."""
        return self.folder / RECORDS

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.records.exists()

    @property
    def skipped(self) -> Skips:
        """What a finished audit left out."""
        return tuple((path, reason) for path, reason in self._state.get("skipped", ()))

    @property
    def seconds(self) -> float:
        """What a finished audit took, in all sittings."""
        return float(self._state.get("seconds", 0.0))

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Write down what is audited, or make sure that it is what the parts are of.

        Args:
            facts: JSON values: the systems and the queries.

        Raises:
            UsageError: the unfinished run was of something else, or the folder cannot be made.
        """
        for litter in self.folder.glob(f".{STATE}.*.tmp"):  # of a write that a kill cut short
            litter.unlink()
        if self.finished:  # and killed before the last step
            self._drop_parts()
        given, known = json.loads(canonical_json(facts)), self._state.get("facts")
        if known is None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"{self.folder} cannot be made: {error.strerror}") from error
            self._write(facts=given)
        elif known != given:
            changed = " and ".join(name for name in given if known.get(name) != given[name])
            raise UsageError(f"{self.folder} cannot be resumed: its {changed} changed since; choose another folder")

    def reached(self) -> Reached:
        """Where the parts end."""
        marks = [json.loads(pq.read_schema(part).metadata[_MARK]) for part in self._parts]
        if not marks:
            return Reached()
        skipped = tuple((path, reason) for mark in marks for path, reason in mark["skipped"])
        return Reached(**{**marks[-1], "skipped": skipped})

    def add(self, records: Sequence[Mapping[str, Any]], reached: Reached) -> None:
        """Write a part.

        Args:
            records: of the queries since the last part.
            reached: where it ends; ``skipped`` since the last part only.
        """
        part = self.folder / PARTS / f"{len(self._parts):06d}.parquet"
        part.parent.mkdir(exist_ok=True)
        table = to_table(records)
        marked = table.replace_schema_metadata({**table.schema.metadata, _MARK: canonical_json(asdict(reached))})
        unfinished = part.with_suffix(".part")
        pq.write_table(marked, unfinished, compression="zstd")
        sync_file(unfinished)
        unfinished.replace(part)
        sync_directory(part.parent)
        self._parts.append(part)

    def rows(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Some columns of all records of the parts, in order."""
        return [row for part in self._parts for row in read_records(part, columns).to_pylist()]

    def finish(self, skipped: Skips, seconds: float, change: Callable[[pa.Table], pa.Table]) -> None:
        """Join the parts to the records and remove them.

        Args:
            skipped: all inputs left out.
            seconds: spent, in all sittings.
            change: what the records of a part become.
        """
        self._write(skipped=skipped, seconds=seconds)
        with write_records(self.records) as writer:
            for part in self._parts:
                writer.add_table(change(read_records(part)))
        self._drop_parts()

    def abandon(self) -> None:
        """Leave nothing behind, where nothing could be audited."""
        self._drop_parts()
        (self.folder / STATE).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _drop_parts(self) -> None:
        shutil.rmtree(self.folder / PARTS, ignore_errors=True)

    def _write(self, **news: Any) -> None:
        self._state.update(news)
        write_atomically(self.folder / STATE, canonical_json(self._state))


def open_folder(plan: AuditPlan) -> Checkpoint:
    """The folder of a new audit, or of the one to go on with.

    Raises:
        UsageError: it holds another audit, or the unfinished one has another plan; or something else is in the way.
        IntegrityError: its state cannot be read.
    """
    folder = plan.out or (_unfinished() if plan.resume else None)
    held = folder is not None and ((folder / STATE).exists() or (folder / RECORDS).exists())
    if folder is not None and held:
        if not plan.resume:
            what = "the records of an audit" if (folder / RECORDS).exists() else "an unfinished audit"
            raise UsageError(f"{folder} already holds {what}; go on with it by --resume, or choose another folder")
        return Checkpoint(folder, _same_plan(folder, plan))
    run = new_run_id()
    folder = folder or HOME / run
    for name in (PARTS, IMAGES, GALLERY, WORK):
        if (folder / name).exists():  # files in it would be taken for the audit's own, and removed
            raise UsageError(f"{folder / name} is there already, and no audit's; choose another folder")
    state = {"schema": _SCHEMA, "run": run, "command": plan.command, "plan": plan.as_json()}
    return Checkpoint(folder, state)


def _unfinished() -> Path | None:
    """The newest unfinished audit of the usual place."""
    states = sorted(HOME.glob(f"*/{STATE}"), key=lambda path: path.stat().st_mtime_ns)
    return next((path.parent for path in reversed(states) if not (path.parent / RECORDS).exists()), None)


def _same_plan(folder: Path, plan: AuditPlan) -> dict[str, Any]:
    """The state of a folder whose plan is this one."""
    try:
        state = json.loads((folder / STATE).read_bytes())
        begun = state["plan"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{folder / STATE} cannot be read: {error}") from error
    if state.get("schema") != _SCHEMA:
        raise IntegrityError(f"{folder / STATE} holds {state.get('schema')}, not {_SCHEMA}")
    asked = json.loads(canonical_json(plan.as_json()))
    differ = [name for name in asked if begun.get(name) != asked[name]]
    if differ:
        said = "; ".join(f"{name} was {begun.get(name)} and is {asked[name]}" for name in differ)
        raise UsageError(f"{folder} was begun with another plan: {said}")
    return state
