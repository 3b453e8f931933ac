"""A 2AFC benchmark as one self-contained HTML file: a pure function of its summary and its records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..evaluation.shared.records import Records
from ..evaluation.two_afc.findings import findings, learned
from ..evaluation.two_afc.summary_curves import score_curves
from ..evaluation.two_afc.summary_lines import TripletSummary
from ..evaluation.two_afc.summary_rows import Rows
from .kinds import count, counted, percent
from .pages import Figure, Key, page, when
from .paper_figures import beside
from .table import Table
from .two_afc_page_charts import Spot, moved_figure, score_figure, spots_chart, spots_kinds
from .two_afc_records import alarm_table, cost_table, run_facts
from .two_afc_series import pgd, size, transfers, white_box
from .two_afc_tables import (
    agreement_table,
    answer,
    certified_table,
    group_table,
    left_out,
    matrix,
    of,
    papers_table,
    sample,
    series_table,
    shift_table,
    transfer_table,
)
from .words import words

_CHARTS = words("two_afc")["charts"]
_KINDS = {"holds": "holds", "does not hold": "fails", "not enough data": "unsure"}


def two_afc_page(summary: TripletSummary, records: Records) -> str:
    """The page as text; it needs no other file, no network and no script.

    Args:
        summary: of these records.
        records: of one run.
    """
    rows, facts = Rows.of(records.table), records.facts
    proved = {(line.data, line.metric) for line in summary.certified}
    chosen = [curve for curve in score_curves(rows) if (curve.data, curve.metric) in proved]
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
        shift_figures=[moved_figure(line, rows) for line in summary.shifts],
        papers=papers_table(beside(summary, facts)),
        command=str(facts.get("command") or "–"),
        run_facts=run_facts(facts),
        cost=cost_table(summary, facts),
        left_out=left_out(facts),
    )


def _counted(summary: TripletSummary) -> list[str]:
    metrics = len({line.metric for line in summary.metrics})
    return [
        *(f"{data}: {sample(summary, data)}" for data in summary.data),
        counted(metrics, "metric"),
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
    own = [line for line in pgd(summary, first) if line.metric == best.metric]
    if own:
        text = f"of the samples it had right flipped by {own[0].setting}"
        yield Key(percent(own[0].agree.flipped.value), (text,), "broken")
    proved = [line for line in summary.certified if line.data == first and line.form == "sound"]
    if proved:
        line = max(proved, key=lambda one: one.scores[0])
        text = f"highest certified score at ℓ2 {size(summary.epsilons[0])}, the reference moves: {line.title}"
        yield Key(percent(line.scores[0]), (text,), "proved")


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
        answer: which metric agrees, which falls, what is proved.
    """

    name: str
    named: bool
    answer: list[str]
    agreement: Table
    spots: Spots | None
    groups: Table
    attacks: list[Table]
    transfers: list[Table]
    reverse: list[Table]
    certified: Table
    shifts: Table


def _part(summary: TripletSummary, data: str) -> Part:
    flips = white_box(summary, data, "flip")
    return Part(
        name=data,
        named=len(summary.data) > 1,
        answer=list(answer(summary, data)),
        agreement=agreement_table(summary, data),
        spots=_spots(summary, data),
        groups=group_table(summary, data),
        attacks=[matrix(flips), *map(series_table, flips)] if flips else [],
        transfers=[transfer_table(one) for one in transfers(summary, data)],
        reverse=[series_table(one) for one in white_box(summary, data, "reverse")],
        certified=certified_table(summary, data),
        shifts=shift_table(summary, data),
    )


def _spots(summary: TripletSummary, data: str) -> Spots | None:
    lines = {line.metric: line for line in pgd(summary, data) if line.agree.samples}
    spots = [
        Spot(line.title, _kind(line.metric, certified=line.certified), line.accuracy.value,
             lines[line.metric].agree.flipped.value)
        for line in of(summary, data) if line.metric in lines
    ]  # fmt: skip
    if len(spots) < 2:
        return None
    setting = next(iter(lines.values())).setting
    drawn = spots_chart(spots, label=_CHARTS["spots_label"].format(setting=setting))
    figure = Figure(_CHARTS["spots"].format(setting=setting), drawn, "Low and to the right is better.")
    return Spots(figure, spots_kinds(spot.kind for spot in spots), [spot.title for spot in spots])


def _kind(metric: str, *, certified: bool) -> str:
    if certified:
        return "proved"
    return "hand" if learned(metric) is False else "learned"
