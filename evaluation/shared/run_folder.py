"""The folder of a run: what it was asked to do, the parts it has done, and the records at the end.

    run.json                   the plan, and what it is run on
    parts/000000.parquet …     until the end
    records.parquet            at the end

A part holds the records of some queries and is written in one step, with a mark that says how far the run has come by
then. After a kill at any instant the parts are those of an uninterrupted run, as far as they go, and the next one
begins where they end. A run that is resumed when it is finished is told again from its records.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import IntegrityError, UsageError
from ...core.files import canonical_json, write_atomically
from .provenance import new_run_id
from .records import RecordFormat, Records, write_table

RECORDS = "records.parquet"
STATE = "run.json"
PARTS = "parts"
_SCHEMA = "retr.run/1"
_MARK = b"reached"
_INSTEAD = "choose another folder"


class RunFolder:
    """One run's folder; made by :func:`open_run`."""

    def __init__(self, folder: Path, kind: RecordFormat, state: dict[str, Any], instead: str = _INSTEAD) -> None:
        self.folder, self.kind = folder, kind
        self._state, self._instead = state, instead
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
    def done(self) -> int:
        """Parts written."""
        return len(self._parts)

    def begin(self, about: Mapping[str, Any]) -> None:
        """Write down what is run, or make sure that it is what the parts, or the records, are of.

        Args:
            about: JSON values: systems, queries, data.

        Raises:
            UsageError: the earlier run was of something else, or the folder cannot be made.
        """
        for litter in self.folder.glob(f".{STATE}.*.tmp"):  # of a write that a kill cut short
            litter.unlink()
        if self.finished:  # and killed before the last step
            self._drop_parts()
        if "about" in self._state:
            self.agree(about)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.folder} cannot be made: {error.strerror}") from error
        self._state["about"] = json.loads(canonical_json(dict(about)))
        write_atomically(self.folder / STATE, canonical_json(self._state))

    def agree(self, about: Mapping[str, Any]) -> None:
        """Make sure that this is what the run was of, as far as it was written down.

        Raises:
            UsageError: naming what is another.
        """
        known, given = self._state.get("about", {}), json.loads(canonical_json(dict(about)))
        changed = " and ".join(name for name in given if name in known and known[name] != given[name])
        if changed:
            raise UsageError(f"{self.folder} cannot be resumed: its {changed} changed since; {self._instead}")

    def marks(self) -> list[dict[str, Any]]:
        """What every part says of how far the run had come."""
        return [json.loads(pq.read_schema(part).metadata[_MARK]) for part in self._parts]

    def add(self, rows: Sequence[Mapping[str, Any]], mark: Mapping[str, Any]) -> None:
        """Write a part: the records since the last one, and how far that is."""
        part = self.folder / PARTS / f"{self.done:06d}.parquet"
        part.parent.mkdir(exist_ok=True)
        marked = self.kind.table(rows).replace_schema_metadata({_MARK: canonical_json(dict(mark))})
        write_table(part, marked)
        self._parts.append(part)

    def rows(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Some columns of all records of the parts, in order."""
        return [row for part in self._parts for row in pq.read_table(part, columns=list(columns)).to_pylist()]

    def finish(self, facts: Mapping[str, Any], change: Callable[[pa.Table], pa.Table] = lambda table: table) -> Records:
        """Join the parts to the records, seal and check them, and remove the parts.

        Args:
            facts: beside the plan and what it was run on: what was left out, seconds.
            change: what the records of a part become.
        """
        tables = [change(pq.read_table(part).replace_schema_metadata(None)) for part in self._parts]
        whole = pa.concat_tables(tables).combine_chunks() if tables else self.kind.table([])
        self.kind.check(whole)
        said = {"plan": self._state["plan"], **self._state.get("about", {}), **facts}
        records = self.kind.write(self.records, whole, said)
        self._drop_parts()
        return records

    def abandon(self) -> None:
        """Leave nothing behind, where nothing could be done."""
        self._drop_parts()
        (self.folder / STATE).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _drop_parts(self) -> None:
        shutil.rmtree(self.folder / PARTS, ignore_errors=True)
        self._parts = []


def open_run(
    kind: RecordFormat,
    *,
    plan: Mapping[str, Any],
    command: str,
    out: Path | None,
    home: Path,
    resume: bool,
    own: Sequence[str] = (),
) -> RunFolder:
    """The folder of a new run, or of the one to go on with.

    Args:
        kind: of records.
        plan: all that the records depend on, in JSON values: what a resumed run must agree in.
        command: the command line.
        out: the folder; None for one of its own in ``home``.
        home: where runs go that are not told where.
        resume: whether to go on: with the run of ``out``, or with one of ``home``: the newest unfinished one of this
            plan, else the newest finished one, which is told again.
        own: folders that such a run makes beside its parts.

    Raises:
        UsageError: it holds another run, or the unfinished one has another plan; or something else is in the way.
        IntegrityError: its state cannot be read.
    """
    asked = json.loads(canonical_json(dict(plan)))
    folder = out or (_earlier(home, kind, asked) if resume else None)
    if folder is not None and ((folder / STATE).exists() or (folder / RECORDS).exists()):
        if not resume:
            what = "the records of a run" if (folder / RECORDS).exists() else "an unfinished run"
            raise UsageError(f"{folder} already holds {what}; resume it, or choose another folder")
        instead = "begin a new run instead of resuming it" if out is None else _INSTEAD
        return RunFolder(folder, kind, _same_plan(folder, kind, asked), instead)
    run = new_run_id()
    folder = folder or home / run
    for name in (PARTS, *own):
        if (folder / name).exists():  # files in it would be taken for the run's own, and removed
            raise UsageError(f"{folder / name} is there already, and no run's; choose another folder")
    state = {"schema": _SCHEMA, "audit": kind.audit, "run": run, "command": command, "plan": asked}
    return RunFolder(folder, kind, state)


def _earlier(home: Path, kind: RecordFormat, asked: Mapping[str, Any]) -> Path | None:
    """The run to go on with; of another plan only where it is unfinished, so that the difference is told."""
    states = sorted(home.glob(f"*/{STATE}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    found: dict[tuple[bool, bool], Path] = {}  # the newest, by whether it has this plan and is finished
    broken: IntegrityError | None = None
    for file in states:
        finished = (file.parent / RECORDS).exists()
        try:
            state = _state(file)
        except IntegrityError as error:
            broken = broken if finished else error
        else:
            if state.get("audit") == kind.audit:
                found.setdefault((state["plan"] == asked, finished), file.parent)
    chosen = found.get((True, False)) or found.get((True, True)) or found.get((False, False))
    if chosen is None and broken is not None:
        raise broken
    return chosen


def _same_plan(folder: Path, kind: RecordFormat, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a folder whose plan is this one."""
    state = _state(folder / STATE)
    if state.get("audit") != kind.audit:
        raise UsageError(f"{folder} holds a run of {state.get('audit')}, not of {kind.audit}; choose another folder")
    begun, asked = _flat(state["plan"]), _flat(asked)
    differ = [name for name in {**begun, **asked} if begun.get(name) != asked.get(name)]
    if differ:
        said = "; ".join(f"{name} was {begun.get(name)} and is {asked.get(name)}" for name in differ)
        raise UsageError(f"{folder} was begun with another plan: {said}")
    return state


def _flat(plan: Mapping[str, Any], over: str = "") -> dict[str, Any]:
    """What a plan says, one name a value: ``levels.steps``."""
    found: dict[str, Any] = {}
    for name, value in plan.items():
        found |= _flat(value, f"{over}{name}.") if isinstance(value, dict) else {f"{over}{name}": value}
    return found


def _state(file: Path) -> dict[str, Any]:
    try:
        state = json.loads(file.read_bytes())
        schema, plan = state.get("schema"), state["plan"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{file} cannot be read: {error}") from error
    if schema != _SCHEMA or not isinstance(plan, dict):
        raise IntegrityError(f"{file} holds {schema}, not {_SCHEMA}")
    return state
