"""What an audit says of each attack: a declared table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..shared.lines import Line, Unit, col, word
from .columns import Bools, Columns, run_once, within
from .rates import Rates, certificates, rates_left


def at_level(trials: Columns, budget: float, unit: str) -> Bools:
    """Images of attacks at this very budget, and of run-once attacks those within it."""
    return np.where(run_once(trials), within(trials, budget, unit), trials["budget"] == budget)


def _median(name: str, meaning: str, unit: Unit = "") -> Any:
    return col(lambda images: float(np.median(images[name])), meaning, unit)


def _psnr(images: Columns) -> float | None:
    # An unchanged image is infinitely many dB away.
    middle = float(np.median(np.nan_to_num(images["psnr"], nan=np.inf)))
    return middle if math.isfinite(middle) else None


@dataclass(frozen=True)
class Norms(Line):
    """Medians of the realised change over adversarial images that reached their goal; of these."""

    images: int = col(len, "how many")
    l2: float = _median("l2", "norm, pixels in [0, 1]", "l2")
    linf: float = _median("linf", "largest change, pixels in [0, 1]", "linf")
    rmse: float = _median("rmse", "in 8-bit levels", "rmse")
    psnr: float | None = col(_psnr, "None where most images are unchanged", "dB")
    changed_001: float = _median("changed_001", "pixels changed by more than 0.001 on the scale from −1 to 1", "share")
    changed_01: float = _median("changed_01", "the same for 0.01", "share")
    changed_03: float = _median("changed_03", "the same for 0.03", "share")


def _norms(one: Attempts) -> Norms | None:
    won = one.won("float")
    return Norms.of(won) if len(won) else None


@dataclass(frozen=True)
class Attempts:
    """All images of one attack with one goal on one system, or on one edit of it, and the budget that is asked about.

    Attributes:
        clean: the queries before any attack.
        runs: the images, of any budget.
        edit: None for all edits together.
    """

    clean: Columns
    runs: Columns
    budget: float
    unit: str
    edit: str | None

    def first(self, name: str) -> Any:
        """What all images share."""
        return self.runs.first(name)

    @cached_property
    def here(self) -> Columns:
        """Images that speak of this budget: of an attack that is run once, all."""
        return self.runs if run_once(self.runs)[0] else self.runs.where(self.runs["budget"] == self.budget)

    @cached_property
    def given(self) -> Columns:
        """Images of attacks that were given this budget."""
        return self.here.where(self.here["budget"] == self.budget)

    @cached_property
    def attempts(self) -> int:
        """Attacked queries."""
        return len(np.unique(self.here["case"]))

    def won(self, medium: str) -> Columns:
        """Images that reached the goal."""
        reached = self.here.where(self.here["success"] & at_level(self.here, self.budget, self.unit))
        return reached.where(reached["medium"] == medium)


@dataclass(frozen=True)
class AttackLine(Line):
    """One attack with one goal at one budget (or multiple of the certified radius) on one system; of :class:`Attempts`.

    An attack that is run once, for it looks for the smallest change or has no ball, counts at a budget with the images
    whose realised change is within it. ``forwards``, ``gradients`` and ``seconds`` are means over attempts.
    """

    system: str = word("system", "its name")
    edit: str | None = col(lambda one: one.edit, "of these queries; None for all together")
    attack: str = word("attack", "its name")
    source: str | None = word("source", "the system that the images were made on, if it is another one")
    goal: str = word("goal", "what it is after")
    sees: str = word("sees", "what it was shown of the loss")
    norm: str = word("norm", "what bounds it")
    minimal: bool = col(lambda one: bool(one.first("minimal")), "whether it looks for the smallest change")
    budget: float = col(lambda one: one.budget, "as asked for, in unit")
    unit: str = col(lambda one: one.unit, "rmse, l2, psnr or radius")
    attempts: int = col(lambda one: one.attempts, "attacked queries")
    success_float: float = col(lambda one: len(one.won("float")) / one.attempts, "where the goal was reached", "share")
    success_png: float = col(lambda one: len(one.won("png")) / one.attempts, "the same by the 8-bit image", "share")
    attacked: Rates = col(
        lambda one: rates_left(one.clean, one.runs.where(within(one.runs, one.budget, one.unit))),
        "what is left of the right answers under this attack alone",
        "share",
    )
    norms: Norms | None = col(_norms, "of the float images that reached the goal")
    certificates: int = col(lambda one: certificates(one.given), "images given this budget inside a certified radius")
    alarms: int = col(lambda one: int(one.given["alarm"].sum()), "those that broke it")
    forwards: float = col(lambda one: float(one.here["forwards"].mean()), "evaluations of the loss")
    gradients: float = col(lambda one: float(one.here["gradients"].mean()), "evaluations of its gradient")
    seconds: float = col(lambda one: float(one.here["seconds"].mean()), "what it took", "s")
