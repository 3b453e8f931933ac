"""``retr bench-2afc``: how metrics judge triplets, before and after attacks, held against their certificates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import ModelError, RetrError
from ...datasets.pixels import LazyTriplets
from ...datasets.rows import RejectedRow
from ...datasets.triplets import Triplet
from ...images.policy import DecodePolicy
from ..robustness.trials import worker_threads
from ..shared.provenance import describe_run, new_run_id
from .certificates import certify_triplets
from .data import chunks, open_data
from .folder import Folder, Part, open_folder
from .metric import Array, System, check_side, load_system
from .plan import TwoAFCPlan
from .records import TripletRecords, nearer, read_triplet_records
from .rows import Radii, Row, View
from .targets import planes
from .tasks import Task, check_different, find_source, plan_tasks
from .trials import Trials

_VALUES_PER_BATCH = 3_000_000
"""Values of images attacked at a time by one thread: some twenty float32 arrays of this size at the least."""
Bytes = npt.NDArray[np.uint8]
Pieces = list[tuple[str, LazyTriplets]]
"""Triplets that are taken on together, each with its data set."""


@dataclass(frozen=True)
class Progress:
    """How far a benchmark is, in triplets under one attack.

    Attributes:
        done: finished.
        total: all of them.
        doing: what runs now, in a few words.
        alarms: so far.
    """

    done: int
    total: int
    doing: str
    alarms: int


@dataclass(frozen=True)
class TwoAFCResult:
    """What a benchmark found.

    Attributes:
        folder: where the records are, and what the paths of images in them are relative to.
        path: the Parquet file.
        records: its content.
        rejected: triplets that could not be used: (data set, what is wrong, with triplet and file).
        alarms: certificates that an attack broke; 0 unless something is wrong with retr.
        seconds: computed, in all sittings.
    """

    folder: Path
    path: Path
    records: TripletRecords
    rejected: tuple[tuple[str, str], ...]
    alarms: int
    seconds: float


def run_two_afc(plan: TwoAFCPlan, *, progress: Callable[[Progress], None] = lambda _: None) -> TwoAFCResult:
    """Run a benchmark, or what is left of it.

    Args:
        plan: what to do.
        progress: called after every batch of attacks.

    Raises:
        UsageError: there is nothing to judge, a metric cannot take the images, or the folder is in use.
        ModelError: a metric cannot be loaded, or gives what is no number.
    """
    policy = DecodePolicy()
    data = [(spec, open_data(spec, plan.choice, policy=policy)) for spec in plan.data]
    systems = [load_system(spec, device=plan.device) for spec in plan.metrics]
    source = find_source(plan, systems)
    judges = systems if source is None or source in systems else [*systems, source]
    check_different(judges)
    for system in judges:
        for side in {triplets.side for _, triplets in data}:
            check_side(system, side)
    tasks, left_out = plan_tasks(plan, systems, source)
    facts = _facts(plan, data, judges, policy, left_out)
    folder = open_folder(plan.out, facts, resume=plan.resume)
    pieces = [(name, piece) for name, triplets in data for piece in chunks(triplets, plan.batch_size)]
    try:
        with worker_threads() as pool:
            _Sitting(plan, Trials(plan, policy), judges, tasks, folder, progress).run(pieces, pool)
    except RetrError:
        folder.abandon()
        raise
    facts = folder.finish()
    records = read_triplet_records(folder.records)
    alarms = sum(records.table["alarm"].to_pylist())
    rejected = tuple((name, why) for name, why in facts["rejected"])
    return TwoAFCResult(folder.path, folder.records, records, rejected, alarms, facts["seconds"])


class _Sitting:
    """One sitting of a run."""

    def __init__(
        self,
        plan: TwoAFCPlan,
        trials: Trials,
        judges: Sequence[System],
        tasks: Sequence[Task],
        folder: Folder,
        progress: Callable[[Progress], None],
    ) -> None:
        self._plan, self._trials, self._judges, self._tasks = plan, trials, judges, tasks
        self._folder, self._progress = folder, progress
        self._done, self._total, self._alarms = 0, 0, folder.alarms()

    def run(self, pieces: Pieces, pool: Executor) -> None:
        """Attack the triplets that no part holds."""
        each = len(self._judges) + len(self._tasks)
        self._total = each * sum(len(piece) for _, piece in pieces)
        self._advance(each * sum(len(piece) for _, piece in pieces[: self._folder.done]), "reading triplets")
        for name, piece in pieces[self._folder.done :]:
            began = time.perf_counter()
            kept, rejects = _read(piece)
            self._advance(each * len(rejects), "reading triplets", 0)
            rows = [row for group in _shapes(kept) for row in self._judge(name, group, pool)]
            self._folder.add(Part(rows, [(name, row) for row in rejects], time.perf_counter() - began))

    def _judge(self, name: str, triplets: Sequence[Triplet[Bytes]], pool: Executor) -> Iterator[Row]:
        """Clean rows of all metrics, then the rows of all tasks, in the same order on any number of threads."""
        waiting = [pool.submit(view_of, system, name, triplets, self._plan.choice.seed) for system in self._judges]
        views = {}
        for system, view in zip(self._judges, waiting, strict=True):
            views[system.spec] = view.result()
            self._advance(len(triplets), f"judging by {system.spec}")
        for view in views.values():
            yield from (view.clean_row(place) for place in range(len(triplets)))
        jobs: list[tuple[Task, Future[list[Row]]]] = []
        for task in self._tasks:
            view = views[task.system.spec]
            others = [other for other in views.values() if task.transfer and other is not view]
            jobs.append((task, pool.submit(self._trials.run, task.setting, task.moves, view, others)))
        for task, job in jobs:
            rows = job.result()
            alarms = sum(row["alarm"] for row in rows)
            self._advance(len(triplets), f"{task.setting.label} on {task.system.spec}", alarms)
            yield from rows

    def _advance(self, count: int, doing: str, alarms: int = 0) -> None:
        self._done, self._alarms = self._done + count, self._alarms + alarms
        self._progress(Progress(self._done, self._total, doing, self._alarms))


def view_of(system: System, name: str, triplets: Sequence[Triplet[Bytes]], seed: int) -> View:
    """Triplets of one shape as a metric judges them, with certificates where it has any.

    Raises:
        ModelError: a distance is no number.
    """
    check_side(system, min(triplets[0].reference.shape[:2]))
    reference, left, right = (planes([image / 255.0 for image in images]) for images in _columns(triplets))
    found = [system.distances(reference, candidates) for candidates in (left, right)]
    for place, triplet in enumerate(triplets):
        if math.isnan(found[0][place]) or math.isnan(found[1][place]):
            raise ModelError(f"{system.spec} gives triplet {triplet.name} of {name} a distance that is no number")
    radii = _radii(system, triplets, nearer(*found)) if system.certified else [Radii()] * len(triplets)
    return View(system, name, tuple(triplets), found[0], found[1], tuple(radii), seed)


def _radii(system: System, triplets: Sequence[Triplet[Bytes]], order: Array) -> list[Radii]:
    """Certificates of the judgements that the certified path shares with the metric; it may differ by rounding."""
    assert system.embedder is not None, "only embedders are certified"
    proved = certify_triplets(system.embedder, *(np.stack(images) for images in _columns(triplets)))
    cosine = system.embedder.score == "cosine"
    return [
        Radii(
            sound=_number(proved.radius_sound[place]),
            published=_number(proved.radius_published[place]),
            all=_number(proved.radius_all[place]),
            published_holds=bool(proved.published_holds[place]) if cosine else None,
        )
        if proved.chosen[place] == order[place]
        else Radii()
        for place in range(len(triplets))
    ]


def _number(radius: float) -> float | None:
    """A radius, or None where it is withheld."""
    return None if np.isnan(radius) else float(radius)


def _columns(triplets: Sequence[Triplet[Bytes]]) -> Iterator[list[Bytes]]:
    yield [one.reference for one in triplets]
    yield [one.left for one in triplets]
    yield [one.right for one in triplets]


def _read(piece: LazyTriplets) -> tuple[list[Triplet[Bytes]], list[RejectedRow]]:
    """Triplets with their pixels, and those that cannot be used."""
    outcomes = list(piece.outcomes())
    kept = [one for one in outcomes if isinstance(one, Triplet)]
    return kept, [one for one in outcomes if isinstance(one, RejectedRow)]


def _shapes(triplets: Sequence[Triplet[Bytes]]) -> Iterator[list[Triplet[Bytes]]]:
    """Triplets by the size of their images, no more at a time than fit in memory."""
    shapes: dict[tuple[int, ...], list[Triplet[Bytes]]] = {}
    for one in triplets:
        shapes.setdefault(one.reference.shape, []).append(one)
    for shape, group in shapes.items():
        most = max(1, _VALUES_PER_BATCH // math.prod(shape))
        yield from (group[start : start + most] for start in range(0, len(group), most))


def _facts(
    plan: TwoAFCPlan,
    data: Sequence[tuple[str, LazyTriplets]],
    systems: Sequence[System],
    policy: DecodePolicy,
    left_out: Sequence[dict[str, str]],
) -> dict[str, Any]:
    metrics = [system.describe() for system in systems]
    described = {
        "model": "+".join(one["spec"] for one in metrics),
        "model_digest": "+".join(one["digest"] or "" for one in metrics),
        "snapshot": "",
        "policy_digest": policy.digest,
    }
    provenance = describe_run(described, run=new_run_id(), command=plan.command, seed=plan.choice.seed)
    sets = [{"name": name, **triplets.describe()} for name, triplets in data]
    return {**provenance.columns(), "plan": plan.as_json(), "metrics": metrics, "data": sets, "left_out": left_out}
