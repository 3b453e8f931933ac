"""The tables of a 2AFC benchmark, each built once: for terminals, for the page and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter, methodcaller
from typing import Any

from ..evaluation.two_afc.summary_lines import CertifiedLine, Form, MetricLine, ShiftLine, TripletSummary
from .html_tags import Html
from .kinds import COUNT, HEAT, MARKUP, NAME, NAMED, RATE, SHARE, WORD, WRAPPED, counted, percent, told
from .paper_figures import Beside
from .svg_charts import share_bar
from .table import Column, Table
from .two_afc_series import (
    FORM_NAMES,
    MOVE_NAMES,
    PAPER_EPS,
    OfMetric,
    Series,
    changed_pixels,
    flipped,
    looks_for_eps,
    paper_eps,
    plus_minus,
    setting_heads,
    size,
    transfer_heads,
)
from .words import words

_TITLES, _ANSWER = words("two_afc")["titles"], words("two_afc")["answer"]
METRIC = Column("metric", NAMED, attrgetter("title"))


def of(summary: TripletSummary, data: str) -> list[MetricLine]:
    """The metrics of a data set."""
    return [line for line in summary.metrics if line.data == data]


def sample(summary: TripletSummary, data: str) -> str:
    """How many triplets of what size."""
    line = of(summary, data)[0]
    return f"{counted(line.triplets, 'triplet')} of {line.side} px"


def answer(summary: TripletSummary, data: str) -> Iterator[str]:
    """What a reader came for: which metric agrees, which falls, what is proved."""
    lines, least = of(summary, data), worst_scores(summary, data)
    best = _extreme(lines, lambda line: line.score)
    yield _ANSWER["agrees"].format(names=best, score=percent(max(line.score for line in lines)))
    attacked = [line for line in lines if line.metric in least]
    if attacked and all(least[line.metric] >= line.score for line in attacked):
        yield _ANSWER["unmoved"]
    elif attacked:
        lost = min(attacked, key=lambda line: least[line.metric] - line.score)
        left = least[lost.metric]
        yield _ANSWER["falls"].format(names=lost.title, clean=percent(lost.score), left=percent(left))
        names = _extreme(attacked, lambda line: least[line.metric])
        yield _ANSWER["stands"].format(names=names, left=percent(max(least[line.metric] for line in attacked)))
    proved = [line for line in lines if certified_score(summary, line, "sound") is not None]
    if proved:
        scores = {line.metric: certified_score(summary, line, "sound") or 0.0 for line in proved}
        names, at = _extreme(proved, lambda line: scores[line.metric]), size(summary.epsilons[0])
        yield _ANSWER["proved"].format(names=names, size=at, score=percent(max(scores.values())))
    else:
        yield _ANSWER["unproved"]


def _extreme(lines: Sequence[MetricLine], value: Callable[[MetricLine], float]) -> str:
    """The metrics of the largest value; how many they are where naming them would say nothing."""
    most = max(map(value, lines))
    names = [line.title for line in lines if value(line) == most]
    if len(names) < 3:
        return " and ".join(names)
    return f"{'all' if len(names) == len(lines) else f'{len(names)} of'} {len(lines)} metrics alike"


def worst_scores(summary: TripletSummary, data: str) -> dict[str, float]:
    """By metric the 2AFC score that the worst of all attacks leaves, whoever moves."""
    found: dict[str, float] = {}
    for line in summary.worst:
        if line.data == data:
            found[line.metric] = min(line.unbounded, found.get(line.metric, line.unbounded))
    return found


def certified_score(summary: TripletSummary, line: MetricLine, form: Form) -> float | None:
    """At the smallest ε; None for an uncertified metric."""
    own = [one for one in summary.certified if (one.data, one.metric, one.form) == (line.data, line.metric, form)]
    return own[0].scores[0] if own and own[0].scores else None


def agreement_table(summary: TripletSummary, data: str) -> Table:
    """Each metric before any attack, and what the worst of all attacks leaves, by who moves."""
    found = {(line.metric, line.moves): line.unbounded for line in summary.worst if line.data == data}
    moves = [name for name in MOVE_NAMES if any(name == moved for _, moved in found)]
    least = worst_scores(summary, data)

    def bar(line: MetricLine) -> Html:
        left = least.get(line.metric, line.score)
        said = f"{line.title}: 2AFC score {percent(line.score)}, at worst {percent(left)}"
        return share_bar(clean=line.score, attacked=left, certified=certified_score(summary, line, "all"), label=said)

    columns = [
        METRIC,
        Column("", MARKUP, bar),
        Column("2AFC score", SHARE, attrgetter("score")),
        Column("accuracy", RATE, attrgetter("accuracy")),
        Column("draws", COUNT, attrgetter("draws"), spare=True),
        *(Column(MOVE_NAMES[name], SHARE, lambda line, name=name: found.get((line.metric, name))) for name in moves),
    ]
    if any(line.data == data for line in summary.certified):
        head = f"proved at {size(summary.epsilons[0])}"
        columns.append(Column(head, SHARE, lambda line: certified_score(summary, line, "sound"), spare=True))
    return Table.of(columns, of(summary, data), title=_TITLES["agreement"])


def group_table(summary: TripletSummary, data: str) -> Table:
    """2AFC scores by kind of distortion; no row where the data set has one kind only."""
    lines = [line for line in of(summary, data) if line.groups]

    def score(line: MetricLine, name: str) -> float | None:
        return next((own.score for own in line.groups if own.group == name), None)

    names = dict.fromkeys(own.group for line in lines for own in line.groups)
    ladder = (Column(name, SHARE, lambda line, name=name: score(line, name), ladder=True) for name in names)
    return Table.of((METRIC, *ladder), lines, title=_TITLES["groups"])


def matrix(series: Sequence[Series]) -> Table:
    """All attacks at a glance: share flipped of the samples that agreed, at the largest size of each."""
    titles = {line.metric: line.title for one in series for line in one.lines}
    own: list[dict[str, OfMetric]] = [{each.first.metric: each for each in one.by_metric} for one in series]

    def flipped_by(metric: str, place: int) -> float | None:
        found = own[place].get(metric)
        return found and found.flipped(series[place].settings[-1])

    columns = [Column("metric", NAMED, lambda metric: titles[metric])]
    for place, one in enumerate(series):
        head = one.settings[-1] + (", reference" if one.moves == "reference" else "")
        columns.append(Column(head, HEAT, lambda metric, place=place: flipped_by(metric, place), ladder=True))
    return Table.of(columns, titles, title=_TITLES["matrix"])


def series_table(series: Series) -> Table:
    """One setting with all its flips, or LipSim's table: the scores that several sizes leave."""
    if len(series.settings) == 1:
        return _flip_table(series)
    title = _TITLES["sizes"].format(title=series.title)
    return _by_setting(series, setting_heads(series), "score", [METRIC], title)


