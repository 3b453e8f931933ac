"""A 2AFC benchmark as one self-contained HTML file: a pure function of its summary and its records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..core.files import write_atomically
from ..evaluation.two_afc.findings import findings, learned
from ..evaluation.two_afc.records import TripletRecords
from ..evaluation.two_afc.summary_curves import score_curves
from ..evaluation.two_afc.summary_lines import AttackLine, TripletSummary
from ..evaluation.two_afc.summary_rows import Rows
from .audit_page import POLICY, when
from .audit_page_figures import figure, legend, panels
from .html_tables import count
from .html_tags import Content, Html, join, tag
from .paper_figures import beside
from .two_afc_page_charts import Spot, score_figure, shift_figure, spots_chart, spots_legend
from .two_afc_page_style import STYLE
from .two_afc_page_tables import (
    agreement_table,
    alarm_table,
    certified_table,
    cost_table,
    finding_list,
    flip_table,
    group_table,
    left_out_list,
    matrix,
    papers_table,
    run_facts,
    size_table,
    transfer_table,
)
from .two_afc_page_texts import (
    AGREEMENT,
    ALARMED,
    CERTIFIED,
    CURVES,
    FINDINGS,
    FLIPS,
    FOOTER,
    MATRIX,
    PAPERS,
    SHIFTS,
    TRANSFERS,
)
from .two_afc_table import left_out
from .two_afc_words import Series, of, percent, sample, size, transfers, white_box

Section = tuple[str, str, Html]


def write_two_afc_page(path: Path, summary: TripletSummary, records: TripletRecords) -> None:
    """Write the page of a benchmark; it needs no other file, no network and no script.

    Args:
        path: the HTML file, replaced in one step.
        summary: of these records.
        records: of one run.
    """
    write_atomically(path, two_afc_page(summary, records).encode())


def two_afc_page(summary: TripletSummary, records: TripletRecords) -> str:
    """The page as text; see :func:`write_two_afc_page`."""
    rows = Rows.of(records.table)
    sections = [section for section in _sections(summary, records, rows) if section[2]]
    links = [tag("a", title, href=f"#{name}") for name, title, _ in sections]
    head = tag("header", *_head(summary), _alarms(summary, rows), _figures(summary), tag("nav", links))
    parts = [tag("section", tag("h2", title), content, id=name) for name, title, content in sections]
    body = tag("body", head, tag("main", parts), tag("footer", tag("p", FOOTER)))
    return f'<!doctype html>\n<html lang="en">\n{_html_head(summary)}\n{body}\n</html>\n'


def _html_head(summary: TripletSummary) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", f"2AFC benchmark {summary.run}"),
        tag("style", Html(STYLE)),
    )


def _sections(summary: TripletSummary, records: TripletRecords, rows: Rows) -> Iterator[Section]:
    several = len(summary.data) > 1
    found = finding_list(findings(summary), several=several)
    yield "findings", "What the papers found, asked here", join(_note(FINDINGS), found)
    yield "agreement", "Agreement with people", join(_note(AGREEMENT), _each(summary, _agreement))
    yield "attacks", "Attacks on the metric itself", _with_note(MATRIX, _each(summary, _attacks))
    yield "transfer", "Transferred attacks", _with_note(TRANSFERS, _each(summary, _transfers))
    yield "reverse", "Reverse attacks", _with_note(FLIPS, _each(summary, _reverse))
    yield "certified", "Certified judgements", _with_note(CERTIFIED, _certified(summary, rows))
    yield "embedding", "Attacks on the embedding", _with_note(SHIFTS, _shifts(summary, rows))
    pairs = beside(summary, records.facts)
    yield "papers", "Beside the papers", join(_note(PAPERS), papers_table(pairs)) if pairs else Html("")
    yield "run", "What was run", _run(summary, records)


def _note(text: str) -> Html:
    return tag("p", text, class_="note")


def _with_note(text: str, content: Html) -> Html:
    return join(_note(text), content) if content else content


def _each(summary: TripletSummary, part: Callable[[TripletSummary, str], Iterable[Html]]) -> Html:
    """A part for each data set, with its name where there are several."""
    found = [(data, join(*part(summary, data))) for data in summary.data]
    shown = [(data, content) for data, content in found if content]
    if len(summary.data) == 1:
        return join(*(content for _, content in shown))
    return join(*(join(tag("h3", data), content) for data, content in shown))


def _head(summary: TripletSummary) -> Iterator[Html]:
    images = sum(line.images for line in summary.metrics)
    metrics = len({line.metric for line in summary.metrics})
    counted = [
        *(f"{data}: {sample(summary, data)}" for data in summary.data),
        f"{metrics} {'metric' if metrics == 1 else 'metrics'}",
        f"{count(images)} adversarial images judged",
    ]
    yield tag("p", f"retr · {when(summary.run)}", class_="kicker")
    yield tag("h1", "Two-alternative forced choice")
    yield tag("p", " · ".join(counted), class_="soft")


def _alarms(summary: TripletSummary, rows: Rows) -> Html:
    """Whether any certificate was broken: the first thing a reader must know."""
    held = count(summary.certificates)
    if summary.alarms:
        noun = "soundness alarm" if summary.alarms == 1 else "soundness alarms"
        text = f"Of {held} attacked certificates, {count(summary.alarms)} did not hold. {ALARMED}"
        title = tag("h2", f"{count(summary.alarms)} {noun}")
        return tag("div", title, tag("p", text), alarm_table(rows), class_="verdict alarmed", role="alert")
    if not summary.certificates:
        text = "No certificate was attacked: no adversarial image lay inside a certified radius."
        return tag("div", tag("p", text), class_="verdict none")
    words: tuple[Content, ...] = (
        tag("strong", "No alarm."),
        f" {held} adversarial images lay inside a certified radius; ",
    )
    return tag("div", tag("p", *words, "no judgement that was certified turned."), class_="verdict")


def _figures(summary: TripletSummary) -> Html:
    """The metric that agrees most, what PGD does to it, and the best certified score."""
    first = summary.data[0]
    best = max(of(summary, first), key=lambda line: line.score)
    shown = [_figure(percent(best.score), f"highest 2AFC score: {best.title}", None)]
    own = [line for line in _pgd(summary, first) if line.metric == best.metric]
    if own:
        text = f"of the samples it had right flipped by {own[0].setting}"
        shown.append(_figure(percent(own[0].agree.flipped.value), text, "broken"))
    proved = [line for line in summary.certified if line.data == first and line.form == "sound"]
    if proved:
        line = max(proved, key=lambda one: one.scores[0])
        text = f"highest certified score at ℓ2 {size(summary.epsilons[0])}, the reference moves: {line.title}"
        shown.append(_figure(percent(line.scores[0]), text, "proved"))
    return tag("div", shown, class_="figures")


def _figure(number: str, text: str, kind: str | None) -> Html:
    return tag("div", tag("b", number), tag("span", text), class_=kind)


def _pgd(summary: TripletSummary, data: str) -> list[AttackLine]:
    """The lines of the PGD setting that most metrics were given."""
    series = [one for one in white_box(summary, data, "flip") if one.lines[0].attack == "pgd-linf"]
    chosen = max(series, key=lambda one: len(one.metrics), default=None)
    return chosen.at(chosen.settings[-1]) if chosen else []


def _agreement(summary: TripletSummary, data: str) -> Iterator[Html]:
    yield agreement_table(summary, data)
    lines = {line.metric: line for line in _pgd(summary, data) if line.agree.samples}
    spots = [
        Spot(line.title, _kind(line.metric, certified=line.certified), line.accuracy.value,
             lines[line.metric].agree.flipped.value)
        for line in of(summary, data) if line.metric in lines
    ]  # fmt: skip
    if len(spots) > 1:
        setting = next(iter(lines.values())).setting
        drawn = spots_chart(spots, label=f"Agreement with people against the share flipped by {setting}")
        names = tag("ol", [tag("li", spot.title) for spot in spots], class_="names")
        title = f"Share flipped by {setting}, against agreement"
        key = spots_legend(spot.kind for spot in spots)
        yield tag("div", key, figure(title, drawn, "Low and to the right is better."), names, class_="wide")
    yield group_table(summary, data) or Html("")


def _kind(metric: str, *, certified: bool) -> str:
    if certified:
        return "proved"
    return "hand" if learned(metric) is False else "learned"


def _attacks(summary: TripletSummary, data: str) -> Iterator[Html]:
    series = white_box(summary, data, "flip")
    if not series:
        return
    yield matrix(series)
    yield _note(FLIPS)
    yield from (_series(one) for one in series)


def _series(one: Series) -> Html:
    return flip_table(one) if len(one.settings) == 1 else size_table(one)


def _reverse(summary: TripletSummary, data: str) -> Iterator[Html]:
    yield from (_series(one) for one in white_box(summary, data, "reverse"))


def _transfers(summary: TripletSummary, data: str) -> Iterator[Html]:
    yield from (transfer_table(one) for one in transfers(summary, data))


def _certified(summary: TripletSummary, rows: Rows) -> Html:
    if not summary.certified:
        return Html("")
    proved = {(line.data, line.metric) for line in summary.certified}
    chosen = [curve for curve in score_curves(rows) if (curve.data, curve.metric) in proved]
    tables = _each(summary, lambda found, data: [certified_table(found, data)])
    curves = panels(score_figure(summary, curve) for curve in chosen)
    return join(tables, tag("h3", "Score against the size of the change"), _note(CURVES), legend(), curves)


def _shifts(summary: TripletSummary, rows: Rows) -> Html:
    return panels(shift_figure(line, rows) for line in summary.shifts) if summary.shifts else Html("")


def _run(summary: TripletSummary, records: TripletRecords) -> Html:
    facts = records.facts
    command = tag("pre", str(facts.get("command") or "–"))
    absent = left_out(facts)
    return join(command, run_facts(facts), cost_table(summary, facts), left_out_list(absent) if absent else "")
