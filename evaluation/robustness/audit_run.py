"""One sitting of an audit: chunks of queries, answered, attacked by all systems' tasks, and written as parts."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from ...attacks.media import as_pixels
from ...core.errors import UsageError
from ...core.progress import Progress, say, with_alarms
from ...core.rounded import budget_text
from ...retrieval.answer import Answer
from ...retrieval.engine import Engine
from ..shared.attacking import by_shape
from ..shared.provenance import describe_run
from ..shared.run_folder import RunFolder, open_run
from ..systems.index_system import Entrant
from ..systems.lineup import Lineup
from ..systems.retrieval_losses import TOP
from .cases import Case, Skipped, Source, iter_cases
from .plan import AuditPlan
from .records import FORMAT
from .rows import Prepared, Recorder
from .schedule import Task, series
from .showcase import GALLERY, IMAGES, WORK, Record, Showcase, in_gallery, keep_only
from .trials import Trials

HOME = Path("retr-audit")
"""Where audits go that are not told where."""
OUT_OF_TIME = "not reached within the time limit"

_CASES_PER_CHUNK = 16
"""Cases taken on together, where each has few attacks; also how coarse a time limit and a checkpoint are."""
_CASES_IN_A_HURRY = 4
"""The same where there is a time limit."""
_ATTACKS_PER_CHUNK = 1024
_ATTACKS_IN_A_HURRY = 128
_VALUES_PER_CHUNK = 50_000_000
_ANSWERED_AT_ONCE = 4

_SEEN = ("image", "clean_image", "medium", "l2", "rmse", "goal", "attack", "clean_first", "success", "system", "source")
_SEEN_TOO = ("best_loss", "sees")


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


def reached(place: RunFolder) -> Reached:
    """Where the parts of an audit end."""
    marks = place.marks()
    skipped = tuple((path, reason) for mark in marks for path, reason in mark["skipped"])
    return Reached(**{**marks[-1], "skipped": skipped}) if marks else Reached()


def open_folder(plan: AuditPlan) -> RunFolder:
    """The folder of a new audit, or of the one to go on with; raises as ``run_folder.open_run``."""
    return open_run(
        FORMAT,
        plan=plan.as_json(),
        command=plan.command,
        out=plan.out,
        home=HOME,
        resume=plan.resume,
        own=(IMAGES, GALLERY, WORK),
    )


Job = tuple[int, str, Future[list[Record]]]
"""How many attacks on single images it stands for, what it does, and its records to come."""


class AuditRun:
    """One sitting of an audit."""

    def __init__(
        self,
        engine: Engine,
        plan: AuditPlan,
        lineup: Lineup,
        place: RunFolder,
        *,
        progress: Progress,
    ) -> None:
        self._engine, self._plan, self._lineup, self._place = engine, plan, lineup, place
        systems = [entrant.system for entrant in lineup.all]
        run = partial(describe_run, run=place.run, command=place.command, seed=plan.seed)
        self._recorder = Recorder({system.name: run(system.describe()) for system in systems})
        self._trials = Trials(plan, self._recorder, place.folder, engine.gallery.items, engine.policy)
        self._tasks = {system.name: series(plan, system) for system in systems}
        attacked = [*lineup.entrants, *([lineup.transfer] if lineup.transfer else [])]
        self._per_case = sum(len(same) for entrant in attacked for same in self._tasks[entrant.system.name])
        self._showcase = Showcase(place.folder, plan.gallery)
        self._reached = reached(place)
        self._began = time.perf_counter() - self._reached.seconds
        self._progress = progress
        self._longest = 0.0  # chunk so far, in seconds

    def run(self, sources: Sequence[Source], left_out: Skips, pool: Executor) -> None:
        """Attack the cases of all sources that no part holds, as far as time allows, and write the records.

        Args:
            sources: all of the plan's.
            left_out: inputs that are none.
            pool: where attacks run.

        Raises:
            UsageError: nothing could be audited.
        """
        total = len(sources) * len(self._plan.chosen_edits) * self._per_case
        self._progress.start(total, self._reached.done)
        self._take_up()
        for cases, last, skipped in self._chunks(sources):
            began = time.perf_counter()
            self._write(self._attack(cases, pool), last, skipped)
            self._longest = max(self._longest, time.perf_counter() - began)
        late = tuple((source.path, OUT_OF_TIME) for source in sources[self._reached.sources :])
        self._finish((*left_out, *reached(self._place).skipped, *late))

    # -- beginning and end ----------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Clear what a kill has left, and take the gallery's images up again."""
        folder, rows = self._place.folder, self._place.rows((*_SEEN, *_SEEN_TOO))
        shutil.rmtree(folder / WORK, ignore_errors=True)
        (folder / WORK).mkdir()
        wanted = {row[name] for row in rows for name in ("image", "clean_image")}
        keep_only(folder, IMAGES, wanted)
        keep_only(folder, GALLERY, wanted)
        self._showcase.offer([row for row in rows if in_gallery(row) and (folder / row["image"]).exists()])
        self._advance(0, "reading queries")

    def _finish(self, skipped: Skips) -> None:
        shutil.rmtree(self._place.folder / WORK)
        shown = self._showcase.close()
        if not self._place.count:
            self._place.abandon()
            reasons = sorted({reason for _, reason in skipped})
            raise UsageError(f"no query could be audited: {'; '.join(reasons)}")
        seconds = time.perf_counter() - self._began
        self._place.finish({"skipped": skipped, "seconds": seconds}, lambda table: _without(table, shown))

    def _write(self, records: Sequence[Record], last: int, skipped: Skips) -> None:
        seconds = time.perf_counter() - self._began
        self._reached = replace(self._reached, sources=last, seconds=seconds, skipped=skipped)
        self._place.add(records, asdict(self._reached))

    # -- queries --------------------------------------------------------------------------------------------------

    def _chunks(self, sources: Sequence[Source]) -> Iterator[tuple[list[Case], int, Skips]]:
        """Cases of some whole sources, the number of sources up to there, and what was left out on the way.

        What is taken on is finished: a query that was answered and not attacked would look robust.
        """
        cases, skipped, last = [], Skipped(), self._reached.sources
        unhurried = self._plan.seconds is None
        most = _CASES_PER_CHUNK if unhurried else _CASES_IN_A_HURRY
        attacks = _ATTACKS_PER_CHUNK if unhurried else _ATTACKS_IN_A_HURRY
        most = max(1, min(most, attacks // max(1, self._per_case)))
        per_source = len(self._plan.chosen_edits) * self._per_case
        for source in sources[last:]:
            if self._out_of_time():
                self._advance((len(sources) - last) * per_source, OUT_OF_TIME)
                break
            found = list(iter_cases(self._engine, self._plan, source, skipped))
            self._advance(per_source - len(found) * self._per_case, "reading queries")
            cases, last = [*cases, *found], last + 1
            if len(cases) >= most or sum(case.pixels.size for case in cases) >= _VALUES_PER_CHUNK:
                yield cases, last, tuple(skipped.paths)
                cases, skipped = [], Skipped()
        if last > self._reached.sources:
            yield cases, last, tuple(skipped.paths)

    def _out_of_time(self) -> bool:
        """Whether another chunk like the longest so far would end after the time limit."""
        limit = math.inf if self._plan.seconds is None else self._plan.seconds
        return time.perf_counter() - self._began + self._longest >= limit

    # -- attacks --------------------------------------------------------------------------------------------------

    def _attack(self, cases: Sequence[Case], pool: Executor) -> list[Record]:
        """Every task of every system on every case; records come in the same order on any number of threads."""
        seen = {entrant.system.name: self._prepare(cases, entrant) for entrant in self._lineup.all}
        direct = [seen[entrant.system.name] for entrant in self._lineup.entrants]
        records = [self._recorder.clean(prepared) for view in direct for prepared in view]
        jobs = [job for view in direct for job in self._submit(view, None, pool)]
        if self._lineup.transfer is not None:
            judges = [seen[entrant.system.name] for entrant in self._lineup.judges]
            jobs += self._submit(seen[self._lineup.transfer.system.name], judges, pool)
        for count, doing, job in jobs:
            made = job.result()
            self._showcase.offer(made)
            records += made
            self._advance(count, doing, sum(record["alarm"] for record in made))
        return records

    def _prepare(self, cases: Sequence[Case], entrant: Entrant) -> list[Prepared]:
        """What a system answers to the cases, with certificates."""
        answers: list[Answer] = []
        for start in range(0, len(cases), _ANSWERED_AT_ONCE):
            images = [as_pixels(case.pixels) for case in cases[start : start + _ANSWERED_AT_ONCE]]
            answers += entrant.system.answer_many(images, k=TOP, certify=True)
        return [Prepared(case, entrant, answer) for case, answer in zip(cases, answers, strict=True)]

    def _submit(
        self, view: Sequence[Prepared], judges: Sequence[Sequence[Prepared]] | None, pool: Executor
    ) -> Iterator[Job]:
        """All tasks of one system on the cases as it sees them."""
        for same in self._tasks[view[0].entrant.system.name] if view else ():
            shapes = [prepared.case.pixels.shape for prepared in view]
            for places in by_shape(shapes, most=self._plan.batch_size, each=len(same)):
                batch = [view[place] for place in places]
                others = None if judges is None else [[judge[place] for place in places] for judge in judges]
                job = pool.submit(self._trials.run, same, batch, others)
                yield len(same) * len(batch), self._doing(same, batch[0].entrant, transfer=judges is not None), job

    def _doing(self, same: Sequence[Task], entrant: Entrant, *, transfer: bool) -> str:
        alone = len(self._lineup.all) == 1
        where = "" if alone else f" {'from' if transfer else 'on'} {entrant.system.name}"
        levels = ", ".join(dict.fromkeys(budget_text(task.level) for task in same))
        return f"{same[0].attack.name} at {levels} {self._plan.level_unit}{where}"

    def _advance(self, count: int, doing: str, alarms: int = 0) -> None:
        done, found = self._reached.done + count, self._reached.alarms + alarms
        self._reached = replace(self._reached, done=done, alarms=found)
        say(self._progress, with_alarms(doing, found))
        self._progress.advance(count)


def _without(table: pa.Table, shown: set[str]) -> pa.Table:
    """Records that name no image which the gallery has dropped."""
    images = table["image"].to_pylist()
    gone = [name is not None and name.startswith(f"{GALLERY}/") and name not in shown for name in images]
    for column in ("image", "clean_image"):
        place = table.schema.get_field_index(column)
        values = [None if lost else value for value, lost in zip(table[column].to_pylist(), gone, strict=True)]
        table = table.set_column(place, table.schema.field(place), pa.array(values, pa.string()))
    return table
