"""The audit as one self-contained HTML file: a pure function of its summary, its records and its images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from ..core.files import write_atomically
from ..evaluation.robustness.curves import Axis, curves
from ..evaluation.robustness.summary_lines import BudgetLine, Summary
from ..evaluation.robustness.tightness import PROMISES as PROMISE_NAMES
from ..evaluation.shared.columns import Columns
from ..evaluation.shared.intervals import Share
from .audit_page_figures import (
    accuracy_figure,
    end_of_axis,
    legend,
    panels,
    radius_figures,
    shift_figures,
    tightness_figures,
)
from .audit_page_gallery import gallery
from .audit_page_style import STYLE
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
from .audit_page_texts import ALARMED, ATTACKS, EDITS, FOOTER, GALLERY, INTERVALS, READING, TIGHTNESS
from .audit_words import bounds, goals, level, percent, warnings
from .html_tables import count
from .html_tags import Content, Html, join, tag

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a page may load: nothing."""
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip


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
    cards = gallery(records, root=root, thumbnail=thumbnail)
    sections = [*_results(summary, table), *_certificates(summary, table), *_attacks(summary, table), *_edits(summary)]
    if cards is not None:
        sections.append(("gallery", "Gallery", join(tag("p", GALLERY, class_="note"), cards)))
    sections.append(("run", "What was run", _run(summary, table)))
    links = [tag("a", title, href=f"#{name}") for name, title, _ in sections]
    head = tag("header", *_head(summary, table), _alarms(summary, records), _figures(summary), tag("nav", links))
    body = tag("body", head, tag("main", [_section(*section) for section in sections]), _footer())
    return f'<!doctype html>\n<html lang="en">\n{_html_head(summary)}\n{body}\n</html>\n'


def _html_head(summary: Summary) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", f"Robustness audit {summary.run}"),
        tag("style", Html(STYLE)),
    )


def _section(name: str, title: str, content: Html) -> Html:
    return tag("section", tag("h2", title), content, id=name)


def _head(summary: Summary, table: Columns) -> Iterator[Html]:
    first = summary.systems[0]
    attacks = len(set(table.attacked["attack"]))
    names = f"{first.name} ({first.model})" if len(summary.systems) == 1 else f"{len(summary.systems)} systems"
    counted = [
        names,
        f"{count(first.queries)} queries from {count(first.files)} images",
        f"{attacks} {'attack' if attacks == 1 else 'attacks'}",
        f"{count(sum(system.images for system in summary.systems))} adversarial images judged",
    ]
    yield tag("p", f"retr · {when(summary.run)}", class_="kicker")
    yield tag("h1", "Robustness audit")
    yield tag("p", " · ".join(counted), class_="soft")


def when(run: str) -> str:
    """A run's id tells when it began; any other id is shown as it is."""
    found = re.fullmatch(r"(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})\d{2}-[0-9a-f]+", run)
    if found is None or not 1 <= int(found[2]) <= len(_MONTHS):
        return run
    return f"{int(found[3])} {_MONTHS[int(found[2]) - 1]} {found[1]}, {found[4]}:{found[5]} UTC"


def _alarms(summary: Summary, records: pa.Table) -> Html:
    """Whether any certificate was broken: the first thing a reader must know."""
    held = count(summary.certificates)
    if summary.alarms:
        noun = "soundness alarm" if summary.alarms == 1 else "soundness alarms"
        text = f"Of {held} attacked certificates, {count(summary.alarms)} did not hold. {ALARMED}"
        title = tag("h2", f"{count(summary.alarms)} {noun}")
        return tag("div", title, tag("p", text), alarm_table(records), class_="verdict alarmed", role="alert")
    if not summary.certificates:
        text = "No certificate was attacked: no adversarial image lay inside a certified radius."
        return tag("div", tag("p", text), class_="verdict none")
    words: tuple[Content, ...] = (
        tag("strong", "No alarm."),
        f" {held} adversarial images lay inside a certified radius; ",
    )
    return tag("div", tag("p", *words, "what was certified held for every one of them."), class_="verdict")


