"""The trials of an audit: one attack at one budget on a batch of cases, judged and turned into records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from ...attacks.harness import Effort, Outcome, Subject
from ...attacks.media import Medium, Pixels
from ...attacks.registry import Attack
from ...attacks.target import Sees, Target
from ...images.policy import DecodePolicy
from ..shared.attacking import attacked
from ..systems.index_system import EngineSystem, System, embed
from ..systems.retrieval_losses import TOP, Goal
from ..systems.retrieval_target import Aim, ManyGoals, RetrievalTarget
from .aims import aim_of, budget_of, chosen_item
from .judging import Judgement
from .plan import AuditPlan
from .rows import Prepared, Recorder, Run
from .schedule import Task, endless
from .showcase import WORK, Record, Shot, keep_shots

Judgements = tuple[Judgement, ...]
"""Of one saved image, by each system that judges it."""


@dataclass(frozen=True)
class _Attempt:
    """One case under attack.

    Attributes:
        task: goal, attack and level.
        place: of the case in the batch.
        eps: budget in the attack's norm.
        chosen: what a collision is after, see ``aims.chosen_item``.
        aim: what the attack is about, for the attacked system.
    """

    task: Task
    place: int
    prepared: Prepared
    eps: float
    chosen: int | None
    aim: Aim

    def subject(self, number: int) -> Subject:
        """What the harness attacks; the number names its files."""
        return Subject(self.prepared.case.pixels, self.eps, self.prepared.case.seed, f"{number:04d}")


@dataclass(frozen=True)
class Trials:
    """Runs attacks. Safe to use from several threads.

    Attributes:
        folder: the audit's; kept images stay in it.
        items: how many items the index has that the queries belong to.
        policy: how saved images are decoded.
    """

    plan: AuditPlan
    recorder: Recorder
    folder: Path
    items: int
    policy: DecodePolicy

    def run(
        self, tasks: Sequence[Task], batch: Sequence[Prepared], judges: Sequence[Sequence[Prepared]] | None = None
    ) -> list[Record]:
        """Attack cases of one shape; the records of the saved images, two for each task, case and judge.

        Every task is a run of its own, with its own ball and its own random start; they only share the batch.

        Args:
            tasks: of one attack, together in ``schedule.series``. Cases without what they need (a radius, an item to
                choose) are left out.
            batch: the cases as the attacked system sees them; their images have one shape.
            judges: for a transfer, the same cases as other systems see them; None where the attacked one judges.
        """
        pairs = [(task, place) for task in tasks for place in range(len(batch))]
        attempts = [one for task, place in pairs if (one := self._attempt(place, batch[place], task))]
        if not attempts:
            return []
        effort = self._effort(tasks[0], batch[0].entrant.system, transfer=judges is not None)
        views = [batch] if judges is None else judges
        with self._attacked(tasks[0].attack, attempts, [view[0].entrant.system for view in views], effort) as found:
            outcomes, work = found
            shots = [
                shot
                for one, outcome in zip(attempts, outcomes, strict=True)
                for number, view in enumerate(views)
                for shot in self._shots(one, effort, outcome, view[one.place], number)
            ]
            keep_shots(shots, self.folder, work, kept=self.plan.keep, gallery=self.plan.gallery > 0)
        return [shot.record for shot in shots]

    def _attempt(self, place: int, prepared: Prepared, task: Task) -> _Attempt | None:
        eps = budget_of(prepared, task, self.plan)
        if eps is None:
            return None
        chosen = chosen_item(prepared, self.items) if task.goal == "collision" else None
        aim = aim_of(prepared, task, eps, chosen)
        return None if aim is None else _Attempt(task, place, prepared, eps, chosen, aim)

    def _effort(self, task: Task, system: System, *, transfer: bool) -> Effort:
        """An attack made for others, or to move an embedding without a limit to break, goes on to its end."""
        return replace(self.plan.effort, stop_on_success=not (transfer or endless(task.goal, system)))

    def _attacked(
        self, attack: Attack, attempts: Sequence[_Attempt], judges: Sequence[System], effort: Effort
    ) -> AbstractContextManager[tuple[list[Outcome[Judgements]], Path]]:
        system = attempts[0].prepared.entrant.system
        goals: list[Goal] = [one.task.goal for one in attempts]
        return attacked(
            attack,
            _target(system, attempts, sees=attack.sees),
            [one.subject(number) for number, one in enumerate(attempts)],
            lambda images: _judge(images, judges, [goal for goal in goals for _ in get_args(Medium)]),
            effort=effort,
            policy=self.policy,
            device=system.device if isinstance(system, EngineSystem) else "cpu",
            parent=self.folder / WORK,
        )

    def _shots(
        self, one: _Attempt, effort: Effort, outcome: Outcome[Judgements], judge: Prepared, number: int
    ) -> Iterable[Shot]:
        """The records of one attack by one judge, float first; none where the judge has nothing to lose."""
        task, made_on, system = one.task, one.prepared.entrant.system, judge.entrant.system
        aim = aim_of(judge, task, one.eps, one.chosen)
        if aim is None:
            return
        before = judge.embedded if task.goal == "embedding" else ()
        source = None if system is made_on else made_on.name
        run = Run(task, aim, self.plan.level_unit, effort, outcome, source, before)
        for trial in outcome.trials:
            record = self.recorder.trial(judge, run, trial, trial.verdict[number])
            yield Shot(record, judge.case, made_on.name, trial.path)


def _target(system: System, attempts: Sequence[_Attempt], *, sees: Sees) -> Target:
    """The loss of all attempts: of one goal, or of several where a system can ask for them together."""
    goals: list[Goal] = list(dict.fromkeys(one.task.goal for one in attempts))
    targets = [system.target([one.aim for one in attempts if one.task.goal == goal], goal, sees=sees) for goal in goals]
    same = [target for target in targets if isinstance(target, RetrievalTarget)]
    if len(goals) == 1:
        return targets[0]
    assert len(same) == len(targets), "only indexes are attacked for several goals at a time"
    return ManyGoals(same, [goals.index(one.task.goal) for one in attempts])


def _judge(images: Sequence[Pixels], systems: Sequence[System], goals: Sequence[Goal]) -> list[Judgements]:
    """What each system says of the images; goals are what each image was made for."""
    answers = [system.answer_many(images, k=TOP) for system in systems]
    return [
        tuple(
            Judgement(answer[place], embed(system, image) if goal == "embedding" else ())
            for answer, system in zip(answers, systems, strict=True)
        )
        for place, (image, goal) in enumerate(zip(images, goals, strict=True))
    ]
