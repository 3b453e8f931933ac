"""Terminal tables and JSON of an audit, from its result alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, methodcaller
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from ..core.rounded import budget_text
from ..core.statistics import Share
from ..evaluation.robustness.summary_lines import AttackLine, BudgetLine, MultipleLine, Rates, Summary
from .audit_words import amount, attack_name, edit_name, goals, radii, shifts, tightness, warnings
from .kinds import BOUNDS, COUNT, NAME, RADIUS, RATE, SECONDS, SHARE, counted, measured
from .table import Column, Row, Rule, Table
from .terminal import drawn, say

_WIDE = 110
"""Columns of a terminal from which the tables show more."""
_LONGEST_NAME = 28
"""Longer names are folded."""
_STAGES = ("clean", "attacked", "certified")
_PERCENT = 10
"""Columns that a percentage takes, with its borders."""


class Result(Protocol):
    """What is printed; ``evaluation.attack_eval.AuditResult`` is one."""

    @property
    def run(self) -> str:
        """Id of the run."""
        ...

    @property
    def records(self) -> Path:
        """The Parquet file."""
        ...

    @property
    def summary(self) -> Summary:
        """The numbers."""
        ...

    @property
    def skipped(self) -> dict[str, int]:
        """Reason → how many inputs were left out."""
        ...

    @property
    def skipped_paths(self) -> tuple[tuple[str, str], ...]:
        """Each of them with its reason."""
        ...

    @property
    def seconds(self) -> float:
        """Wall time."""
        ...


def audit_json(result: Result) -> dict[str, Any]:
    """The audit as ``retr.audit/2``."""
    return {
        "schema": "retr.audit/2",
        **result.summary.as_json(),
        "records": str(result.records),
        "skipped": dict(result.skipped),
        "skipped_paths": [{"path": path, "reason": reason} for path, reason in result.skipped_paths],
        "seconds": result.seconds,
    }


def print_audit(result: Result, console: Console | None = None) -> None:
    """What an audit found: recall, verdicts and certificates by budget, edit and attack, and the alarms."""
    out, summary = console or Console(), result.summary
    for line in _head(summary):
        say(out, line)
    for table in _tables(summary, out.width):
        out.print(drawn(table, longest=_LONGEST_NAME))
    for line in [*radii(summary), *tightness(summary), *shifts(summary)]:
        say(out, line)
    for line in warnings(summary):
        say(out, ("weak attack?", "yellow"), f" {line}")
    say(out, *_alarms(summary))
    for reason, number in sorted(result.skipped.items(), key=lambda pair: -pair[1]):
        say(out, f"left out: {number} × {reason}")
    say(out, f"records: {result.records}  ({result.seconds:.0f} s)", on_one_line=True)


def _head(summary: Summary) -> Iterator[str]:
    first = summary.systems[0]
    asked = f"run {summary.run}: {counted(summary.queries, 'query', 'queries')} from {counted(summary.files, 'file')}"
    if len(summary.systems) == 1:
        yield f"{asked}, model {first.model}, snapshot {first.snapshot}"
        return
    yield f"{asked}, {len(summary.systems)} systems"
    for system in summary.systems:
        yield f"  {system.name}: {system.kind}, model {system.model}, snapshot {system.snapshot}"


def _tables(summary: Summary, width: int) -> Iterator[Table]:
    several = len(summary.systems) > 1
    if summary.budgets and several:
        yield _side_by_side(summary, "recall@1", width)
        yield _side_by_side(summary, "verdict", width)
    elif summary.budgets:
        yield _budget_table(summary.budgets, wide=width >= _WIDE)
    if summary.multiples:
        yield _multiple_table(summary.multiples, several=several)
    yield _edit_table(summary, wide=width >= _WIDE)
    for lines in goals(summary).values():
        yield _attack_table(lines, width, several=several)


def _budget_table(lines: Iterable[BudgetLine], *, wide: bool) -> Table:
    columns = [Column("budget", NAME), Column("", NAME), *(Column(name, RATE) for name in _STAGES)]
    columns += [Column("certificates\nattacked", COUNT), Column("alarms", COUNT)] if wide else []
    rows: list[Row] = []
    for line in lines:
        for place, (name, shares) in enumerate(questions(line)):
            first = amount(line.budget, line.unit) if place == 0 else ""
            counts = (line.certificates, line.alarms) if place == 0 else ("", "")
            rows.append((first, name, *shares, *(counts if wide else ())))
        rows.append(Rule())
    return Table(tuple(columns), tuple(rows), "By budget (attacked: worst of all attacks; in brackets: 95 % interval)")


def questions(line: BudgetLine) -> Iterator[tuple[str, list[Share | None]]]:
    """What a system can be right in, clean, attacked and certified; the verdict last, for not all give one."""
    rates = (line.clean, line.attacked, line.certified)
    yield "recall@1", [one and one.first for one in rates]
    yield "recall@10", [one and one.top10 for one in rates]
    if line.clean.verdict is not None:
        yield "verdict", [one and one.verdict for one in rates]


def _side_by_side(summary: Summary, question: str, width: int) -> Table:
    """Systems as rows, two each: what attacks left, and what is proved."""
    names = [system.name for system in summary.systems]
    budgets = _shown([line for line in summary.budgets if line.system == names[0]], width - _longest(names) - 26)
    heads = ("clean", *(amount(line.budget, line.unit).replace(" ", "\n") for line in budgets))
    rows: list[Row] = []
    for system in summary.systems:
        at = {line.budget: line for line in summary.budgets if line.system == system.name}
        chosen = [at.get(budget.budget) for budget in budgets]
        attacked = [_share(line and line.attacked, question) for line in chosen]
        certified = [_share(line and line.certified, question) for line in chosen]
        rows += [(system.name, "attacked", _share(system.clean, question), *attacked)]
        rows += [("", "certified", "", *certified), Rule()]
    title = "recall@1" if question == "recall@1" else "accuracy of the verdict"
    columns = (Column("system", NAME), Column("", NAME), *(Column(head, SHARE) for head in heads))
    return Table(columns, tuple(rows), f"Side by side: {title} under the worst of all attacks")


def _share(rates: Rates | None, question: str) -> float | None:
    share = rates and (rates.first if question == "recall@1" else rates.verdict)
    return None if share is None else share.value


def _shown(lines: Sequence[Any], room: int) -> list[Any]:
    """As many as there is room for, evenly spread, the last one always among them."""
    most = max(2, room // _PERCENT)
    if len(lines) <= most:
        return list(lines)
    return [lines[round(i * (len(lines) - 1) / (most - 1))] for i in range(most)]


def _longest(names: Iterable[str]) -> int:
    return min(max(len(name) for name in names), _LONGEST_NAME)


def _multiple_table(lines: Iterable[MultipleLine], *, several: bool) -> Table:
    def name(line: MultipleLine) -> str:
        return f"{line.system}, {budget_text(line.multiple)}" if several else budget_text(line.multiple)

    columns = (
        Column("system, × radius" if several else "× radius", NAME, name),
        Column("queries", COUNT, attrgetter("queries")),
        Column("success\nfloat", SHARE, attrgetter("success_float")),
        Column("success\nPNG", SHARE, attrgetter("success_png")),
        Column("certificates\nattacked", COUNT, attrgetter("certificates")),
        Column("alarms", COUNT, attrgetter("alarms")),
    )
    title = "At multiples of each query's own certified radius (below 1 an attack must fail)"
    return Table.of(columns, lines, title=title)


def _edit_table(summary: Summary, *, wide: bool) -> Table:
    """The edits of the first system, at its largest budget."""
    name = summary.systems[0].name
    own = [line for line in summary.edit_budgets if line.system == name]
    worst = {line.edit: line for line in own}  # budgets come from the smallest ball to the largest
    columns = [
        Column("edit", NAME, edit_name),
        Column("queries", COUNT, attrgetter("queries")),
        Column("clean", SHARE, attrgetter("clean1")),
    ]
    if wide:
        columns.append(Column("95 %\nclean", BOUNDS, attrgetter("clean.first")))
    if own:
        columns.append(Column("attacked", SHARE, lambda line: worst[line.edit].attacked.first.value))
        columns.append(Column("certified", SHARE, lambda line: _share(worst[line.edit].certified, "recall@1")))
    else:
        columns.append(Column("certified\nqueries", COUNT, attrgetter("certified")))
    columns.append(Column("median\nradius", RADIUS, attrgetter("median_rmse")))
    of = f" ({name})" if len(summary.systems) > 1 else ""
    at = f", at {amount(own[-1].budget, own[-1].unit)}" if own else ", before any attack"
    title = f"By edit{of}: recall@1{at}; radius as RMSE/255"
    return Table.of(columns, [line for line in summary.edits if line.system == name], title=title)


def _attack_table(lines: Sequence[AttackLine], width: int, *, several: bool) -> Table:
    """Attacks of one goal as rows, budgets as columns; a heading for each of several systems."""
    wide = width >= _WIDE
    levels = list(dict.fromkeys((line.budget, line.unit) for line in lines))
    names = _longest([attack_name(line) for line in lines] + [line.system for line in lines if several])
    columns = [Column("attack", NAME, lambda runs: runs.name)]
    for level in _shown(levels, width - names - (66 if wide else 23)):
        columns.append(Column(amount(*level).replace(" ", "\n", 1), SHARE, methodcaller("reached", level)))
    if wide:
        columns += [
            Column("PNG", SHARE, attrgetter("last.success_png")),
            Column("RMSE of\nwins", measured(decimals=2), lambda runs: runs.last.norms and runs.last.norms.rmse),
            Column("gradients", measured(decimals=0), attrgetter("last.gradients")),
            Column("forwards", measured(decimals=0), attrgetter("last.forwards")),
        ]
    columns += [Column("seconds", SECONDS, attrgetter("last.seconds")), Column("alarms", COUNT, attrgetter("alarms"))]
    title = f"By attack, goal {lines[0].goal}: queries on which it was reached (float image)"
    return Table.of(columns, runs_of(lines), title=title, group=attrgetter("system") if several else None)


@dataclass(frozen=True)
class Runs:
    """One attack on one system, from its smallest budget to its largest; what is not by budget is that of the last."""

    name: str
    lines: tuple[AttackLine, ...]

    @property
    def last(self) -> AttackLine:
        """At the largest budget."""
        return self.lines[-1]

    @property
    def system(self) -> str:
        """Its name."""
        return self.last.system

    @property
    def alarms(self) -> int:
        """At all budgets."""
        return sum(line.alarms for line in self.lines)

    def reached(self, level: tuple[float, str]) -> float | str:
        """Share of queries on which the goal was reached at a budget; nothing where it was not tried."""
        at = {(line.budget, line.unit): line.success_float for line in self.lines}
        return at.get(level, "")


def runs_of(lines: Sequence[AttackLine]) -> list[Runs]:
    """Lines of one goal by system and attack, in order of first appearance."""
    found: dict[tuple[str, str], list[AttackLine]] = {}
    order = {system: place for place, system in enumerate(dict.fromkeys(line.system for line in lines))}
    for line in sorted(lines, key=lambda line: order[line.system]):
        found.setdefault((line.system, attack_name(line)), []).append(line)
    return [Runs(name, tuple(own)) for (_, name), own in found.items()]


def _alarms(summary: Summary) -> Iterator[str | tuple[str, str]]:
    yield f"soundness alarms: {summary.alarms}", "red" if summary.alarms else "green"
    yield f" in {summary.certificates} attacked certificates"
    if summary.alarms:
        yield " – a certificate was broken inside its radius"
