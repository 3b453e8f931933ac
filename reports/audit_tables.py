"""The tables of an audit, each built once: for terminals, for the page and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter, methodcaller
from typing import Any

from ..core.statistics import Quantiles, Share
from ..evaluation.robustness.attack_lines import AttackLine, Norms
from ..evaluation.robustness.rates import RadiusLine, Rates
from ..evaluation.robustness.shifts import ShiftLine
from ..evaluation.robustness.summary_lines import BudgetLine, EditLine, Summary
from ..evaluation.robustness.tightness import TightnessLine
from .audit_names import PROMISES, edit_name, goals, largest_shifts, level
from .audit_runs import runs_of
from .html_tags import Html
from .kinds import (
    ALARMS,
    COUNT,
    GIVEN,
    HEAT,
    MARKUP,
    NAME,
    RATE,
    SHARE,
    WRAPPED,
    percent,
    told,
)
from .svg_charts import share_bar
from .table import Column, Kind, Table
from .words import words

_TITLES = words("audit")["titles"]
_QUANTILES = {"5 %": "p05", "25 %": "p25", "median": "p50", "75 %": "p75", "95 %": "p95", "largest": "most"}
_STAGES = ("clean", "attacked", "certified")
_ALARMS = Column("alarms", ALARMS, attrgetter("alarms"))
_CERTIFICATES = Column("certificates attacked", COUNT, attrgetter("certificates"), spare=True)
_IMAGES = "wins, median"
_EFFORT = "effort, mean"


def results(summary: Summary) -> list[Table]:
    """What is left and what is proved: systems side by side where there are several, then by budget."""
    several = len(summary.systems) > 1
    found = [side_by_side(summary, question) for question in ("recall@1", "verdict")] if several else []
    if summary.budgets:
        return [*found, budget_table(summary)]
    return [multiple_table(summary)] if summary.multiples else []


def _by_system(summary: Summary) -> Any:
    """A heading for each of several systems."""
    return attrgetter("system") if len(summary.systems) > 1 else None


def _questions(line: BudgetLine) -> Iterator[tuple[BudgetLine, str, tuple[Share | None, ...]]]:
    """What a system can be right in, clean, attacked and certified; then the verdict, for not all give one.

    Beside a companion also the part of it that is the companion's alone.
    """
    rates = (line.clean, line.attacked, line.certified)
    yield line, "recall@1", tuple(one and one.first for one in rates)
    yield line, "recall@10", tuple(one and one.top10 for one in rates)
    if line.clean.verdict is not None:
        yield line, "verdict", tuple(one and one.verdict for one in rates)
    if line.clean.companion is not None:
        # What is proved of it is nothing at all: the companion is attacked as well, and this is what attacks leave.
        yield line, _TITLES["companion"], (line.clean.companion, line.attacked.companion, None)


def budget_table(summary: Summary) -> Table:
    """Every budget of every system: recall and verdict, clean, attacked, certified."""

    def first(name: str) -> Any:
        return lambda row: getattr(row[0], name) if row[1] == "recall@1" else ""

    columns = [
        Column("budget", NAME, lambda row: level(row[0].budget, row[0].unit)),
        Column("of", NAME, lambda row: row[1]),
    ]
    columns += [Column(stage, RATE, lambda row, at=place: row[2][at]) for place, stage in enumerate(_STAGES)]
    columns.append(Column("certificates attacked", COUNT, first("certificates"), spare=True))
    columns.append(Column("alarms", ALARMS, first("alarms"), spare=True))
    names = [system.name for system in summary.systems]
    rows = [row for name in names for line in summary.budgets if line.system == name for row in _questions(line)]
    group = (lambda row: row[0].system) if len(names) > 1 else None
    return Table.of(columns, rows, title=_TITLES["budgets"], group=group)


def side_by_side(summary: Summary, question: str) -> Table:
    """Systems as rows, two each: what attacks left, and what is proved."""
    budgets = dict.fromkeys((line.budget, line.unit) for line in summary.budgets)
    rows: list[tuple[Any, ...]] = []
    for system in summary.systems:
        at = {line.budget: line for line in summary.budgets if line.system == system.name}
        chosen = [at.get(budget) for budget, _ in budgets]
        attacked = [_share(line and line.attacked, question) for line in chosen]
        rows.append((system.name, "attacked", _share(system.clean, question), *attacked))
        certified = [_share(line and line.certified, question) for line in chosen]
        rows.append((system.name, "certified", "", *certified))
    ladder = [Column(level(*one), SHARE, ladder=True) for one in budgets]
    columns = (Column("system", NAME), Column("", NAME), Column("clean", SHARE), *ladder)
    name = "recall@1" if question == "recall@1" else "accuracy of the verdict"
    return Table(columns, tuple(rows), _TITLES["side"].format(question=name))


def _share(rates: Rates | None, question: str) -> float | None:
    share = rates and (rates.first if question == "recall@1" else rates.verdict)
    return None if share is None else share.value


def multiple_table(summary: Summary) -> Table:
    """At multiples of each query's own radius."""
    columns = (
        Column("× radius", GIVEN, attrgetter("multiple")),
        Column("queries", COUNT, attrgetter("queries")),
        Column("success, float", HEAT, attrgetter("success_float")),
        Column("success, PNG", HEAT, attrgetter("success_png")),
        _CERTIFICATES,
        _ALARMS,
    )
    return Table.of(columns, summary.multiples, title=_TITLES["multiples"], group=_by_system(summary))


