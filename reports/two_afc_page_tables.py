"""The tables of a 2AFC page that are not the terminal's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np

from ..core.rounded import lower_text, upper_text
from ..evaluation.two_afc.summary_lines import MetricLine, TripletSummary
from ..evaluation.two_afc.summary_rows import Rows
from .audit_page_tables import first_alarms, moved_too_far, versions
from .html_tags import Html
from .kinds import ALARMS, COUNT, HEAT, MARKUP, NAME, NAMED, RATE, SHARE, WORD, WRAPPED, percent, radius
from .paper_figures import Beside
from .svg_charts import share_bar
from .table import Column, Table
from .two_afc_table import (
    METRIC,
    certified_lines,
    flip_columns,
    paper_columns,
    score_columns,
    size_table,
    transfer_table,
)
from .two_afc_words import (
    FORM_NAMES,
    MOVE_NAMES,
    OfMetric,
    Series,
    changed_pixels,
    looks_for_eps,
    of,
    plus_minus,
    setting_heads,
    transfer_heads,
)

_MOST_ALARMS = 50


def agreement_table(summary: TripletSummary, data: str) -> Table:
    """Each metric before any attack, and what the worst of all attacks leaves, by who moves."""
    found = {(line.metric, line.moves): line.unbounded for line in summary.worst if line.data == data}
    moves = [name for name in MOVE_NAMES if any(name == moved for _, moved in found)]

    def bar(line: MetricLine) -> Html:
        least = min((found[key] for key in found if key[0] == line.metric), default=line.score)
        words = f"{line.title}: 2AFC score {percent(line.score)}, at worst {percent(least)}"
        return share_bar(clean=line.score, attacked=least, certified=_proved(summary, line), label=words)

    columns = [
        METRIC,
        Column("", MARKUP, bar),
        Column("2AFC score", SHARE, attrgetter("score")),
        Column("accuracy", RATE, attrgetter("accuracy")),
        Column("draws", COUNT, attrgetter("draws")),
    ]
    over = "2AFC score left by the worst of all attacks"
    columns += [
        Column(f"{name} moves", SHARE, lambda line, name=name: found.get((line.metric, name)), over) for name in moves
    ]
    return Table.of(columns, of(summary, data))


def _proved(summary: TripletSummary, line: MetricLine) -> float | None:
    """Certified score at the smallest ε, in the form that covers every way to move; None for an uncertified metric."""
    own = [one for one in summary.certified if (one.data, one.metric, one.form) == (line.data, line.metric, "all")]
    return own[0].scores[0] if own and own[0].scores else None


def group_table(summary: TripletSummary, data: str) -> Table | None:
    """2AFC scores by kind of distortion; None where the data set has one kind only."""
    lines = [line for line in of(summary, data) if line.groups]
    if not lines:
        return None

    def score(line: MetricLine, name: str) -> float | None:
        return next((own.score for own in line.groups if own.group == name), None)

    names = dict.fromkeys(own.group for line in lines for own in line.groups)
    columns = [METRIC, *(Column(name, SHARE, lambda line, name=name: score(line, name)) for name in names)]
    return Table.of(columns, lines, title="2AFC score by kind of distortion")


def series_table(series: Series) -> Table:
    """One setting with all its flips, or the scores that several sizes leave."""
    if len(series.settings) == 1:
        return _flip_table(series)
    heads = dict(zip(series.settings, setting_heads(series), strict=True))
    return size_table(series, heads, title=f"2AFC score left. {series.title}")


def _flip_table(series: Series) -> Table:
    """Ghildyal and Liu's table of one setting: where metric and people agree before the attack, and where not."""
    minimal = looks_for_eps(series.lines)
    psnr = Column("PSNR, dB", WORD, lambda line: plus_minus(line.agree.psnr, 1), _OVER["agree"])
    columns = [METRIC, *_flips("agree", minimal=minimal), psnr, *_flips("disagree", minimal=minimal)]
    return Table.of(columns, series.lines, title=series.title)


_OVER = {"agree": "metric and people agree", "disagree": "they disagree"}


def _flips(side: str, *, minimal: bool) -> list[Column]:
    samples, share, *eps, rmse = (replace(one, over=_OVER[side]) for one in flip_columns(side, minimal=minimal))
    own = attrgetter(side)
    pixels = Column("pixels > 0.001 / .01 / .03", WORD, lambda line: changed_pixels(own(line)), _OVER[side])
    return [replace(samples, head="samples"), replace(share, kind=HEAT), *eps, pixels, rmse]


