"""``retr attack-eval``: attack a sample of queries, and hold every certificate against what was found."""

from __future__ import annotations

import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..attacks.harness import Outcome, Subject, run_attack
from ..attacks.media import Pixels, as_pixels
from ..attacks.projections import Norm
from ..attacks.registry import ATTACKS
from ..core.errors import UsageError
from ..core.units import to_l2
from ..retrieval.answer import Answer
from ..retrieval.engine import Engine
from .cases import Skipped, Source, find_sources, iter_cases
from .plan import AuditPlan
from .provenance import provenance_of
from .records import RecordWriter, read_records, write_records
from .retrieval_target import Aim, Goal, RetrievalTarget
from .rows import TOP, Level, Prepared, Recorder, relative_to
from .summary import Summary, summarise

RECORDS = "records.parquet"
IMAGES = "images"
OUT_OF_TIME = "not reached within the time limit"

_VALUES_PER_BATCH = 6_000_000
"""Values attacked at a time: bounds memory, some twenty arrays of this size at the peak."""
_VALUES_WAITING = 50_000_000
"""Values of cases that wait for others of their shape."""


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
    with write_records(folder / RECORDS) as writer:
        audit = _Audit(engine, plan, recorder, writer, images, len(sources), progress)
        for batch in _batches(audit.prepare(sources, skipped), plan.batch_size):
            if audit.in_time:
                audit.attack(batch)
            else:
                audit.leave_out(batch, skipped)
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