def edit_table(summary: Summary) -> Table:
    """Every edit of every system, at the largest budget."""
    worst = {(line.system, line.edit): line for line in summary.edit_budgets}  # the last one is the largest ball

    def first(stage: str) -> Any:
        def share(line: EditLine) -> Share | None:
            rates = getattr(worst.get((line.system, line.edit)), stage, None)
            return rates and rates.first

        return share

    attacked = [Column(stage, RATE, first(stage)) for stage in ("attacked", "certified")]
    columns = (
        Column("edit", NAME, edit_name),
        Column("queries", COUNT, attrgetter("queries"), spare=True),
        Column("", MARKUP, lambda line: _bar(line, worst.get((line.system, line.edit)))),
        Column("clean", RATE, attrgetter("clean.first")),
        *(attacked if worst else [Column("certified queries", COUNT, attrgetter("certified"))]),
        Column("median radius", told(EditLine, "median_rmse"), attrgetter("median_rmse")),
    )
    names = [system.name for system in summary.systems]
    lines = [line for name in names for line in summary.edits if line.system == name]
    last = summary.budgets[-1] if summary.budgets else None
    title = _TITLES["edits_clean"] if last is None else _TITLES["edits"].format(at=level(last.budget, last.unit))
    return Table.of(columns, lines, title=title, group=_by_system(summary))


def _bar(line: EditLine, worst: BudgetLine | None) -> Html | str:
    if worst is None:
        return ""
    certified = None if worst.certified is None else worst.certified.first.value
    shares = {"clean": line.clean.first.value, "attacked": worst.attacked.first.value}
    said = ", ".join(f"{name} {percent(value)}" for name, value in shares.items())
    return share_bar(**shares, certified=certified, label=f"{edit_name(line)}: {said}")


def attack_tables(summary: Summary) -> list[Table]:
    """By goal: how often each attack reached it, and how large the changes are that did, and what each took."""
    return [make(summary, goal, lines) for goal, lines in goals(summary).items() for make in (_reached, _effort)]


def _reached(summary: Summary, goal: str, lines: Sequence[AttackLine]) -> Table:
    budgets = dict.fromkeys((line.budget, line.unit) for line in lines)
    columns = [
        Column("attack", NAME, attrgetter("name")),
        Column("sees", NAME, attrgetter("last.sees"), spare=True),
        Column("queries", COUNT, attrgetter("last.attempts"), spare=True),
        *(Column(level(*one), HEAT, methodcaller("reached", one), ladder=True) for one in budgets),
        Column("as PNG", SHARE, attrgetter("last.success_png"), spare=True),
        _ALARMS,
    ]
    return Table.of(columns, runs_of(lines), title=_TITLES["attacks"].format(goal=goal), group=_by_system(summary))