def _by_setting(series: Series, heads: Sequence[str], what: str, first: Sequence[Column], title: str) -> Table:
    """A row for each metric, a column for each setting."""
    kind = HEAT if what == "flipped" else SHARE
    ladder = [
        Column(head, kind, methodcaller(what, setting), ladder=True)
        for setting, head in zip(series.settings, heads, strict=True)
    ]
    return Table.of((*first, *ladder), series.by_metric, title=title)


def _flip_table(series: Series) -> Table:
    """Ghildyal and Liu's table of one setting: where metric and people agree before the attack, and where not."""
    minimal = looks_for_eps(series.lines)
    columns = [METRIC, *_flips("agree", minimal=minimal), *_flips("disagree", minimal=minimal)]
    title = _TITLES["flips_eps" if minimal else "flips"].format(title=series.title)
    return Table.of(columns, series.lines, title=title)


def _flips(side: str, *, minimal: bool) -> Iterator[Column]:
    """Samples, flips and their sizes, of the samples where metric and people ``agree`` or ``disagree``."""
    own, rest = attrgetter(side), side != "agree"
    yield Column("n", COUNT, attrgetter(f"{side}.samples"), side)
    yield Column("flipped", HEAT, lambda line: flipped(own(line)), side)
    if minimal:
        yield Column("mean ε", PAPER_EPS, lambda line: paper_eps(own(line)), side, spare=rest)
    yield Column("RMSE", WORD, lambda line: plus_minus(own(line).rmse), side, spare=rest)
    if not rest:
        yield Column("PSNR, dB", WORD, lambda line: plus_minus(line.agree.psnr, 1), side, spare=True)
    yield Column(">\u00a0.001/.01/.03", WORD, lambda line: changed_pixels(own(line)), side, spare=True)


