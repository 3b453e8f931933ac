"""One attack setting on a batch of triplets: attacked as one metric sees them, judged by it or by others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from ...attacks.harness import Outcome, Subject
from ...attacks.media import Pixels
from ...core.files import digest_json
from ...images.policy import DecodePolicy
from ..shared.attacking import attacked, is_kept, keep, seed_of
from ..shared.records import Row
from .metric import Array, System
from .plan import TwoAFCPlan
from .rows import Judged, View, attack_row, largest_change
from .settings import Moves, Setting
from .shift import shifts_of
from .targets import Attacked, planes, target_of
from .tasks import Task

IMAGES = "images"
_MEDIA = 2  # the float image and the PNG


def run_task(plan: TwoAFCPlan, task: Task, view: View, judges: Sequence[View] = ()) -> list[Row]:
    """Attack the triplets of a view; the records of the saved images. Several threads may do so at once.

    A triplet whose candidates are equally far has no order to change. One that a judge orders otherwise than the
    attacked metric is no attack on that judge: there the attack pushes the way it already leans.

    Args:
        plan: of the run.
        task: what is done; its system is the view's.
        view: as the attacked metric judges them.
        judges: the same triplets as other metrics judge them.
    """
    setting, moves = task.setting, task.moves
    chosen = [place for place in range(len(view.triplets)) if _suits(setting, moves, view, place)]
    if not chosen:
        return []
    prey = Attacked(tuple(view.triplets[place] for place in chosen), view.order[chosen] > 0)
    sizes, shown = [_eps(setting, moves, view, place) for place in chosen], ("float", "png").index(plan.medium)
    rows = []
    with _attack(plan, task, view, prey, sizes) as (outcomes, _):
        for judge in (view, *judges):
            found = _judged(judge, prey, moves, outcomes, chosen)
            if setting.goal == "embedding":
                found = _shifted(judge.system, prey, outcomes, found)
            source = None if judge is view else view.system.spec
            for said, place, outcome in zip(found, chosen, outcomes, strict=True):
                if judge.order[place] == view.order[place]:
                    row = attack_row(judge, place, setting, moves, outcome, said, shown=shown, source=source)
                    rows.append(_kept(plan, row, outcome.trials[shown].path))
    return rows


def _attack(
    plan: TwoAFCPlan, task: Task, view: View, prey: Attacked, sizes: Sequence[float]
) -> AbstractContextManager[tuple[list[Outcome[Pixels]], Path]]:
    setting, moves = task.setting, task.moves
    about = ("2afc", plan.choice.seed, view.data)
    seeds = [seed_of(*about, one.name, setting.label, moves, digits=12) for one in prey.triplets]
    subjects = [
        Subject(prey.moved(place, moves), eps, seed, stem=f"{place:04d}")
        for place, (eps, seed) in enumerate(zip(sizes, seeds, strict=True))
    ]
    return attacked(
        setting.attack,
        target_of(view.system, setting, moves, prey),
        subjects,
        list,  # the images themselves: they are judged together with those that did not move
        effort=replace(setting.effort, stop_on_success=not setting.endless),
        policy=DecodePolicy(),
        device=view.system.device,
    )


def _judged(
    judge: View, prey: Attacked, moves: Moves, outcomes: Sequence[Outcome[Pixels]], chosen: Sequence[int]
) -> list[tuple[Judged, Judged]]:
    """What a metric says of the saved images, the float image and the PNG of each triplet."""
    found = []
    for medium in range(_MEDIA):
        trials = [outcome.trials[medium] for outcome in outcomes]
        near, far = _distances(judge, prey, moves, [trial.verdict for trial in trials], chosen)
        right = prey.near_is_right
        lefts, rights = np.where(right, far, near), np.where(right, near, far)
        changes = [
            trial.distance if moves != "all" else largest_change(prey.moved(place, moves), trial.verdict, images=3)
            for place, trial in enumerate(trials)
        ]
        found.append([Judged(*one) for one in zip(changes, lefts.tolist(), rights.tolist(), strict=True)])
    return list(zip(*found, strict=True))


def _kept(plan: TwoAFCPlan, row: Row, file: Path) -> Row:
    """The record, with the saved image where it shall be kept."""
    if not is_kept(plan.keep, alarm=row["alarm"]):
        return row
    names = [row[name] for name in ("system", "data", "query", "setting", "moves", "source")]
    kept = plan.out / IMAGES / f"{digest_json(names)[:16]}{file.suffix}"
    kept.parent.mkdir(exist_ok=True)
    keep(file, kept, file.parent)
    return {**row, "image": kept.relative_to(plan.out).as_posix()}


def _eps(setting: Setting, moves: Moves, view: View, place: int) -> float:
    return setting.eps if setting.at_radius is None else setting.at_radius * view.radii[place].against(moves)


def _suits(setting: Setting, moves: Moves, view: View, place: int) -> bool:
    """Whether there is something to attack: an order, or an embedding; and a radius, where that is the ball."""
    if setting.at_radius is not None and view.radii[place].against(moves) <= 0.0:
        return False
    return view.order[place] != 0 or setting.goal == "embedding"


def _distances(
    judge: View, prey: Attacked, moves: Moves, images: Sequence[Pixels], chosen: Sequence[int]
) -> tuple[Array, Array]:
    """(b,) twice: distances of the candidate that was nearer, and of the other one; unmoved pairs are as they were."""
    right = prey.near_is_right
    clean = judge.left[list(chosen)], judge.right[list(chosen)]
    parts = [prey.part(number) for number in range(3)]
    moved = planes(images)
    if moves == "all":
        parts = list(moved.chunk(3, dim=2))
    else:
        parts[("reference", "preferred", "other").index(moves)] = moved
    near, far = (
        _distance(judge.system, parts[0], parts[place]) if _touched(moves, place) else None for place in (1, 2)
    )
    return (
        np.where(right, clean[1], clean[0]) if near is None else near,
        np.where(right, clean[0], clean[1]) if far is None else far,
    )


def _shifted(
    system: System, prey: Attacked, outcomes: Sequence[Outcome[Pixels]], found: Sequence[tuple[Judged, Judged]]
) -> list[tuple[Judged, Judged]]:
    """The same, and how far the references' embeddings moved."""
    assert system.embedder is not None, "only embedders have an embedding that moves"
    clean = [one.reference / 255.0 for one in prey.triplets]
    both = []
    for medium in range(_MEDIA):
        changed = [outcome.trials[medium].verdict for outcome in outcomes]
        shifts = shifts_of(system.embedder, clean, changed, [pair[medium].distance.l2 for pair in found])
        both.append([replace(pair[medium], shift=shift) for pair, shift in zip(found, shifts, strict=True)])
    return list(zip(*both, strict=True))


def _touched(moves: Moves, place: int) -> bool:
    """Whether the distance of the nearer (1) or farther (2) candidate changes."""
    return moves in ("reference", "all") or place == ("reference", "preferred", "other").index(moves)


def _distance(system: System, reference: Tensor, image: Tensor) -> Array:
    return system.distances(reference.contiguous(), image.contiguous())
