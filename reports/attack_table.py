"""Terminal tables and JSON of an audit, from its result alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..evaluation.robustness.summary_lines import AttackLine, BudgetLine, EditLine, MultipleLine, Rates, Summary
from ..evaluation.shared.intervals import Share
from .audit_words import amount, attack_name, bounds, goals, interval, percent, radii, shifts, tightness, warnings

_WIDE = 110
"""Columns of a terminal from which the tables show more."""
_LONGEST_NAME = 28
"""Longer names are folded."""
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
        out.print(escape(line), highlight=False)
    for table in _tables(summary, out.width):
        out.print(table)
    for line in [*radii(summary), *tightness(summary), *shifts(summary)]:
        out.print(escape(line), highlight=False)
    for line in warnings(summary):
        out.print(f"[yellow]weak attack?[/yellow] {escape(line)}", highlight=False)
    out.print(_alarms(summary), highlight=False)
    for reason, count in sorted(result.skipped.items(), key=lambda pair: -pair[1]):
        out.print(f"left out: {count} × {escape(reason)}", highlight=False)
    out.print(f"records: {escape(str(result.records))}  ({result.seconds:.0f} s)", highlight=False, soft_wrap=True)


def _head(summary: Summary) -> Iterator[str]:
    first = summary.systems[0]
    asked = f"run {summary.run}: {summary.queries} queries from {summary.files} files"
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


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first, overflow="fold", max_width=_LONGEST_NAME)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _budget_table(lines: Iterable[BudgetLine], *, wide: bool) -> Table:
    more = ("certificates\nattacked", "alarms") if wide else ()
    table = _table(
        "By budget (attacked: worst of all attacks; in brackets: 95 % interval)",
        "budget",
        "",
        "clean",
        "attacked",
        "certified",
        *more,
    )
    table.columns[1].justify = "left"
    for line in lines:
        for i, (name, shares) in enumerate(_questions(line)):
            counts = (str(line.certificates), str(line.alarms)) if i == 0 else ("", "")
            first = amount(line.budget, line.unit) if i == 0 else ""
            table.add_row(first, name, *(interval(share) for share in shares), *(counts if wide else ()))
        table.add_section()
    return table


def _questions(line: BudgetLine) -> Iterator[tuple[str, list[Share | None]]]:
    """What a system can be right in: its name, and how often it is so clean, attacked and certified."""
    rates = (line.clean, line.attacked, line.certified)
    yield "recall@1", [rate and rate.first for rate in rates]
    yield "recall@10", [rate and rate.top10 for rate in rates]
    if line.clean.verdict is not None:
        yield "verdict", [rate and rate.verdict for rate in rates]


def _side_by_side(summary: Summary, question: str, width: int) -> Table:
    """Systems as rows, two each: what attacks left, and what is proved."""
    names = [system.name for system in summary.systems]
    budgets = _shown([line for line in summary.budgets if line.system == names[0]], width - _longest(names) - 26)
    title = "recall@1" if question == "recall@1" else "accuracy of the verdict"
    heads = [amount(line.budget, line.unit).replace(" ", "\n") for line in budgets]
    table = _table(f"Side by side: {title} under the worst of all attacks", "system", "", "clean", *heads)
    table.columns[1].justify = "left"
    for system in summary.systems:
        lines = [line for line in summary.budgets if line.system == system.name]
        at = {line.budget: line for line in lines}
        chosen = [at.get(budget.budget) for budget in budgets]
        attacked = [_cell(line.attacked if line else None, question) for line in chosen]
        certified = [_cell(line.certified if line else None, question) for line in chosen]
        table.add_row(escape(system.name), "attacked", _cell(system.clean, question), *attacked)
        table.add_row("", "certified", "", *certified, end_section=True)
    return table


def _cell(rates: Rates | None, question: str) -> str:
    share = rates and (rates.first if question == "recall@1" else rates.verdict)
    return "–" if share is None else percent(share.value)


def _shown(lines: Sequence[Any], room: int) -> list[Any]:
    """As many as there is room for, evenly spread, the last one always among them."""
    most = max(2, room // _PERCENT)
    if len(lines) <= most:
        return list(lines)
    return [lines[round(i * (len(lines) - 1) / (most - 1))] for i in range(most)]


def _longest(names: Iterable[str]) -> int:
    return min(max(len(name) for name in names), _LONGEST_NAME)


def _multiple_table(lines: Iterable[MultipleLine], *, several: bool) -> Table:
    table = _table(
        "At multiples of each query's own certified radius (below 1 an attack must fail)",
        "system, × radius" if several else "× radius",
        "queries",
        "success\nfloat",
        "success\nPNG",
        "certificates\nattacked",
        "alarms",
    )
    for line in lines:
        table.add_row(
            escape(f"{line.system}, {line.multiple:g}") if several else f"{line.multiple:g}",
            str(line.queries),
            percent(line.success_float),
            percent(line.success_png),
            str(line.certificates),
            str(line.alarms),
        )
    return table


def _edit_table(summary: Summary, *, wide: bool) -> Table:
    """The edits of the first system, at its largest budget."""
    name = summary.systems[0].name
    own = [line for line in summary.edit_budgets if line.system == name]
    worst = {line.edit: line for line in own}  # budgets come from the smallest ball to the largest
    of = f" ({escape(name)})" if len(summary.systems) > 1 else ""
    at = f", at {amount(own[-1].budget, own[-1].unit)}" if own else ", before any attack"
    heads = ("attacked", "certified") if own else ("certified\nqueries",)
    more = ("95 %\nclean",) if wide else ()
    title = f"By edit{of}: recall@1{at}; radius as RMSE/255"
    table = _table(title, "edit", "queries", "clean", *more, *heads, "median\nradius")
    for line in summary.edits:
        if line.system == name:
            table.add_row(*_edit_row(line, worst.get(line.edit), wide=wide))
    return table


def _edit_row(line: EditLine, worst: BudgetLine | None, *, wide: bool) -> list[str]:
    name = f"{line.edit} (geometric)" if line.geometric else line.edit
    row = [name, str(line.queries), percent(line.clean1)]
    if wide:
        row.append(bounds(line.clean.first))
    if worst is None:
        row.append(str(line.certified))
    else:
        row += [_cell(worst.attacked, "recall@1"), _cell(worst.certified, "recall@1")]
    return [*row, "–" if line.median_rmse is None else f"{line.median_rmse:.2f}"]


def _attack_table(lines: Sequence[AttackLine], width: int, *, several: bool) -> Table:
    """Attacks of one goal as rows, budgets as columns; a heading for each of several systems."""
    wide = width >= _WIDE
    levels = list(dict.fromkeys((line.budget, line.unit) for line in lines))
    names = _longest([attack_name(line) for line in lines] + [line.system for line in lines if several])
    shown = _shown(levels, width - names - (66 if wide else 23))
    more = ("PNG", "RMSE of\nwins", "gradients", "forwards") if wide else ()
    heads = [amount(*level).replace(" ", "\n", 1) for level in shown]
    title = f"By attack, goal {lines[0].goal}: queries on which it was reached (float image)"
    table = _table(title, "attack", *heads, *more, "seconds", "alarms")
    for system in dict.fromkeys(line.system for line in lines):
        if several:
            table.add_section()
            table.add_row(escape(system), style="bold")
        own = [line for line in lines if line.system == system]
        for name in dict.fromkeys(attack_name(line) for line in own):
            table.add_row(*_attack_row(name, [line for line in own if attack_name(line) == name], shown, wide=wide))
    return table


def _attack_row(
    name: str, lines: Sequence[AttackLine], shown: Sequence[tuple[float, str]], *, wide: bool
) -> Iterator[str]:
    """One attack; what is not by budget is that of the largest."""
    at, last = {(line.budget, line.unit): line for line in lines}, lines[-1]
    yield escape(name)
    yield from (percent(at[level].success_float) if level in at else "" for level in shown)
    if wide:
        norm = "–" if last.norms is None else f"{last.norms.rmse:.2f}"
        yield from (percent(last.success_png), norm, f"{last.gradients:.0f}", f"{last.forwards:.0f}")
    yield f"{last.seconds:.2f}"
    yield str(sum(line.alarms for line in lines))


def _alarms(summary: Summary) -> str:
    colour = "red" if summary.alarms else "green"
    text = f"[{colour}]soundness alarms: {summary.alarms}[/{colour}] in {summary.certificates} attacked certificates"
    return text + (" – a certificate was broken inside its radius" if summary.alarms else "")