def _figures(summary: Summary) -> Html:
    """The main figures of the first system, at its largest budget."""
    first = summary.systems[0]
    own = [line for line in summary.budgets if line.system == first.name]
    shown = [_figure("found before any attack (recall@1)", first.clean.first)]
    if own:
        shown += _at_budget(own[-1], alarmed=summary.alarms > 0)
    if first.radius is not None:
        text = (
            f"median certified radius (RMSE), half of them {first.radius.spread.p25:.2f}–{first.radius.spread.p75:.2f}"
        )
        shown.append(tag("div", tag("b", f"{first.radius.rmse:.2f}"), tag("span", text)))
    ratios = next((line.ratios for line in summary.tightness if line.system == first.name), None)
    if ratios is not None:
        text = f"median tightness: certified radius ÷ smallest attack, on {count(ratios.count)} queries"
        shown.append(tag("div", tag("b", f"{ratios.p50:.2f}"), tag("span", text)))
    return tag("div", shown, class_="figures")


def _at_budget(line: BudgetLine, *, alarmed: bool) -> Iterator[Html]:
    at = level(line.budget, line.unit)
    proved = "said to be proved" if alarmed else "proved"
    yield _figure(f"still found under every attack at {at}", line.attacked.first, "broken")
    if line.certified is not None:
        yield _figure(f"{proved} to be found whatever the attack at {at}", line.certified.first, "proved")


def _figure(text: str, share: Share, kind: str | None = None) -> Html:
    interval = f"95 %: {bounds(share)}" if share.of else "no query"
    return tag("div", tag("b", percent(share.value)), tag("span", text), tag("span", interval), class_=kind)


def _results(summary: Summary, table: Columns) -> Iterator[tuple[str, str, Html]]:
    unit = summary.budgets[0].unit if summary.budgets else ""
    axis: Axis = "l2" if unit == "l2" else "rmse"
    drawn = list(curves(table, axis))
    x_max = end_of_axis(summary, drawn, axis)
    parts: list[Html] = [tag("p", READING, class_="note"), legend()]
    for promise in PROMISE_NAMES:
        chosen = [curve for curve in drawn if curve.promise == promise]
        if chosen:
            parts.append(tag("h3", _TITLES[promise]))
            parts.append(panels(accuracy_figure(summary, curve, axis=axis, x_max=x_max) for curve in chosen))
    if summary.budgets:
        parts += [tag("h3", "By budget"), budget_table(summary), tag("p", INTERVALS, class_="note")]
    if summary.multiples:
        title = "At multiples of each query’s own certified radius (below 1 an attack must fail)"
        parts += [tag("h3", title), multiple_table(summary)]
    yield "results", "Accuracy under attack", join(parts)


_TITLES = {"top1": "The true item comes first (recall@1)", "verdict": "The verdict is right"}


def _certificates(summary: Summary, table: Columns) -> Iterator[tuple[str, str, Html]]:
    unit = summary.budgets[0].unit if summary.budgets else ""
    axis: Axis = "l2" if unit == "l2" else "rmse"
    radii = radius_figures(summary, list(curves(table, axis)), axis=axis)
    if not radii:
        return
    parts: list[Content] = [tag("h3", "Certified radii"), panels(radii), radius_table(summary)]
    tight = tightness_figures(summary, table)
    if summary.tightness:
        parts += [tag("h3", "Tightness"), tag("p", TIGHTNESS, class_="note"), panels(tight), tightness_table(summary)]
    yield "certificates", "Certificates", join(parts)


def _attacks(summary: Summary, table: Columns) -> Iterator[tuple[str, str, Html]]:
    if not summary.attacks:
        return
    parts: list[Content] = [tag("p", ATTACKS, class_="note")]
    names = [system.name for system in summary.systems]
    for goal, lines in goals(summary).items():
        parts += [tag("h3", f"Goal: {goal}"), attack_table(lines, names), effort_table(lines, names)]
    signs = list(warnings(summary))
    if signs:
        parts.append(tag("h3", "Signs of weak attacks"))
        parts.append(tag("p", "Where an attack shows these, its failures say little about the system.", class_="note"))
        parts.append(tag("ul", [tag("li", sign) for sign in signs], class_="warnings"))
    shifts = shift_figures(summary, table)
    if shifts:
        parts += [tag("h3", "How far the embedding was moved"), panels(shifts)]
    yield "attacks", "Attacks", join(parts)


def _edits(summary: Summary) -> Iterator[tuple[str, str, Html]]:
    last = summary.budgets[-1] if summary.budgets else None
    at = "" if last is None else f" Attacked and certified at {level(last.budget, last.unit)}."
    yield "edits", "Edits", join(tag("p", f"{EDITS}{at}", class_="note"), edit_table(summary))


def _run(summary: Summary, table: Columns) -> Html:
    command = tag("pre", table.first("command") or "–")
    return join(command, run_facts(table), tag("h3", "Systems"), system_table(summary, table), cost_table(summary))


def _footer() -> Html:
    return tag("footer", tag("p", FOOTER))
