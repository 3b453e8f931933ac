"""Terminal tables and JSON of an audit, from its result alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

from ..evaluation.summary import AttackLine, BudgetLine, EditLine, MultipleLine, RadiusLine, Summary


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
    """The audit as ``retr.audit/1``."""
    return {
        "schema": "retr.audit/1",
        **result.summary.as_json(),
        "records": str(result.records),
        "skipped": dict(result.skipped),
        "skipped_paths": [{"path": path, "reason": reason} for path, reason in result.skipped_paths],
        "seconds": result.seconds,
    }


def print_audit(result: Result, console: Console | None = None) -> None:
    """What an audit found: recall and certificates by budget, by edit and by attack, and the alarms."""
    out, summary = console or Console(), result.summary
    out.print(_head(summary), highlight=False)
    for table in _tables(summary):
        out.print(table)
    out.print(_radius(summary.radius), highlight=False)
    out.print(_alarms(summary), highlight=False)
    for reason, count in sorted(result.skipped.items(), key=lambda pair: -pair[1]):
        out.print(f"left out: {count} × {reason}", highlight=False)
    out.print(f"records: {result.records}  ({result.seconds:.0f} s)", highlight=False, soft_wrap=True)


def _head(summary: Summary) -> str:
    return (
        f"run {summary.run}: {summary.queries} queries from {summary.files} files, model {summary.model}, "
        f"snapshot {summary.snapshot}"
    )


def _tables(summary: Summary) -> Iterable[Table]:
    if summary.budgets:
        yield _budget_table(summary.budgets)
    if summary.multiples:
        yield _multiple_table(summary.multiples)
    if summary.edits:
        yield _edit_table(summary.edits)
    if summary.attacks:
        yield _attack_table(summary.attacks)


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _budget_table(lines: Iterable[BudgetLine]) -> Table:
    table = _table(
        "By budget (attacked: the worst of all attacks within the budget, query by query)",
        "budget",
        "clean\nrecall@1",
        "clean\nrecall@10",
        "attacked\nrecall@1",
        "certified\nrecall@1",
        "certificates\nattacked",
        "alarms",
    )
    for line in lines:
        table.add_row(
            f"{line.budget:g} {line.unit}",
            percent(line.clean1),
            percent(line.clean10),
            percent(line.attacked1),
            percent(line.certified1),
            str(line.certificates),
            str(line.alarms),
        )
    return table


def _multiple_table(lines: Iterable[MultipleLine]) -> Table:
    table = _table(
        "At multiples of each query's own certified radius (below 1 an attack must fail)",
        "× radius",
        "queries",
        "success\nfloat",
        "success\nPNG",
        "certificates\nattacked",
        "alarms",
    )
    for line in lines:
        table.add_row(
            f"{line.multiple:g}",
            str(line.queries),
            percent(line.success_float),
            percent(line.success_png),
            str(line.certificates),
            str(line.alarms),
        )
    return table


def _edit_table(lines: Iterable[EditLine]) -> Table:
    table = _table("By edit, before any attack", "edit", "queries", "recall@1", "certified", "median radius\nRMSE/255")
    for line in lines:
        name = f"{line.edit} (geometric)" if line.geometric else line.edit
        radius = "–" if line.median_rmse is None else f"{line.median_rmse:.2f}"
        table.add_row(name, str(line.queries), percent(line.clean1), str(line.certified), radius)
    return table


def _attack_table(lines: Iterable[AttackLine]) -> Table:
    table = _table(
        "By attack",
        "attack, goal",
        "budget",
        "success\nfloat",
        "success\nPNG",
        "gradients",
        "seconds",
        "alarms",
    )
    for line in lines:
        unit = "× radius" if line.unit == "radius" else line.unit
        table.add_row(
            f"{line.attack}, {line.goal}",
            f"{line.budget:g} {unit}",
            percent(line.success_float),
            percent(line.success_png),
            f"{line.gradients:.0f}",
            f"{line.seconds:.2f}",
            str(line.alarms),
        )
    return table


def _radius(radius: RadiusLine | None) -> str:
    if radius is None:
        return "median certified radius: none (no certificate was given, or no true item is first)"
    psnr = "no PSNR floor" if radius.psnr is None else f"PSNR ≥ {radius.psnr:.1f} dB"
    return (
        f"median certified radius over {radius.queries} queries whose true item is first: "
        f"RMSE {radius.rmse:.2f}/255, ℓ2 {radius.l2:.2f}, {psnr}"
    )


def _alarms(summary: Summary) -> str:
    colour = "red" if summary.alarms else "green"
    text = f"[{colour}]soundness alarms: {summary.alarms}[/{colour}] in {summary.certificates} attacked certificates"
    return text + (" – a certificate was broken inside its radius" if summary.alarms else "")


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{100 * share:.1f} %"
