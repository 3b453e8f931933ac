"""An audit on the terminal, as JSON and as rows of scalars, from its result alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ..evaluation.edits.summary import RangeSummary
from ..evaluation.robustness.summary_lines import Summary
from .audit_names import warnings
from .audit_tables import attack_tables, edit_table, radius_table, results, shift_table, tightness_table
from .edits_table import print_edits
from .kinds import counted
from .table import Table
from .terminal import say, show

if TYPE_CHECKING:
    from ..evaluation.robustness.attack_eval import AuditResult

_LONGEST_NAME = 28
"""Longer names are folded."""


def audit_json(result: AuditResult, edits: RangeSummary | None = None) -> dict[str, Any]:
    """The audit as ``retr.audit/2``, with what is proved of edits where that was asked for."""
    return {
        "schema": "retr.audit/2",
        **result.summary.as_json(),
        "records": str(result.records),
        "skipped": dict(result.skipped),
        "skipped_paths": [{"path": path, "reason": reason} for path, reason in result.skipped_paths],
        "seconds": result.seconds,
        **({} if edits is None else {"edits_with_proof": edits.as_json()["lines"] + edits.as_json()["by_edit"]}),
    }


def audit_rows(audit: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines of every table of an audit as rows of scalars, for CSV and Parquet; ``part`` names the table.

    Args:
        audit: of :func:`audit_json`.
    """
    for part, lines in audit.items():
        if isinstance(lines, list | tuple):
            yield from ({"schema": "retr.audit-row/1", "run": audit["run"], "part": part, **line} for line in lines)


def print_audit(result: AuditResult, console: Console | None = None, *, edits: RangeSummary | None = None) -> None:
    """What an audit found: recall, verdicts and certificates by budget, edit and attack, and the alarms."""
    out, summary = console or Console(), result.summary
    for line in _head(summary):
        say(out, line)
    for table in _tables(summary):
        show(out, table, longest=_LONGEST_NAME)
    if summary.systems[0].radius is None:
        say(out, "no certified radius: no certificate was given, or no true item is first")
    for line in warnings(summary):
        say(out, ("weak attack?", "yellow"), f" {line}")
    if edits is not None:
        print_edits(edits, out)
    say(out, *_alarms(summary))
    say_skipped(out, result.skipped)
    say(out, f"records: {result.records}  ({result.seconds:.0f} s)", on_one_line=True)


def say_skipped(out: Console, skipped: Mapping[str, int]) -> None:
    """What was left out, by reason, the most frequent first."""
    for reason, number in sorted(skipped.items(), key=lambda pair: -pair[1]):
        say(out, f"left out: {number} × {reason}")


def _head(summary: Summary) -> Iterator[str]:
    first = summary.systems[0]
    asked = f"run {summary.run}: {counted(summary.queries, 'query', 'queries')} from {counted(summary.files, 'file')}"
    if len(summary.systems) == 1:
        yield f"{asked}, model {first.model}, snapshot {first.snapshot}"
        return
    yield f"{asked}, {len(summary.systems)} systems"
    for system in summary.systems:
        yield f"  {system.name}: {system.kind}, model {system.model}, snapshot {system.snapshot}"


def _tables(summary: Summary) -> Iterator[Table]:
    yield from results(summary)
    yield edit_table(summary)
    yield from attack_tables(summary)
    rest = (radius_table(summary), tightness_table(summary), shift_table(summary))
    yield from (table for table in rest if table.rows)


def _alarms(summary: Summary) -> Iterator[str | tuple[str, str]]:
    yield f"soundness alarms: {summary.alarms}", "red" if summary.alarms else "green"
    yield f" in {summary.certificates} attacked certificates"
    if summary.alarms:
        yield " – a certificate was broken inside its radius"
