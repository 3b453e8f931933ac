"""``retr attack-eval``: attack a sample of queries, and hold every certificate against what was found."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from ..attacks.media import as_pixels
from ..core.errors import UsageError
from ..retrieval.engine import Engine
from .cases import Skipped, Source, find_sources, iter_cases
from .plan import AuditPlan
from .provenance import provenance_of
from .records import RecordWriter, read_records, write_records
from .rows import TOP, Prepared, Recorder
from .summary import Summary, summarise
from .trials import Trials, worker_threads

RECORDS = "records.parquet"
IMAGES = "images"
OUT_OF_TIME = "not reached within the time limit"

_CASES_PER_CHUNK = 16
"""Cases taken on together; also how coarse a time limit is."""
_VALUES_PER_CHUNK = 50_000_000
_VALUES_PER_BATCH = 3_000_000
"""Values attacked at a time by one thread: some twenty float32 arrays of this size at the peak."""


@dataclass(frozen=True)
class Progress:
    """How far an audit is, in attacks on single images.

    Attributes:
        done: attacks finished, or known not to be needed.
        total: all of them.
        doing: what runs now, in a few words.
        alarms: soundness alarms so far.
    """

    done: int
    total: int
    doing: str
    alarms: int


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Attributes:
        run: id of the run.
        folder: where the records are.
        records: the Parquet file.
        summary: computed from the records alone.
        skipped: reason → how many inputs were left out.
        skipped_paths: each of them with its reason.
        seconds: wall time.
    """

    run: str
    folder: Path
    records: Path
    summary: Summary
    skipped: dict[str, int]
    skipped_paths: tuple[tuple[str, str], ...]
    seconds: float


def run_attack_eval(
    engine: Engine, plan: AuditPlan, *, progress: Callable[[Progress], None] = lambda _: None
) -> AuditResult:
    """Run an audit.

    Each query under each edit is answered with a certificate, attacked by each attack for each goal at each budget, and
    each adversarial image is saved, loaded, measured and answered again by the same engine. A certificate that an
    image inside its radius breaks is an alarm.

    Args:
        engine: the index.
        plan: what to do.
        progress: called after every batch of attacks.

    Raises:
        UsageError: there is nothing to audit, or the plan asks for what this index cannot give.
        IndexStateError: as the engine raises.
    """
    _check(engine, plan)
    started, skipped = time.perf_counter(), Skipped()
    sources = find_sources(engine, plan, skipped)
    recorder = Recorder(provenance_of(engine, command=plan.command, seed=plan.seed), plan)
    run = recorder.provenance.run
    folder = plan.out or Path("retr-audit") / run
    images = _make_folders(folder)
    with write_records(folder / RECORDS) as writer, worker_threads() as pool:
        audit = _Audit(engine, plan, recorder, writer, Trials(engine, plan, recorder, images), progress)
        audit.run(sources, skipped, pool)
        if not writer.count:
            raise UsageError(f"no query could be audited: {dict(skipped.reasons)}")
    if not any(images.iterdir()):
        images.rmdir()
    records = folder / RECORDS
    summary = summarise(read_records(records))
    seconds = time.perf_counter() - started
    return AuditResult(run, folder, records, summary, dict(skipped.reasons), tuple(skipped.paths), seconds)


def _check(engine: Engine, plan: AuditPlan) -> None:
    if engine.gallery.items < 2:
        raise UsageError(f"an audit needs an index of at least two items, and this one holds {engine.gallery.items}")
    reason = engine.why_uncertified()
    if plan.at_radius and reason is not None:
        raise UsageError(f"--at-radius needs certified radii, and {reason}")
    if ("verdict" in plan.goals or len(engine.channels) > 1) and any(c.threshold is None for c in engine.channels):
        raise UsageError("the verdict needs a threshold, and this index has none; see retr calibrate")