def _effort(summary: Summary, goal: str, lines: Sequence[AttackLine]) -> Table:
    columns = [
        Column("attack", NAME, attrgetter("name")),
        Column("images", COUNT, lambda runs: runs.norm("images") or 0, _IMAGES),
        Column("RMSE", told(Norms, "rmse"), methodcaller("norm", "rmse"), _IMAGES),
        Column("ℓ2", told(Norms, "l2"), methodcaller("norm", "l2"), _IMAGES, spare=True),
        Column("ℓ∞ × 255", told(Norms, "linf", decimals=1), methodcaller("norm", "linf", 255), _IMAGES, spare=True),
        Column("PSNR", told(Norms, "psnr"), methodcaller("norm", "psnr"), _IMAGES, spare=True),
        *(
            Column(f"> {share}", SHARE, methodcaller("norm", f"changed_{digits}"), "pixels changed by", spare=True)
            for share, digits in ((0.001, "001"), (0.01, "01"), (0.03, "03"))
        ),
        Column("gradients", told(AttackLine, "gradients", decimals=0), attrgetter("last.gradients"), _EFFORT),
        Column("forwards", told(AttackLine, "forwards", decimals=0), attrgetter("last.forwards"), _EFFORT),
        Column("seconds", told(AttackLine, "seconds"), attrgetter("last.seconds"), _EFFORT),
    ]
    return Table.of(columns, runs_of(lines), title=_TITLES["effort"].format(goal=goal), group=_by_system(summary))


def tightness_table(summary: Summary) -> Table:
    """Certified radius ÷ smallest successful attack, in quantiles; apart those that the pixel box did not hold back."""
    free = "away from the pixel box"
    columns = (
        Column("system, certificate", NAME, lambda line: f"{line.system}, {PROMISES[line.promise]}"),
        Column("attacked", COUNT, attrgetter("queries")),
        Column("fell", COUNT, lambda line: line.ratios.count if line.ratios else 0),
        *_spread(told(TightnessLine, "ratios"), attrgetter("ratios")),
        Column("fell", COUNT, lambda line: line.free and line.free.count, free, spare=True),
        Column("median", told(TightnessLine, "free"), lambda line: line.free and line.free.p50, free, spare=True),
        Column("found by", WRAPPED, _finders, spare=True),
    )
    return Table.of(columns, summary.tightness, title=_TITLES["tightness"])


def radius_table(summary: Summary) -> Table:
    """Certified radii in quantiles."""
    found = [
        (f"{system.name}, {PROMISES[promise]}", line)
        for system in summary.systems
        for promise, line in (("top1", system.radius), ("verdict", system.verdict_radius))
        if line is not None
    ]
    columns = (
        Column("system, certificate", NAME, lambda one: one[0]),
        Column("queries", COUNT, lambda one: one[1].queries),
        *_spread(told(RadiusLine, "spread"), lambda one: one[1].spread),
        Column("median ℓ2", told(RadiusLine, "l2", decimals=2), lambda one: one[1].l2),
        Column("PSNR floor, dB", told(RadiusLine, "psnr"), lambda one: one[1].psnr),
    )
    return Table.of(columns, found, title=_TITLES["radii"])


def shift_table(summary: Summary) -> Table:
    """How far attacks on the embedding moved it, at the largest budget of each system."""
    columns = (
        Column("system", NAME, attrgetter("system")),
        Column("size", NAME, lambda line: level(line.budget, line.unit)),
        Column("images", COUNT, attrgetter("shift.count")),
        *(
            Column(head, told(ShiftLine, "shift", digits=3), attrgetter(f"shift.{name}"))
            for head, name in _ENDS.items()
        ),
        *(
            Column(
                head,
                told(ShiftLine, "used"),
                lambda line, name=name: line.used and getattr(line.used, name),
                "of L·‖δ‖",
            )
            for head, name in _ENDS.items()
        ),
    )
    return Table.of(columns, largest_shifts(summary), title=_TITLES["shifts"])


_ENDS = {"median": "p50", "largest": "most"}


def _spread(kind: Kind, of: Any) -> Iterator[Column]:
    def quantile(line: Any, name: str) -> float | None:
        found: Quantiles | None = of(line)
        return None if found is None else getattr(found, name)

    for head, name in _QUANTILES.items():
        spare = name in ("p05", "p95")
        yield Column(head, kind, lambda line, name=name: quantile(line, name), spare=spare)


def _finders(line: TightnessLine) -> str:
    return ", ".join(f"{name} {number}" for name, number in line.finders.items()) or "–"
