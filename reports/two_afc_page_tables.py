"""The tables of a 2AFC page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..evaluation.two_afc.findings import Finding
from ..evaluation.two_afc.summary_lines import Flips, MetricLine, TripletSummary
from ..evaluation.two_afc.summary_rows import Rows
from .audit_page_tables import alarm_count, shared
from .html_tables import count, grid, group, heading, row
from .html_tags import Content, Html, join, tag
from .paper_figures import Beside
from .svg_charts import share_bar
from .two_afc_words import (
    FORM_NAMES,
    MOVE_NAMES,
    Series,
    changed_pixels,
    looks_for_eps,
    of,
    paper_eps,
    percent,
    plus_minus,
    setting_heads,
    size,
    transfer_heads,
)

_KINDS = {"holds": "holds", "does not hold": "fails", "not enough data": "unsure"}
_MOST_ALARMS = 50


def finding_list(found: Sequence[Finding], *, several: bool) -> Html:
    """Each finding with its verdict and what was counted."""
    return tag("ul", [_finding(one, several=several) for one in found], class_="findings")


def _finding(one: Finding, *, several: bool) -> Html:
    where = f" · {one.data}" if several else ""
    numbers = tag("p", f"{one.numbers}. ", tag("span", f"({one.source}{where})"), class_="numbers")
    return tag("li", tag("b", one.verdict), tag("p", one.title), numbers, class_=_KINDS[one.verdict])


def heat(share: float | None) -> Html:
    """A share on a ground that is the darker the larger it is."""
    if share is None:
        return tag("td", "–")
    return tag("td", percent(share), class_="heat", style=f"--share: {share:.3f}")


def named(title: str) -> Html:
    """A metric's name, which may be long."""
    return tag("td", title, class_="words named")


def agreement_table(summary: TripletSummary, data: str) -> Html:
    """Each metric before any attack, and what the worst of all attacks leaves, by who moves."""
    found = {(line.metric, line.moves): line for line in summary.worst if line.data == data}
    moves = [name for name in MOVE_NAMES if any(name == moved for _, moved in found)]
    heads = ("metric", heading("", words=True), "2AFC score", "accuracy", "draws", *(f"{name} moves" for name in moves))
    over = (("", 5), ("2AFC score left by the worst of all attacks", len(moves))) if moves else ()
    rows = []
    for line in of(summary, data):
        worst = [found.get((line.metric, name)) for name in moves]
        left = [percent(one.unbounded if one else None) for one in worst]
        least = min((one.unbounded for one in worst if one), default=line.score)
        words = f"{line.title}: 2AFC score {percent(line.score)}, at worst {percent(least)}"
        bar = share_bar(clean=line.score, attacked=least, certified=_proved(summary, line), label=words)
        rows.append(row(named(line.title), bar, percent(line.score), shared(line.accuracy), count(line.draws), *left))
    return grid(heads, rows, over=over)


def _proved(summary: TripletSummary, line: MetricLine) -> float | None:
    """Certified score at the smallest ε, in the form that covers every way to move; None for an uncertified metric."""
    own = [one for one in summary.certified if (one.data, one.metric, one.form) == (line.data, line.metric, "all")]
    return own[0].scores[0] if own and own[0].scores else None


def group_table(summary: TripletSummary, data: str) -> Html | None:
    """2AFC scores by kind of distortion; None where the data set has one kind only."""
    lines = [line for line in of(summary, data) if line.groups]
    if not lines:
        return None
    names = list(dict.fromkeys(own.group for line in lines for own in line.groups))
    rows = []
    for line in lines:
        scores = {own.group: own.score for own in line.groups}
        rows.append(row(named(line.title), *(percent(scores.get(name)) for name in names)))
    return grid(("metric", *names), rows, caption="2AFC score by kind of distortion")


def flip_table(series: Series) -> Html:
    """Ghildyal and Liu's table of one setting: where metric and people agree before the attack, and where not."""
    minimal = looks_for_eps(series.lines)
    eps = ("mean ε",) if minimal else ()
    first = ("samples", "flipped", *eps, "pixels > 0.001 / .01 / .03", "RMSE", "PSNR, dB")
    second = first[:-1]
    over = (("", 1), ("metric and people agree", len(first)), ("they disagree", len(second)))
    rows = [
        row(
            named(line.title),
            *_flip_cells(line.agree, minimal=minimal),
            plus_minus(line.agree.psnr, 1),
            *_flip_cells(line.disagree, minimal=minimal),
        )
        for line in series.lines
    ]
    return grid(("metric", *first, *second), rows, over=over, caption=series.title)


def _flip_cells(flips: Flips, *, minimal: bool) -> list[Content]:
    share = heat(flips.flipped.value) if flips.samples else "–"
    eps = [paper_eps(flips)] if minimal else []
    return [count(flips.samples), share, *eps, changed_pixels(flips), plus_minus(flips.rmse)]


def size_table(series: Series) -> Html:
    """LipSim's table: the score that an attack leaves at each size."""
    rows = []
    for metric in series.metrics:
        lines = [series.find(metric, setting) for setting in series.settings]
        title = next(line.title for line in series.lines if line.metric == metric)
        rows.append(row(named(title), *(percent(line.score if line else None) for line in lines)))
    return grid(("metric", *setting_heads(series)), rows, caption=f"2AFC score left. {series.title}")


def matrix(series: Sequence[Series]) -> Html:
    """All attacks at a glance: share flipped of the samples that agreed, at the largest size of each."""
    titles = {line.metric: line.title for one in series for line in one.lines}
    rows = []
    for metric, title in titles.items():
        lines = [one.find(metric, one.settings[-1]) for one in series]
        rows.append(row(named(title), *(heat(_share(line.agree) if line else None) for line in lines)))
    heads = [one.settings[-1] + (", reference" if one.moves == "reference" else "") for one in series]
    return grid(("metric", *heads), rows)


