"""The trials of an audit: one attack at one budget on a batch of cases, judged and turned into records."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..attacks.harness import Outcome, Subject, run_attack
from ..attacks.media import Pixels
from ..attacks.projections import Norm
from ..attacks.registry import ATTACKS
from ..core.units import to_l2
from ..retrieval.answer import Answer
from ..retrieval.engine import Engine
from .plan import AuditPlan
from .retrieval_target import Aim, Goal, RetrievalTarget
from .rows import TOP, Level, Prepared, Recorder, relative_to

_MOST_WORKERS = 8


@contextmanager
def worker_threads() -> Iterator[Executor]:
    """A pool with a thread per processor, each of which computes alone.

    One attack is many small steps: threads inside each step would mostly wait for one another.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers, before = min(cores, _MOST_WORKERS), torch.get_num_threads()
    torch.set_num_threads(max(1, before // workers))
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Trials:
    """Runs attacks against one engine. Safe to use from several threads.

    Attributes:
        images: folder for saved images; kept ones stay in it.
    """

    engine: Engine
    plan: AuditPlan
    recorder: Recorder
    images: Path

    def run(self, batch: Sequence[Prepared], goal: Goal, name: str, level: float) -> list[dict[str, Any]]:
        """Attack cases of one shape; the records of the saved images, two for each case.

        Args:
            batch: cases whose images have one shape.
            goal: what the attack aims at.
            name: the attack.
            level: a budget, or a multiple of the radius. Cases without a radius are left out then.
        """
        attack = ATTACKS[name]
        eps = [self._eps(prepared, goal, attack.norm, level) for prepared in batch]
        work = [(prepared, budget) for prepared, budget in zip(batch, eps, strict=True) if budget is not None]
        if not work:
            return []
        aims = [self._aim(prepared, goal) for prepared, _ in work]
        with tempfile.TemporaryDirectory(dir=self.images) as folder:
            outcomes = run_attack(
                attack,
                RetrievalTarget(self.engine.channels, aims, goal),
                [_subject(prepared, budget) for prepared, budget in work],
                self._judge,
                effort=self.plan.effort,
                folder=Path(folder),
                policy=self.engine.policy,
                # Attacks may be approximate; measuring and judging are float64.
                dtype=torch.float32,
            )
            judged = zip(work, aims, outcomes, strict=True)
            return [r for (prepared, _), aim, done in judged for r in self._records(prepared, goal, aim, level, done)]

    def _eps(self, prepared: Prepared, goal: Goal, norm: Norm, level: float) -> float | None:
        """The budget in the attack's norm; None where it is a multiple of a radius that is not there."""
        if self.plan.at_radius:
            radius = prepared.radius(goal)
            l2 = None if radius is None or radius.l2 == 0 else level * radius.l2
        else:
            l2 = to_l2(level, self.plan.unit, prepared.values)
        return l2 if l2 is None or norm == "l2" else l2 / math.sqrt(prepared.values)

    def _aim(self, prepared: Prepared, goal: Goal) -> Aim:
        first = prepared.clean.matches[0].group
        if goal == "collision":
            others = np.setdiff1d(np.arange(self.engine.gallery.items), [first])
            return Aim(first, chosen=int(np.random.default_rng(prepared.case.seed).choice(others)))
        return Aim(first, copy=prepared.clean.point_verdict == "copy" if goal == "verdict" else None)

    def _judge(self, images: Sequence[Pixels]) -> list[Answer]:
        return self.engine.answer_many(list(images), k=TOP)

    def _records(
        self, prepared: Prepared, goal: Goal, aim: Aim, level: float, outcome: Outcome[Answer]
    ) -> list[dict[str, Any]]:
        given = Level(level, self.plan.level_unit, outcome.subject.eps)
        records = [self.recorder.trial(prepared, goal, aim, given, outcome, trial) for trial in outcome.trials]
        alarmed = any(record["alarm"] for record in records)
        if self.plan.keep == "all" or (self.plan.keep == "alarms" and alarmed):
            self._keep(records, outcome)
        return records

    def _keep(self, records: Sequence[dict[str, Any]], outcome: Outcome[Answer]) -> None:
        for record, trial in zip(records, outcome.trials, strict=True):
            words = (record["goal"], record["attack"], f"{record['budget']:g}", record["unit"])
            kept = self.images / f"{outcome.subject.stem}-{'-'.join(words)}{trial.path.suffix}"
            trial.path.replace(kept)
            record["image"] = relative_to(kept, self.images.parent)


def _subject(prepared: Prepared, eps: float) -> Subject:
    case = prepared.case
    return Subject(case.pixels, eps, case.seed, f"{case.seed:015x}-{case.edit}")