def matrix(series: Sequence[Series]) -> Table:
    """All attacks at a glance: share flipped of the samples that agreed, at the largest size of each."""
    titles = {line.metric: line.title for one in series for line in one.lines}
    own: list[dict[str, OfMetric]] = [{each.first.metric: each for each in one.by_metric} for one in series]

    def flipped(metric: str, place: int) -> float | None:
        found = own[place].get(metric)
        return found and found.flipped(series[place].settings[-1])

    columns = [Column("metric", NAMED, lambda metric: titles[metric])]
    for place, one in enumerate(series):
        head = one.settings[-1] + (", reference" if one.moves == "reference" else "")
        columns.append(Column(head, HEAT, lambda metric, place=place: flipped(metric, place)))
    return Table.of(columns, titles)


def transfers_table(series: Series) -> Table:
    """Flips among the samples that the judging metric had right before."""
    heads = dict(zip(series.settings, transfer_heads(series), strict=True))
    return transfer_table(series, heads, HEAT, samples="agreed", title=series.title)


def certified_table(summary: TripletSummary, data: str) -> Table:
    """LipSim's table: natural and certified scores, in three forms."""
    natural = {line.metric: line.score for line in of(summary, data)}
    columns = [
        Column("form", NAME, lambda line: FORM_NAMES[line.form]),
        Column("natural", SHARE, lambda line: natural[line.metric]),
        *score_columns(summary),
        Column("median radius, ℓ2", radius(decimals=3), attrgetter("median")),
        Column("withheld", COUNT, attrgetter("withheld")),
        Column("proved", SHARE, lambda line: line.proved if line.form == "published" else "all"),
    ]
    return Table.of(columns, certified_lines(summary, data), group=attrgetter("title"))


def papers_table(pairs: Sequence[Beside]) -> Table:
    """Published figures beside ours, by where they were read."""
    sources = list(dict.fromkeys(pair.figure.source for pair in pairs))
    ordered = sorted(pairs, key=lambda pair: sources.index(pair.figure.source))
    columns = (METRIC, *paper_columns("figure", "the paper"))
    return Table.of(columns, ordered, group=attrgetter("figure.source"))


def alarm_table(rows: Rows) -> Table:
    """The alarms one by one."""
    found = rows.where(rows.alarms)
    shown = [found.where(np.array([place])) for place in range(min(len(found), _MOST_ALARMS))]
    words = {"data": "data", "triplet": "query", "attack": "setting"}  # heading → column of the records
    columns = (
        Column("metric", NAMED, lambda one: one.first("title")),
        *(Column(head, WRAPPED, lambda one, name=name: one.first(name)) for head, name in words.items()),
        Column("moves", NAME, lambda one: one.first("moves")),
        Column("ℓ2 of the change", WORD, lambda one: upper_text(one.first("l2"), digits=6)),
        Column("certified ℓ2", WORD, _promised),
        Column("saved image", WRAPPED, lambda one: one.first("image") or "not kept"),
    )
    return Table.of(columns, shown, title=first_alarms(len(found)))


def _promised(one: Rows) -> str:
    known = {name: one.radius(name)[0] for name in ("sound", "all")}
    radii = [f"{name} {lower_text(radius, digits=6)}" for name, radius in known.items() if radius]
    if one.first("goal") == "embedding":
        radii.append(moved_too_far(one.first("shift"), one.first("shift_limit")))
    return "; ".join(radii)


def cost_table(summary: TripletSummary, facts: Mapping[str, Any]) -> Table:
    """What each metric is, and what the attacks on it took."""
    digests = {str(one.get("spec")): one for one in facts.get("metrics", ()) if isinstance(one, Mapping)}

    def why(line: MetricLine) -> str:
        reason = digests.get(line.metric, {}).get("uncertified_because")
        return "" if line.certified else str(reason or "no proof")

    columns = (
        METRIC,
        Column("spec", WRAPPED, attrgetter("metric")),
        Column("why without radii", WRAPPED, why),
        Column("images judged", COUNT, attrgetter("images")),
        Column("certificates attacked", COUNT, attrgetter("certificates")),
        Column("alarms", ALARMS, attrgetter("alarms")),
        Column("gradients", COUNT, attrgetter("gradients")),
        Column("forwards", COUNT, attrgetter("forwards")),
        Column("seconds", COUNT, lambda line: round(line.seconds)),
    )
    return Table.of(columns, summary.metrics)


def run_facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Seed, versions and data."""
    found = [("run", str(facts.get("run", ""))), ("seed", str(facts.get("seed", "")))]
    found += versions(str(facts.get("versions", "")))
    for one in facts.get("data", ()):
        source = one.get("source", {}).items()
        words = ", ".join(f"{key} {value}" for key, value in source if not isinstance(value, Mapping | list))
        found.append((one["name"], words))
    return found
