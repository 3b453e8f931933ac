"""The numbers of an audit, computed from its records alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ...core.statistics import quantiles_of, share_of
from ...core.units import psnr_of
from .columns import RADIUS, Bools, Columns, ball_order, radii_in_rmse, run_once, size_in_l2, within
from .curves import right_verdict
from .shifts import shift_lines
from .summary_lines import (
    AttackLine,
    BudgetLine,
    EditLine,
    MultipleLine,
    Norms,
    RadiusLine,
    Rates,
    Summary,
    SystemLine,
)
from .tightness import tightness_lines
from .weak_attacks import weak_attacks


def summarise(records: pa.Table) -> Summary:
    """Summarise the records of one run."""
    table = Columns.of(records)
    by_system = list(table.groups("system"))
    by_edit = [part for system in by_system for part in system.groups("edit")]
    systems = tuple(_system_line(system) for system in by_system)
    return Summary(
        run=str(table.first("run")),
        queries=systems[0].queries,
        files=systems[0].files,
        systems=systems,
        budgets=tuple(line for system in by_system for line in _budget_lines(system, edit=None)),
        edit_budgets=tuple(line for part in by_edit for line in _budget_lines(part, edit=part.first("edit"))),
        multiples=tuple(line for system in by_system for line in _multiple_lines(system)),
        attacks=tuple(line for system in by_system for line in _attack_lines(system, edit=None)),
        edit_attacks=tuple(line for part in by_edit for line in _attack_lines(part, edit=part.first("edit"))),
        edits=tuple(_edit_line(part) for part in by_edit),
        tightness=tuple(tightness_lines(table)),
        shifts=tuple(shift_lines(table)),
        warnings=tuple(weak_attacks(table)),
        certificates=sum(line.certificates for line in systems),
        alarms=sum(line.alarms for line in systems),
    )


def _system_line(system: Columns) -> SystemLine:
    clean, trials = system.clean, system.attacked
    # One run of an attack is judged in both media, and on other systems again: its cost counts once, where it was made.
    runs = trials.where((trials["medium"] == "float") & (trials["source"] == None))  # noqa: E711 - an array is compared
    return SystemLine(
        name=str(clean.first("system")),
        kind=str(clean.first("system_kind")),
        model=str(clean.first("model")),
        model_digest=str(clean.first("model_digest")),
        snapshot=str(clean.first("snapshot")),
        certified=_certified(clean),
        queries=len(clean),
        strangers=int(clean["stranger"].sum()),
        files=len(set(clean["query"])),
        clean=_rates(clean, _right(clean)),
        radius=_radius_line(clean, "radius_top1"),
        verdict_radius=_radius_line(clean, "radius_verdict"),
        images=len(trials),
        certificates=_attacked_certificates(trials),
        alarms=int(trials["alarm"].sum()),
        forwards=int(runs["forwards"].sum()),
        gradients=int(runs["gradients"].sum()),
        seconds=float(runs["seconds"].sum()),
    )


def _certified(clean: Columns) -> bool:
    return not bool(np.isnan(clean["radius_top1"]).all() and np.isnan(clean["radius_verdict"]).all())


@dataclass(frozen=True)
class _Right:
    """Per query, what of its answer is right."""

    first: Bools
    top10: Bools
    verdict: Bools


def _right(clean: Columns) -> _Right:
    return _Right(clean["clean_first"], clean["clean_top10"], clean["clean_verdict"] == right_verdict(clean))


def _rates(clean: Columns, right: _Right) -> Rates:
    """Shares of what is right; strangers have a verdict and no recall."""
    known, judged = ~clean["stranger"], clean["clean_verdict"] != None  # noqa: E711 - an array is compared
    return Rates(
        first=share_of(right.first[known]),
        top10=share_of(right.top10[known]),
        verdict=share_of(right.verdict[judged]) if judged.any() else None,
    )


def _attacked(clean: Columns, images: Columns) -> Rates:
    """What stays right under all of these images."""

    def fell(lost: Bools) -> Bools:
        return np.isin(clean["case"], images["case"][lost])

    before = _right(clean)
    left = _Right(
        before.first & ~fell(~images["attacked_first"]),
        before.top10 & ~fell(~images["attacked_top10"]),
        before.verdict & ~fell(images["attacked_verdict"] != right_verdict(images)),
    )
    return _rates(clean, left)


def _proved(clean: Columns, l2: np.ndarray) -> Rates:
    """What is right and certified beyond these norms."""
    before = _right(clean)
    first = before.first & (clean.radius("radius_top1") > l2)
    return _rates(clean, _Right(first, first, before.verdict & (clean.radius("radius_verdict") > l2)))


def _radius_line(clean: Columns, name: str) -> RadiusLine | None:
    right = _right(clean)
    answered = clean.where(right.first if name == "radius_top1" else right.verdict)
    if np.isnan(answered[name]).all():
        return None
    l2 = answered.radius(name)
    spread = quantiles_of(radii_in_rmse(l2, answered.values))
    assert spread is not None, "some radius is a number"
    # RMSE/255 is ℓ2/√n, for n = 255² too.
    return RadiusLine(len(answered), float(np.median(l2)), spread.p50, psnr_of(spread.p50, 255**2), spread)


def _attacked_certificates(images: Columns) -> int:
    return int((images["within_top1"] | images["within_top10"] | images["within_verdict"]).sum())


def _levels(trials: Columns) -> tuple[list[float], str]:
    """Budgets from the smallest ball to the largest, and their unit."""
    unit = str(trials.first("unit")) if len(trials) else RADIUS
    return sorted(set(trials["budget"].tolist()), key=lambda budget: ball_order(budget, unit)), unit


def _budget_lines(part: Columns, *, edit: str | None) -> Iterator[BudgetLine]:
    clean, trials = part.clean, part.attacked
    levels, unit = _levels(trials)
    if unit == RADIUS:
        return
    before = _rates(clean, _right(clean))
    for budget in levels:
        here = trials.where(trials["budget"] == budget)
        floats = here.where(here["medium"] == "float")
        yield BudgetLine(
            system=str(clean.first("system")),
            edit=edit,
            budget=budget,
            unit=unit,
            queries=len(clean),
            clean=before,
            attacked=_attacked(clean, trials.where(within(trials, budget, unit))),
            certified=_proved(clean, size_in_l2(clean, budget, unit)) if _certified(clean) else None,
            certificates=_attacked_certificates(here),
            alarms=int(here["alarm"].sum()),
            success=share_of(floats["success"]).value,
        )


def _multiple_lines(system: Columns) -> Iterator[MultipleLine]:
    trials = system.attacked
    levels, unit = _levels(trials)
    if unit != RADIUS:
        return
    for multiple in levels:
        here = trials.where(trials["budget"] == multiple)
        # A run-once attack was given the largest multiple, and counts where it really went.
        wins = trials.where(trials["success"] & _at_level(trials, multiple, unit))
        cases = len(np.unique(here["case"]))
        won = {medium: len(np.unique(wins["case"][wins["medium"] == medium])) for medium in ("float", "png")}
        yield MultipleLine(
            system=str(here.first("system")),
            multiple=multiple,
            queries=cases,
            success_float=won["float"] / cases,
            success_png=won["png"] / cases,
            certificates=_attacked_certificates(here),
            alarms=int(here["alarm"].sum()),
        )


def _at_level(trials: Columns, budget: float, unit: str) -> Bools:
    """Images of attacks at this very budget, and of run-once attacks those within it."""
    once = run_once(trials)
    return np.where(once, within(trials, budget, unit), trials["budget"] == budget)


def _attack_lines(part: Columns, *, edit: str | None) -> Iterator[AttackLine]:
    clean = part.clean
    levels, unit = _levels(part.attacked)
    for runs in part.attacked.groups("attack", "source", "goal"):
        once = bool(run_once(runs)[0])
        for budget in levels:
            here = runs if once else runs.where(runs["budget"] == budget)
            if len(here):
                yield _attack_line(clean, runs, here, budget, unit, edit)


def _attack_line(
    clean: Columns, runs: Columns, here: Columns, budget: float, unit: str, edit: str | None
) -> AttackLine:
    """A line from all runs of one attack, and those that speak of this budget."""
    given = here.where(here["budget"] == budget)
    reached = here.where(here["success"] & _at_level(here, budget, unit))
    won = {medium: reached.where(reached["medium"] == medium) for medium in ("float", "png")}
    attempts = len(np.unique(here["case"]))
    return AttackLine(
        system=str(here.first("system")),
        edit=edit,
        attack=str(here.first("attack")),
        source=here.first("source"),
        goal=str(here.first("goal")),
        sees=str(here.first("sees")),
        norm=str(here.first("norm")),
        minimal=bool(here.first("minimal")),
        budget=budget,
        unit=unit,
        attempts=attempts,
        success_float=len(won["float"]) / attempts,
        success_png=len(won["png"]) / attempts,
        attacked=_attacked(clean, runs.where(within(runs, budget, unit))),
        norms=_norms(won["float"]),
        certificates=_attacked_certificates(given),
        alarms=int(given["alarm"].sum()),
        forwards=float(here["forwards"].mean()),
        gradients=float(here["gradients"].mean()),
        seconds=float(here["seconds"].mean()),
    )


def _norms(images: Columns) -> Norms | None:
    if not len(images):
        return None
    names = ("l2", "linf", "rmse", "changed_001", "changed_01", "changed_03")
    middle = {name: float(np.median(images[name])) for name in names}
    # An unchanged image is infinitely many dB away.
    psnr = float(np.median(np.nan_to_num(images["psnr"], nan=np.inf)))
    return Norms(images=len(images), psnr=psnr if math.isfinite(psnr) else None, **middle)


def _edit_line(part: Columns) -> EditLine:
    clean = part.clean
    radius = _radius_line(clean, "radius_top1")
    return EditLine(
        system=str(clean.first("system")),
        edit=str(clean.first("edit")),
        geometric=bool(clean.first("geometric")),
        queries=len(clean),
        clean=_rates(clean, _right(clean)),
        certified=int((clean.radius("radius_top1") > 0).sum()),
        median_rmse=None if radius is None else radius.spread.p50,
    )
