"""``retr bench-2afc``: how metrics judge triplets, before and after attacks, held against their certificates."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...core.errors import ModelError, RetrError, UsageError
from ...core.progress import Progress, Silent, say, with_alarms
from ...datasets.pixels import LazyTriplets
from ...datasets.rows import RejectedRow
from ...datasets.triplets import Triplet
from ...images.policy import DecodePolicy
from ..shared.attacking import by_shape, worker_threads
from ..shared.provenance import Provenance, describe_run
from ..shared.records import Records, Row
from ..shared.run_folder import RunFolder, open_run
from .certificates import certify_triplets
from .data import chunks, open_data
from .metric import Array, System, check_side
from .plan import TwoAFCPlan
from .records import FORMAT, nearer
from .rows import Radii, View
from .targets import planes
from .tasks import LeftOut, Task, check_different, find_source, load_systems, plan_tasks
from .trials import IMAGES, run_task

Bytes = npt.NDArray[np.uint8]
Pieces = list[tuple[str, LazyTriplets]]
"""Triplets that are taken on together, each with its data set."""


@dataclass(frozen=True)
class TwoAFCResult:
    """What a benchmark found.

    Attributes:
        folder: where the records are, and what the paths of images in them are relative to.
        path: the Parquet file.
        records: its content.
        rejected: triplets that could not be used: (data set, what is wrong, with triplet and file).
        absent: metrics that could not be loaded here: (metric, what is missing), once for every setting left out.
        alarms: certificates that an attack broke; 0 unless something is wrong with retr.
        seconds: computed, in all sittings.
        stored: whether the run had been finished before, and is only told again.
    """

    folder: Path
    path: Path
    records: Records
    rejected: tuple[tuple[str, str], ...]
    absent: tuple[tuple[str, str], ...]
    alarms: int
    seconds: float
    stored: bool = False


def run_two_afc(plan: TwoAFCPlan, *, progress: Progress | None = None) -> TwoAFCResult:
    """Run a benchmark, or what is left of it.

    Args:
        plan: what to do.
        progress: told of every batch of attacks.

    Raises:
        UsageError: there is nothing to judge, a metric cannot take the images, or the folder is in use.
        ModelError: no metric can be loaded, or one gives what is no number.
    """
    policy = DecodePolicy()
    data = [(spec, open_data(spec, plan.choice, policy=policy)) for spec in plan.data]
    found, missing = load_systems(plan)
    systems = list(found.values())
    source, stranded = find_source(plan, found)
    judges = systems if source is None or source in systems else [*systems, source]
    check_different(judges)
    for system in judges:
        for side in {triplets.side for _, triplets in data}:
            check_side(system, side)
    tasks, left_out = plan_tasks(plan, systems, source)
    place = open_run(
        FORMAT,
        plan=plan.as_json(),
        command=plan.command,
        out=plan.out,
        home=plan.out,
        resume=plan.resume,
        own=(IMAGES,),
    )
    sets = [{"name": name, **triplets.describe()} for name, triplets in data]
    place.begin({"metrics": [system.describe() for system in judges], "data": sets})
    finished = place.finished
    if not finished:
        told = {system.spec: _provenance(system, plan, place, policy) for system in judges}
        pieces = [(name, piece) for name, triplets in data for piece in chunks(triplets, plan.batch_size)]
        try:
            with worker_threads() as pool:
                _Sitting(plan, judges, tasks, told, place, progress or Silent()).run(pieces, pool)
        except RetrError:
            if not place.done:
                place.abandon()
            raise
        _finish(place, next(iter(told.values())), [*missing, *stranded, *left_out])
    records = FORMAT.read(place.records)
    alarms = sum(records.table["alarm"].to_pylist())
    rejected = tuple((name, why) for name, why in records.facts["rejected"])
    absent = tuple((one["metric"], one["why"]) for one in (*missing, *stranded))
    seconds = records.facts["seconds"]
    return TwoAFCResult(place.folder, place.records, records, rejected, absent, alarms, seconds, stored=finished)


def _finish(place: RunFolder, told: Provenance, left_out: Sequence[LeftOut]) -> None:
    """Join the parts, with what was left out.

    Raises:
        UsageError: no triplet could be used.
    """
    marks = place.marks()
    rejected = [one for mark in marks for one in mark["rejects"]]
    if not place.count:
        place.abandon()
        raise UsageError(f"no triplet can be used; the first: {rejected[0][1] if rejected else 'there is none'}")
    shared = {name: told.columns()[name] for name in ("run", "command", "versions", "seed", "policy_digest")}
    seconds = sum(mark["seconds"] for mark in marks)
    place.finish({**shared, "left_out": list(left_out), "rejected": rejected, "seconds": seconds})


class _Sitting:
    """One sitting of a run."""

    def __init__(
        self,
        plan: TwoAFCPlan,
        judges: Sequence[System],
        tasks: Sequence[Task],
        told: Mapping[str, Provenance],
        place: RunFolder,
        progress: Progress,
    ) -> None:
        self._plan, self._judges, self._tasks = plan, judges, tasks
        self._told, self._place, self._progress = told, place, progress
        self._alarms = sum(row["alarm"] for row in place.rows(["alarm"]))

    def run(self, pieces: Pieces, pool: Executor) -> None:
        """Attack the triplets that no part holds."""
        each = len(self._judges) + len(self._tasks)
        counts = [each * len(piece) for _, piece in pieces]
        self._progress.start(sum(counts), sum(counts[: self._place.done]))
        for name, piece in pieces[self._place.done :]:
            began = time.perf_counter()
            kept, rejects = _read(piece)
            self._advance(each * len(rejects), "reading triplets")
            rows = [row for group in _batches(kept) for row in self._judge(name, group, pool)]
            mark = {"rejects": [[name, str(row)] for row in rejects], "seconds": time.perf_counter() - began}
            self._place.add(rows, mark)

    def _judge(self, name: str, triplets: Sequence[Triplet[Bytes]], pool: Executor) -> Iterator[Row]:
        """Clean rows of all metrics, then the rows of all tasks, in the same order on any number of threads."""
        seed = self._plan.choice.seed
        waiting = [
            pool.submit(view_of, system, name, triplets, seed, self._told[system.spec]) for system in self._judges
        ]
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
            jobs.append((task, pool.submit(run_task, self._plan, task, view, others)))
        for task, job in jobs:
            rows = job.result()
            alarms = sum(row["alarm"] for row in rows)
            self._advance(len(triplets), f"{task.setting.label} on {task.system.spec}", alarms)
            yield from rows

    def _advance(self, count: int, doing: str, alarms: int = 0) -> None:
        self._alarms += alarms
        say(self._progress, with_alarms(doing, self._alarms))
        self._progress.advance(count)


def view_of(system: System, name: str, triplets: Sequence[Triplet[Bytes]], seed: int, told: Provenance) -> View:
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
    return View(system, name, tuple(triplets), found[0], found[1], tuple(radii), told, seed)


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


def _batches(triplets: Sequence[Triplet[Bytes]]) -> Iterator[list[Triplet[Bytes]]]:
    """Triplets by the size of their images."""
    for places in by_shape([one.reference.shape for one in triplets]):
        yield [triplets[place] for place in places]


def _provenance(system: System, plan: TwoAFCPlan, place: RunFolder, policy: DecodePolicy) -> Provenance:
    """What all rows of a metric share."""
    described = {
        "model": system.spec,
        "model_digest": system.describe()["digest"] or "",
        "snapshot": "",
        "policy_digest": policy.digest,
    }
    return describe_run(described, run=place.run, command=place.command, seed=plan.choice.seed)