def _share(flips: Flips) -> float | None:
    return flips.flipped.value if flips.samples else None


def transfer_table(series: Series) -> Html:
    """Ghildyal and Liu's benchmark: flips among the samples that the judging metric had right before."""
    rows = []
    for metric in series.metrics:
        lines = [series.find(metric, setting) for setting in series.settings]
        known = [line for line in lines if line is not None]
        cells = [heat(_share(line.agree)) if line else "–" for line in lines]
        rows.append(row(named(known[0].title), count(known[0].agree.samples), *cells))
    heads = ("judged by", "agreed", *transfer_heads(series))
    return grid(heads, rows, caption=series.title)


def certified_table(summary: TripletSummary, data: str) -> Html:
    """LipSim's table: natural and certified scores, in three forms."""
    natural = {line.metric: line.score for line in of(summary, data)}
    heads = ("form", "natural", *map(size, summary.epsilons), "median radius, ℓ2", "withheld", "proved")
    rows: list[Html] = []
    for metric in dict.fromkeys(line.metric for line in summary.certified if line.data == data):
        lines = [line for line in summary.certified if (line.data, line.metric) == (data, metric)]
        rows.append(group(lines[0].title, len(heads)))
        for line in lines:
            radius = "–" if line.median is None else f"{line.median:.3f}"
            proved = percent(line.proved) if line.form == "published" else "all"
            scores = map(percent, line.scores)
            words = FORM_NAMES[line.form]
            rows.append(row(words, percent(natural[metric]), *scores, radius, count(line.withheld), proved))
    return grid(heads, rows)


def papers_table(pairs: Sequence[Beside]) -> Html:
    """Published figures beside ours, by where they were read."""
    heads = ("metric", heading("figure", words=True), "the paper", "ours")
    rows: list[Html] = []
    for source in dict.fromkeys(pair.figure.source for pair in pairs):
        rows.append(group(source, len(heads)))
        rows += [_beside(pair) for pair in pairs if pair.figure.source == source]
    return grid(heads, rows, words=2)


def _beside(pair: Beside) -> Html:
    what = pair.what + (f" ({pair.figure.model})" if pair.figure.model else "")
    return row(named(pair.title), what, percent(pair.figure.value), percent(pair.ours), words=2)


def alarm_table(rows: Rows) -> Html:
    """The alarms one by one."""
    found = rows.where(rows.alarms)
    shown = [found.where(np.array([place])) for place in range(min(len(found), _MOST_ALARMS))]
    more = f"The first {_MOST_ALARMS} of {count(len(found))}." if len(found) > _MOST_ALARMS else ""
    heads = ("metric", "data", "triplet", "attack", "moves", "ℓ2 of the change", "certified ℓ2", "saved image")
    return grid(heads, [_alarm(one) for one in shown], caption=more, words=5)


def _alarm(one: Rows) -> Html:
    known = {name: one.radius(name)[0] for name in ("sound", "all")}
    radii = [f"{name} {radius:.6g}" for name, radius in known.items() if radius]
    if one.first("goal") == "embedding":
        radii.append(f"moved {one.first('shift'):.6g}, allowed {one.first('shift_limit'):.6g}")
    words = [tag("td", str(one.first(name)), class_="words wrap") for name in ("data", "triplet", "setting")]
    image = tag("td", one.first("image") or "not kept", class_="words wrap")
    change = f"{one.first('l2'):.6g}"
    return row(named(one.first("title")), *words, one.first("moves"), change, "; ".join(radii), image, words=5)


def cost_table(summary: TripletSummary, facts: Mapping[str, Any]) -> Html:
    """What each metric is, and what the attacks on it took."""
    digests = {str(one.get("spec")): one for one in facts.get("metrics", ()) if isinstance(one, Mapping)}
    heads = ("metric", heading("spec", words=True), heading("why without radii", words=True), "images judged",
             "certificates attacked", "alarms", "gradients", "forwards", "seconds")  # fmt: skip
    rows = []
    for line in summary.metrics:
        why = "" if line.certified else str(digests.get(line.metric, {}).get("uncertified_because") or "no proof")
        words = [tag("td", word, class_="words wrap") for word in (line.metric, why)]
        numbers = (count(line.images), count(line.certificates), alarm_count(line.alarms), count(line.gradients),
                   count(line.forwards), count(round(line.seconds)))  # fmt: skip
        rows.append(row(named(line.title), *words, *numbers, words=3))
    return grid(heads, rows, words=3)


def run_facts(facts: Mapping[str, Any]) -> Html:
    """Seed, versions and data."""
    found: list[tuple[str, str]] = [("run", str(facts.get("run", ""))), ("seed", str(facts.get("seed", "")))]
    found += sorted(_versions(str(facts.get("versions", ""))).items())
    pairs = [tag("div", tag("dt", name), tag("dd", value, class_="mono")) for name, value in found]
    for one in facts.get("data", ()):
        source = one.get("source", {})
        words = ", ".join(f"{key} {value}" for key, value in source.items() if not isinstance(value, Mapping | list))
        pairs.append(tag("div", tag("dt", one["name"]), tag("dd", words, class_="mono"), class_="whole"))
    return tag("dl", pairs, class_="facts")


def _versions(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"versions": text}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {"versions": text}


def left_out_list(lines: Sequence[str]) -> Html:
    """Attacks that a metric was not given."""
    return join(tag("h3", "Left out"), tag("ul", [tag("li", line) for line in lines], class_="warnings"))
