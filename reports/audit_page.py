"""The audit as one self-contained HTML file: a pure function of its summary, its records and its images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from ..core.files import write_atomically
from ..core.rounded import lower_text, radius_text
from ..core.statistics import Share
from ..evaluation.robustness.columns import Columns
from ..evaluation.robustness.curves import Axis, Curve, curves
from ..evaluation.robustness.summary_lines import BudgetLine, Summary
from ..evaluation.robustness.tightness import PROMISES as PROMISE_NAMES
from .audit_page_figures import accuracy_figure, end_of_axis, radius_figures, shift_figures, tightness_figures
from .audit_page_gallery import gallery
from .audit_page_tables import (
    alarm_table,
    attack_table,
    budget_table,
    cost_table,
    edit_table,
    effort_table,
    multiple_table,
    radius_table,
    run_facts,
    system_table,
    tightness_table,
)
from .audit_words import goals, level, middle_half, warnings
from .kinds import bounds, count, counted, percent
from .pages import Figure, Key, page

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_TITLES = {"top1": "The true item comes first (recall@1)", "verdict": "The verdict is right"}


def write_audit_page(
    path: Path, summary: Summary, records: pa.Table, *, root: Path, thumbnail: Callable[[str, str], bytes | None]
) -> None:
    """Write the page of an audit; it needs no other file, no network and no script.

    Args:
        path: the HTML file, replaced in one step.
        summary: of these records.
        records: ``read_records`` of one run.
        root: the folder that image paths in the records are relative to.
        thumbnail: (system, item id) → the item's picture in any format that retr decodes, or None.
    """
    write_atomically(path, audit_page(summary, records, root=root, thumbnail=thumbnail).encode())


def audit_page(
    summary: Summary, records: pa.Table, *, root: Path, thumbnail: Callable[[str, str], bytes | None]
) -> str:
    """The page as text; see :func:`write_audit_page`."""
    table = Columns.of(records)
    axis: Axis = "l2" if summary.budgets and summary.budgets[0].unit == "l2" else "rmse"
    drawn = list(curves(table, axis))
    last, several = summary.budgets[-1] if summary.budgets else None, len(summary.systems) > 1
    return page(
        "audit.html.j2",
        run=summary.run,
        when=when(summary.run),
        counted=_counted(summary, table),
        certificates=summary.certificates,
        alarms=summary.alarms,
        alarm_table=alarm_table(records),
        keys=list(_keys(summary)),
        accuracy=list(_accuracy(summary, drawn, axis)),
        budgets=budget_table(summary) if summary.budgets else None,
        multiples=multiple_table(summary) if summary.multiples else None,
        radius_figures=radius_figures(summary, drawn, axis=axis),
        radii=radius_table(summary),
        tightness=tightness_table(summary) if summary.tightness else None,
        tightness_figures=tightness_figures(summary, table),
        attacks=summary.attacks,
        goals=[
            (goal, attack_table(lines, several=several), effort_table(lines, several=several))
            for goal, lines in goals(summary).items()
        ],
        warnings=list(warnings(summary)),
        shift_figures=shift_figures(summary, table),
        largest=None if last is None else level(last.budget, last.unit),
        edits=edit_table(summary),
        cards=gallery(records, root=root, thumbnail=thumbnail),
        command=table.first("command") or "–",
        run_facts=run_facts(table),
        systems=system_table(summary, table),
        cost=cost_table(summary),
    )


def _counted(summary: Summary, table: Columns) -> list[str]:
    first = summary.systems[0]
    attacks = len(set(table.attacked["attack"]))
    return [
        f"{first.name} ({first.model})" if len(summary.systems) == 1 else f"{len(summary.systems)} systems",
        f"{counted(first.queries, 'query', 'queries')} from {counted(first.files, 'image')}",
        counted(attacks, "attack"),
        f"{counted(sum(system.images for system in summary.systems), 'adversarial image')} judged",
    ]


def when(run: str) -> str:
    """A run's id tells when it began; any other id is shown as it is."""
    found = re.fullmatch(r"(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})\d{2}-[0-9a-f]+", run)
    if found is None or not 1 <= int(found[2]) <= len(_MONTHS):
        return run
    return f"{int(found[3])} {_MONTHS[int(found[2]) - 1]} {found[1]}, {found[4]}:{found[5]} UTC"


def _keys(summary: Summary) -> Iterator[Key]:
    """The main figures of the first system, at its largest budget."""
    first = summary.systems[0]
    own = [line for line in summary.budgets if line.system == first.name]
    yield _rate("found before any attack (recall@1)", first.clean.first)
    if own:
        yield from _at_budget(own[-1], alarmed=summary.alarms > 0)
    if first.radius is not None:
        text = f"median certified radius (RMSE), half of them {middle_half(first.radius.spread, 2)}"
        yield Key(radius_text(first.radius.rmse, decimals=2), (text,))
    ratios = next((line.ratios for line in summary.tightness if line.system == first.name), None)
    if ratios is not None:
        text = f"median tightness: certified radius ÷ smallest attack, on {count(ratios.count)} queries"
        yield Key(lower_text(ratios.p50, decimals=2), (text,))


def _at_budget(line: BudgetLine, *, alarmed: bool) -> Iterator[Key]:
    at = level(line.budget, line.unit)
    proved = "said to be proved" if alarmed else "proved"
    yield _rate(f"still found under every attack at {at}", line.attacked.first, "broken")
    if line.certified is not None:
        yield _rate(f"{proved} to be found whatever the attack at {at}", line.certified.first, "proved")


def _rate(text: str, share: Share, kind: str = "") -> Key:
    interval = f"95 %: {bounds(share)}" if share.of else "no query"
    return Key(percent(share.value), (text, interval), kind)


def _accuracy(summary: Summary, drawn: Sequence[Curve], axis: Axis) -> Iterator[tuple[str, list[Figure]]]:
    """The charts of each question, with its title."""
    x_max = end_of_axis(summary, drawn, axis)
    for promise in PROMISE_NAMES:
        figures = [
            accuracy_figure(summary, curve, axis=axis, x_max=x_max) for curve in drawn if curve.promise == promise
        ]
        if figures:
            yield _TITLES[promise], figures
