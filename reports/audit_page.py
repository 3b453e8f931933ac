"""The audit as one self-contained HTML file: a pure function of its summary, its records and its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from ..core.statistics import Share
from ..evaluation.edits.summary import RangeSummary
from ..evaluation.robustness.columns import Columns
from ..evaluation.robustness.curves import Axis, Curve, curves
from ..evaluation.robustness.rates import RadiusLine
from ..evaluation.robustness.summary_lines import BudgetLine, Summary
from ..evaluation.robustness.tightness import PROMISES as PROMISE_NAMES
from ..evaluation.robustness.tightness import TightnessLine
from .audit_names import level, middle_half, warnings
from .audit_page_figures import accuracy_figure, end_of_axis, radius_figures, shift_figures, tightness_figures
from .audit_page_gallery import gallery
from .audit_records import alarm_table, cost_table, run_facts, system_table
from .audit_tables import attack_tables, edit_table, radius_table, results, shift_table, tightness_table
from .edits_table import ProvedEdits
from .kinds import bounds, count, counted, percent, said
from .pages import Figure, Key, page, when
from .words import words


def audit_page(
    summary: Summary,
    records: pa.Table,
    *,
    root: Path,
    thumbnail: Callable[[str, str], bytes | None],
    proved: RangeSummary | None = None,
) -> str:
    """The page as text; it needs no other file, no network and no script.

    Args:
        summary: of these records.
        records: of one run.
        root: the folder that image paths in the records are relative to.
        thumbnail: (system, item id) → the item's picture in any format that retr decodes, or None.
        proved: what is proved of edits of its queries, if that was asked for.
    """
    table = Columns.of(records)
    axis: Axis = "l2" if summary.budgets and summary.budgets[0].unit == "l2" else "rmse"
    drawn = list(curves(table, axis))
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
        results=results(summary),
        radius_figures=radius_figures(summary, drawn, axis=axis),
        radii=radius_table(summary),
        tightness=tightness_table(summary),
        tightness_figures=tightness_figures(summary, table),
        attacks=attack_tables(summary),
        warnings=list(warnings(summary)),
        shifts=shift_table(summary),
        shift_figures=shift_figures(summary, table),
        edits=edit_table(summary),
        edit_proofs=ProvedEdits.of(proved),
        cards=gallery(records, root=root, thumbnail=thumbnail),
        command=table.first("command") or "–",
        run_facts=run_facts(table),
        systems=[system_table(summary, table), cost_table(summary)],
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


def _keys(summary: Summary) -> Iterator[Key]:
    """The main figures of the first system, at its largest budget."""
    first = summary.systems[0]
    own = [line for line in summary.budgets if line.system == first.name]
    yield _rate("found before any attack (recall@1)", first.clean.first)
    if own:
        yield from _at_budget(own[-1], alarmed=summary.alarms > 0)
    if first.radius is not None:
        text = f"median certified radius (RMSE), half of them {middle_half(first.radius.spread)}"
        yield Key(said(RadiusLine, "rmse", first.radius.rmse), (text,))
    ratios = next((line.ratios for line in summary.tightness if line.system == first.name), None)
    if ratios is not None:
        text = f"median tightness: certified radius ÷ smallest attack, on {count(ratios.count)} queries"
        yield Key(said(TightnessLine, "ratios", ratios.p50, decimals=2), (text,))


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
            yield words("audit")["questions"][promise], figures