def _batches(cases: Iterator[Prepared], size: int) -> Iterator[list[Prepared]]:
    """Cases of one shape, in batches; incomplete ones once too much waits, and at the end."""
    waiting: dict[tuple[int, ...], list[Prepared]] = defaultdict(list)
    values = 0
    for case in cases:
        waiting[case.case.pixels.shape].append(case)
        values += case.values
        fullest = max(waiting, key=lambda shape: len(waiting[shape]) * math.prod(shape))
        full = len(waiting[fullest]) >= max(1, min(size, _VALUES_PER_BATCH // math.prod(fullest)))
        if full or values >= _VALUES_WAITING:
            batch = waiting.pop(fullest)
            values -= sum(one.values for one in batch)
            yield batch
    yield from waiting.values()


class _Audit:
    """One run under way."""

    def __init__(
        self,
        engine: Engine,
        plan: AuditPlan,
        recorder: Recorder,
        writer: RecordWriter,
        images: Path,
        sources: int,
        progress: Callable[[Progress], None],
    ) -> None:
        self._engine, self._plan, self._recorder = engine, plan, recorder
        self._writer, self._images, self._progress = writer, images, progress
        self._per_case = len(plan.goals) * len(plan.attacks) * len(plan.levels)
        self._total = sources * len(plan.chosen_edits) * self._per_case
        self._done = self._alarms = 0
        self._ends = math.inf if plan.seconds is None else time.monotonic() + plan.seconds

    @property
    def in_time(self) -> bool:
        """Whether the plan's time limit allows for more."""
        return time.monotonic() < self._ends

    def prepare(self, sources: Sequence[Source], skipped: Skipped) -> Iterator[Prepared]:
        """Answer the cases of the sources; those that match nothing are recorded and need no attack."""
        for source in sources:
            if not self.in_time:
                skipped.add(source.path, OUT_OF_TIME)
                continue
            found = list(iter_cases(self._engine, self._plan, source, skipped))
            answers = self._engine.answer_many([as_pixels(case.pixels) for case in found], k=TOP, certify=True)
            prepared = [Prepared(case, answer) for case, answer in zip(found, answers, strict=True)]
            comparable = [one for one in prepared if one.clean.matches]
            self._writer.add([self._recorder.clean(one) for one in prepared if not one.clean.matches])
            self._advance((len(self._plan.chosen_edits) - len(comparable)) * self._per_case, "reading queries")
            yield from comparable

    def leave_out(self, batch: Sequence[Prepared], skipped: Skipped) -> None:
        """Count cases that the time limit leaves no room for: a query that was not attacked must not look robust."""
        for prepared in batch:
            skipped.add(prepared.case.query, OUT_OF_TIME)

    def attack(self, batch: Sequence[Prepared]) -> None:
        """Every goal, attack and budget on a batch of one shape, and the records without attack."""
        self._writer.add([self._recorder.clean(prepared) for prepared in batch])
        for goal in self._plan.goals:
            aims = [self._aim(prepared, goal) for prepared in batch]
            for name in self._plan.attacks:
                for level in self._plan.levels:
                    self._attack_at(batch, aims, goal, name, level)
                    self._advance(len(batch), f"{name} at {level:g} {self._plan.level_unit}")

    def _advance(self, count: int, doing: str) -> None:
        self._done += count
        self._progress(Progress(self._done, self._total, doing, self._alarms))

    def _aim(self, prepared: Prepared, goal: Goal) -> Aim:
        first = prepared.clean.matches[0].group
        if goal == "collision":
            others = np.setdiff1d(np.arange(self._engine.gallery.items), [first])
            return Aim(first, chosen=int(np.random.default_rng(prepared.case.seed).choice(others)))
        return Aim(first, copy=prepared.clean.point_verdict == "copy" if goal == "verdict" else None)

    def _attack_at(self, batch: Sequence[Prepared], aims: Sequence[Aim], goal: Goal, name: str, level: float) -> None:
        attack = ATTACKS[name]
        eps = [self._eps(prepared, goal, attack.norm, level) for prepared in batch]
        work = [i for i, budget in enumerate(eps) if budget is not None]
        if not work:
            return
        levels = [Level(level, self._plan.level_unit, budget) for budget in eps if budget is not None]
        with tempfile.TemporaryDirectory(dir=self._images) as folder:
            outcomes = run_attack(
                attack,
                RetrievalTarget(self._engine.channels, [aims[i] for i in work], goal),
                [_subject(batch[i], one.eps) for i, one in zip(work, levels, strict=True)],
                self._judge,
                effort=self._plan.effort,
                folder=Path(folder),
                policy=self._engine.policy,
                # Attacks may be approximate; measuring and judging are float64.
                dtype=torch.float32,
            )
            for i, one, outcome in zip(work, levels, outcomes, strict=True):
                self._record(batch[i], goal, aims[i], one, outcome)

    def _eps(self, prepared: Prepared, goal: Goal, norm: Norm, level: float) -> float | None:
        """The budget in the attack's norm; None where it is a multiple of a radius that is not there."""
        if self._plan.at_radius:
            radius = prepared.radius(goal)
            l2 = None if radius is None or radius.l2 == 0 else level * radius.l2
        else:
            l2 = to_l2(level, self._plan.unit, prepared.values)
        if l2 is None:
            return None
        return l2 if norm == "l2" else l2 / math.sqrt(prepared.values)

    def _judge(self, images: Sequence[Pixels]) -> list[Answer]:
        return self._engine.answer_many(list(images), k=TOP)

    def _record(self, prepared: Prepared, goal: Goal, aim: Aim, level: Level, outcome: Outcome[Answer]) -> None:
        records = [self._recorder.trial(prepared, goal, aim, level, outcome, trial) for trial in outcome.trials]
        alarmed = sum(record["alarm"] for record in records)
        if self._plan.keep == "all" or (self._plan.keep == "alarms" and alarmed):
            self._keep(records, outcome)
        self._alarms += alarmed
        self._writer.add(records)

    def _keep(self, records: Sequence[dict[str, Any]], outcome: Outcome[Answer]) -> None:
        for record, trial in zip(records, outcome.trials, strict=True):
            words = (record["goal"], record["attack"], f"{record['budget']:g}", record["unit"])
            kept = self._images / f"{outcome.subject.stem}-{'-'.join(words)}{trial.path.suffix}"
            trial.path.replace(kept)
            record["image"] = relative_to(kept, self._images.parent)


def _subject(prepared: Prepared, eps: float) -> Subject:
    case = prepared.case
    return Subject(case.pixels, eps, case.seed, f"{case.seed:015x}-{case.edit}")