def _make_folders(folder: Path) -> Path:
    if (folder / RECORDS).exists():
        raise UsageError(f"{folder} already holds the records of an audit; choose another folder")
    images = folder / IMAGES
    try:
        images.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{images} cannot be made: {error.strerror}") from error
    return images


def _chunks(cases: Iterator[Prepared]) -> Iterator[list[Prepared]]:
    """Cases in order, some at a time."""
    chunk: list[Prepared] = []
    for case in cases:
        chunk.append(case)
        if len(chunk) >= _CASES_PER_CHUNK or sum(one.values for one in chunk) >= _VALUES_PER_CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _batches(chunk: Sequence[Prepared], size: int) -> Iterator[list[Prepared]]:
    """A chunk's cases by shape, no more at a time than fit in memory."""
    shapes: dict[tuple[int, ...], list[Prepared]] = defaultdict(list)
    for case in chunk:
        shapes[case.case.pixels.shape].append(case)
    for shape, cases in shapes.items():
        most = max(1, min(size, _VALUES_PER_BATCH // math.prod(shape)))
        yield from (cases[start : start + most] for start in range(0, len(cases), most))


class _Audit:
    """One run under way."""

    def __init__(
        self,
        engine: Engine,
        plan: AuditPlan,
        recorder: Recorder,
        writer: RecordWriter,
        trials: Trials,
        progress: Callable[[Progress], None],
    ) -> None:
        self._engine, self._plan, self._recorder = engine, plan, recorder
        self._writer, self._trials, self._progress = writer, trials, progress
        self._per_case = len(plan.goals) * len(plan.attacks) * len(plan.levels)
        self._total = self._done = self._alarms = 0
        self._ends = math.inf if plan.seconds is None else time.monotonic() + plan.seconds

    def run(self, sources: Sequence[Source], skipped: Skipped, pool: Executor) -> None:
        """Attack the cases of all sources, as far as time allows."""
        self._total = len(sources) * len(self._plan.chosen_edits) * self._per_case
        for chunk in _chunks(self._prepare(sources, skipped)):
            self._writer.add([self._recorder.clean(prepared) for prepared in chunk])
            self._attack(chunk, pool)

    def _prepare(self, sources: Sequence[Source], skipped: Skipped) -> Iterator[Prepared]:
        """Answer the cases of the sources; those that match nothing are recorded and need no attack."""
        for source in sources:
            # What is taken on is finished: a query that was answered and not attacked would look robust.
            if time.monotonic() >= self._ends:
                skipped.add(source.path, OUT_OF_TIME)
                self._advance(len(self._plan.chosen_edits) * self._per_case, OUT_OF_TIME)
                continue
            found = list(iter_cases(self._engine, self._plan, source, skipped))
            answers = self._engine.answer_many([as_pixels(case.pixels) for case in found], k=TOP, certify=True)
            prepared = [Prepared(case, answer) for case, answer in zip(found, answers, strict=True)]
            comparable = [one for one in prepared if one.clean.matches]
            self._writer.add([self._recorder.clean(one) for one in prepared if not one.clean.matches])
            self._advance((len(self._plan.chosen_edits) - len(comparable)) * self._per_case, "reading queries")
            yield from comparable

    def _attack(self, chunk: Sequence[Prepared], pool: Executor) -> None:
        """Every goal, attack and budget on every case; records come in the same order on any number of threads."""
        plan, jobs = self._plan, []
        for batch in _batches(chunk, plan.batch_size):
            for goal, name, level in product(plan.goals, plan.attacks, plan.levels):
                doing = f"{name} at {level:g} {plan.level_unit}"
                jobs.append((len(batch), doing, pool.submit(self._trials.run, batch, goal, name, level)))
        for count, doing, job in jobs:
            records = job.result()
            self._alarms += sum(record["alarm"] for record in records)
            self._writer.add(records)
            self._advance(count, doing)

    def _advance(self, count: int, doing: str) -> None:
        self._done += count
        self._progress(Progress(self._done, self._total, doing, self._alarms))
