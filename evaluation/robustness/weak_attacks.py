"""Signs in the records that an attack was weaker than it could be; after the checks of AutoAttack (arXiv 2003.01690).

What shows on one image is flagged in its record (``attacks.weakness``). What shows only between runs is found here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .columns import Columns, ball_order, run_once

_ENOUGH = 10
"""Failed attacks of several starts below which it means nothing that the first start was always the best."""


@dataclass(frozen=True)
class WeakAttack:
    """A sign that an attack was weaker than it could be, so that its failures say little.

    Attributes:
        sign: zero-gradient, flat-loss, smaller-budget or no-gain-from-restarts.
        count, of: on how many of how many attempts; of how many queries for smaller-budget.
        text: a sentence for people.
    """

    system: str
    attack: str
    source: str | None
    goal: str
    sign: str
    count: int
    of: int
    text: str


def weak_attacks(table: Columns) -> Iterator[WeakAttack]:
    """The signs, by system, attack and goal."""
    for runs in table.where(table["medium"] == "float").attacked.groups("system", "attack", "source", "goal"):
        yield from _flagged(runs)
        yield from _smaller_budget(runs)
        yield from _restarts(runs)


def _flagged(runs: Columns) -> Iterator[WeakAttack]:
    """What the records themselves say of single failed attacks."""
    words = {
        "zero-gradient": "more than a tenth of the gradients were exactly zero",
        "flat-loss": "the loss never rose above that of the first point",
    }
    flags = [str(weak or "").split("+") for weak in runs["weak"]]
    for sign, text in words.items():
        count = sum(sign in row for row in flags)
        if count:
            yield _weak(runs, sign, count, len(runs), f"{text} in {count} of {len(runs)} attacks, all of which failed")


def _smaller_budget(runs: Columns) -> Iterator[WeakAttack]:
    """A larger ball holds the smaller one: who wins in this one and loses in that one has not looked well."""
    balls = runs.where(~run_once(runs))
    if len(set(balls["budget"].tolist())) < 2:
        return
    order = np.asarray([ball_order(b, u) for b, u in zip(balls["budget"], balls["unit"], strict=True)])
    cases, place = np.unique(balls["case"], return_inverse=True)
    smallest_win, largest_loss = np.full(len(cases), np.inf), np.full(len(cases), -np.inf)
    np.minimum.at(smallest_win, place[balls["success"]], order[balls["success"]])
    np.maximum.at(largest_loss, place[~balls["success"]], order[~balls["success"]])
    count = int((smallest_win < largest_loss).sum())
    if count:
        text = f"won at a smaller and failed at a larger budget on {count} of {len(cases)} queries"
        yield _weak(runs, "smaller-budget", count, len(cases), text)


def _restarts(runs: Columns) -> Iterator[WeakAttack]:
    """Random starts that never help are no more than one start, and may all be stuck alike."""
    several = runs.where((runs["restarts"] > 1) & ~np.isnan(runs["restart"]))
    failed = several.where(~several["success"])
    if len(failed) >= _ENOUGH and not (several["restart"] > 0).any():
        text = f"no start but the first ever gave the best image, in {len(failed)} failed attacks"
        yield _weak(runs, "no-gain-from-restarts", len(failed), len(several), text)


def _weak(runs: Columns, sign: str, count: int, of: int, text: str) -> WeakAttack:
    return WeakAttack(
        system=str(runs.first("system")),
        attack=str(runs.first("attack")),
        source=runs.first("source"),
        goal=str(runs.first("goal")),
        sign=sign,
        count=count,
        of=of,
        text=text,
    )
