"""A 2AFC benchmark as one self-contained HTML file: a pure function of its summary and its records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.files import write_atomically
from ..evaluation.shared.records import Records
from ..evaluation.two_afc.findings import findings, learned
from ..evaluation.two_afc.summary_curves import score_curves
from ..evaluation.two_afc.summary_lines import AttackLine, TripletSummary
from ..evaluation.two_afc.summary_rows import Rows
from .audit_page import when
from .kinds import count, percent
from .pages import Figure, Key, page
from .paper_figures import beside
from .table import Table
from .two_afc_page_charts import Spot, score_figure, shift_figure, spots_chart, spots_kinds
from .two_afc_page_tables import (
    agreement_table,
    alarm_table,
    certified_table,
    cost_table,
    group_table,
    matrix,
    papers_table,
    run_facts,
    series_table,
    transfers_table,
)
from .two_afc_table import left_out
from .two_afc_words import of, sample, size, transfers, white_box

_KINDS = {"holds": "holds", "does not hold": "fails", "not enough data": "unsure"}


def write_two_afc_page(path: Path, summary: TripletSummary, records: Records) -> None:
    """Write the page of a benchmark; it needs no other file, no network and no script.

    Args:
        path: the HTML file, replaced in one step.
        summary: of these records.
        records: of one run.
    """
    write_atomically(path, two_afc_page(summary, records).encode())


def two_afc_page(summary: TripletSummary, records: Records) -> str:
    """The page as text; see :func:`write_two_afc_page`."""
    rows, facts = Rows.of(records.table), records.facts
    proved = {(line.data, line.metric) for line in summary.certified}
    chosen = [curve for curve in score_curves(rows) if (curve.data, curve.metric) in proved]
    pairs = beside(summary, facts)
    return page(
        "two_afc.html.j2",
        run=summary.run,
        when=when(summary.run),
        counted=_counted(summary),
        certificates=summary.certificates,
        alarms=summary.alarms,
        alarm_table=alarm_table(rows),
        keys=list(_keys(summary)),
        findings=_findings(summary),
        parts=[_part(summary, data) for data in summary.data],
        score_figures=[score_figure(summary, curve) for curve in chosen],
        shift_figures=[shift_figure(line, rows) for line in summary.shifts],
        papers=papers_table(pairs) if pairs else None,
        command=str(facts.get("command") or "–"),
        run_facts=run_facts(facts),
        cost=cost_table(summary, facts),
        left_out=left_out(facts),
    )


def _counted(summary: TripletSummary) -> list[str]:
    metrics = len({line.metric for line in summary.metrics})
    return [
        *(f"{data}: {sample(summary, data)}" for data in summary.data),
        f"{metrics} {'metric' if metrics == 1 else 'metrics'}",
        f"{count(sum(line.images for line in summary.metrics))} adversarial images judged",
    ]


def _findings(summary: TripletSummary) -> list[dict[str, str]]:
    """Each finding with its verdict and what was counted."""
    several = len(summary.data) > 1
    return [
        {
            "kind": _KINDS[one.verdict],
            "verdict": one.verdict,
            "title": one.title,
            "numbers": one.numbers,
            "source": f"{one.source} · {one.data}" if several else one.source,
        }
        for one in findings(summary)
    ]


def _keys(summary: TripletSummary) -> Iterator[Key]:
    """The metric that agrees most, what PGD does to it, and the best certified score."""
    first = summary.data[0]
    best = max(of(summary, first), key=lambda line: line.score)
    yield Key(percent(best.score), (f"highest 2AFC score: {best.title}",))
    own = [line for line in _pgd(summary, first) if line.metric == best.metric]
    if own:
        text = f"of the samples it had right flipped by {own[0].setting}"
        yield Key(percent(own[0].agree.flipped.value), (text,), "broken")
    proved = [line for line in summary.certified if line.data == first and line.form == "sound"]
    if proved:
        line = max(proved, key=lambda one: one.scores[0])
        text = f"highest certified score at ℓ2 {size(summary.epsilons[0])}, the reference moves: {line.title}"
        yield Key(percent(line.scores[0]), (text,), "proved")


def _pgd(summary: TripletSummary, data: str) -> list[AttackLine]:
    """The lines of the PGD setting that most metrics were given."""
    series = [one for one in white_box(summary, data, "flip") if one.lines[0].attack == "pgd-linf"]
    chosen = max(series, key=lambda one: len(one.metrics), default=None)
    return chosen.at(chosen.settings[-1]) if chosen else []


@dataclass(frozen=True)
class Spots:
    """Metrics in the plane of agreement and flips.

    Attributes:
        kinds: classes and words of the colours; names: of the metrics, in the order of their numbers.
    """

    figure: Figure
    kinds: list[tuple[str, str]]
    names: list[str]


@dataclass(frozen=True)
class Part:
    """What the page shows of one data set.

    Attributes:
        named: whether its name is needed.
    """

    name: str
    named: bool
    agreement: Table
    spots: Spots | None
    groups: Table | None
    matrix: Table | None
    attacks: list[Table]
    transfers: list[Table]
    reverse: list[Table]
    certified: Table | None


def _part(summary: TripletSummary, data: str) -> Part:
    flips = white_box(summary, data, "flip")
    return Part(
        name=data,
        named=len(summary.data) > 1,
        agreement=agreement_table(summary, data),
        spots=_spots(summary, data),
        groups=group_table(summary, data),
        matrix=matrix(flips) if flips else None,
        attacks=[series_table(one) for one in flips],
        transfers=[transfers_table(one) for one in transfers(summary, data)],
        reverse=[series_table(one) for one in white_box(summary, data, "reverse")],
        certified=certified_table(summary, data) if any(one.data == data for one in summary.certified) else None,
    )


def _spots(summary: TripletSummary, data: str) -> Spots | None:
    lines = {line.metric: line for line in _pgd(summary, data) if line.agree.samples}
    spots = [
        Spot(line.title, _kind(line.metric, certified=line.certified), line.accuracy.value,
             lines[line.metric].agree.flipped.value)
        for line in of(summary, data) if line.metric in lines
    ]  # fmt: skip
    if len(spots) < 2:
        return None
    setting = next(iter(lines.values())).setting
    drawn = spots_chart(spots, label=f"Agreement with people against the share flipped by {setting}")
    figure = Figure(f"Share flipped by {setting}, against agreement", drawn, "Low and to the right is better.")
    return Spots(figure, spots_kinds(spot.kind for spot in spots), [spot.title for spot in spots])


def _kind(metric: str, *, certified: bool) -> str:
    if certified:
        return "proved"
    return "hand" if learned(metric) is False else "learned"