def transfer_table(series: Series) -> Table:
    """Ghildyal and Liu's benchmark of transfers: flips among the samples that the judging metric had right."""
    first = (Column("judged by", NAMED, attrgetter("title")), Column("n", COUNT, lambda own: own.first.agree.samples))
    title = _TITLES["transfers"].format(title=series.title)
    return _by_setting(series, transfer_heads(series), "flipped", first, title)


def certified_table(summary: TripletSummary, data: str) -> Table:
    """LipSim's table: natural and certified scores, in three forms."""
    natural = {line.metric: line.score for line in of(summary, data)}
    own: list[CertifiedLine] = [line for line in summary.certified if line.data == data]
    order = list(dict.fromkeys(line.metric for line in own))
    columns = [
        Column("form", NAME, lambda line: FORM_NAMES[line.form]),
        Column("natural", SHARE, lambda line: natural[line.metric]),
        *(
            Column(size(eps), SHARE, lambda line, place=place: line.scores[place], ladder=True)
            for place, eps in enumerate(summary.epsilons)
        ),
        Column("median radius, ℓ2", told(CertifiedLine, "median", decimals=3), attrgetter("median")),
        Column("withheld", COUNT, attrgetter("withheld")),
        Column("proved", SHARE, lambda line: line.proved if line.form == "published" else "all"),
    ]
    lines = sorted(own, key=lambda line: order.index(line.metric))
    return Table.of(columns, lines, title=_TITLES["certified"], group=attrgetter("title"))


def shift_table(summary: TripletSummary, data: str) -> Table:
    """How far attacks on the embedding moved it."""
    columns = (
        METRIC,
        Column("ε", WORD, lambda line: line.eps and size(line.eps)),
        Column("n", COUNT, attrgetter("shift.count")),
        Column("median", told(ShiftLine, "shift"), attrgetter("shift.p50")),
        Column("largest", told(ShiftLine, "shift"), attrgetter("shift.most")),
        Column("of L·‖δ‖", SHARE, lambda line: line.used and line.used.p50),
        Column("broken", COUNT, attrgetter("broken")),
    )
    return Table.of(columns, [line for line in summary.shifts if line.data == data], title=_TITLES["shifts"])


def papers_table(pairs: Sequence[Beside]) -> Table:
    """Published figures beside ours, by where they were read."""
    sources = list(dict.fromkeys(pair.figure.source for pair in pairs))
    ordered = sorted(pairs, key=lambda pair: sources.index(pair.figure.source))
    columns = (
        METRIC,
        Column("what", WRAPPED, lambda pair: f"{pair.what}{f' ({pair.figure.model})' if pair.figure.model else ''}"),
        Column("the paper", SHARE, attrgetter("figure.value")),
        Column("ours", SHARE, attrgetter("ours")),
    )
    return Table.of(columns, ordered, title=_TITLES["papers"], group=attrgetter("figure.source"))


def left_out(facts: Mapping[str, Any]) -> list[str]:
    """Metrics that could not be loaded, and attacks that one was not given, by reason."""
    by: dict[tuple[str, str], list[str]] = {}
    for one in facts.get("left_out", ()):
        by.setdefault((one["metric"], one["why"]), []).append(one["setting"])
    return [_left_out(metric, why, names) for (metric, why), names in by.items()]


def _left_out(metric: str, why: str, settings: Sequence[str]) -> str:
    if not any(settings):
        return f"left out: {metric} ({why})"
    return f"left out on {metric} ({why}): {counted(len(settings), 'setting')}"
