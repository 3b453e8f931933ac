"""Terminal tables, JSON and rows of a 2AFC benchmark, from its summary and the facts of its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from operator import attrgetter, methodcaller
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape

from ..core.names import shown
from ..evaluation.shared.records import Records
from ..evaluation.two_afc.findings import Finding, findings
from ..evaluation.two_afc.summary_lines import AttackLine, CertifiedLine, Flips, TripletSummary
from .kinds import COUNT, NAME, NAMED, RATE, SHARE, WHOLE, WORD, WRAPPED, counted, measured, percent, radius
from .paper_figures import Beside, beside
from .table import Column, Kind, Table
from .terminal import drawn, say
from .two_afc_words import (
    FORM_NAMES,
    MOVE_NAMES,
    PAPER_EPS,
    Series,
    alarm_text,
    changed_pixels,
    flipped,
    looks_for_eps,
    of,
    paper_eps,
    plus_minus,
    sample,
    setting_heads,
    size,
    transfer_heads,
    transfers,
    white_box,
)

_WIDE = 118
"""Columns of a terminal from which the tables show more."""
_LONGEST_NAME = 18
"""Longer names of metrics are folded."""
_COLOURS = {"holds": "green", "does not hold": "red", "not enough data": "yellow"}


class Result(Protocol):
    """What is printed; ``evaluation.two_afc.run.TwoAFCResult`` is one."""

    @property
    def path(self) -> Path:
        """The Parquet file."""
        ...

    @property
    def records(self) -> Records:
        """Its content."""
        ...

    @property
    def rejected(self) -> tuple[tuple[str, str], ...]:
        """Triplets that could not be used: the data set, and what is wrong."""
        ...

    @property
    def seconds(self) -> float:
        """Time of computing."""
        ...


def two_afc_json(result: Result, summary: TripletSummary) -> dict[str, Any]:
    """The benchmark as ``retr.bench-2afc/1``."""
    facts = result.records.facts
    return {
        "schema": "retr.bench-2afc/1",
        **summary.as_json(),
        "findings": [asdict(finding) for finding in findings(summary)],
        "papers": [asdict(pair) for pair in beside(summary, facts)],
        "left_out": list(facts.get("left_out", ())),
        "rejected": [{"data": data, "why": why} for data, why in result.rejected],
        "records": str(result.path),
        "seconds": result.seconds,
    }


def two_afc_rows(summary: TripletSummary) -> list[dict[str, Any]]:
    """One flat row per data set, metric and attack setting, and one per metric before any attack."""
    return [*_clean_rows(summary), *(_attack_row(summary.run, line) for line in summary.attacks)]


def _clean_rows(summary: TripletSummary) -> Iterator[dict[str, Any]]:
    for line in summary.metrics:
        own = [proved for proved in summary.certified if (proved.data, proved.metric) == (line.data, line.metric)]
        yield {
            **_named(summary.run, line.data, line.metric, "none"),
            "samples": line.triplets,
            "score": line.score,
            "accuracy": line.accuracy.value,
            **{
                f"certified_{proved.form}_{eps:.4g}": score
                for proved in own
                for eps, score in zip(summary.epsilons, proved.scores, strict=True)
            },
            "alarms": line.alarms,
        }


def _attack_row(run: str, line: AttackLine) -> dict[str, Any]:
    return {
        **_named(run, line.data, line.metric, line.attack),
        **{name: getattr(line, name) for name in ("setting", "goal", "moves", "source", "norm", "eps", "steps")},
        "samples": line.agree.samples + line.disagree.samples,
        "score": line.score,
        **_flat_flips("agree", line.agree),
        **_flat_flips("disagree", line.disagree),
        "seconds": line.seconds,
        "alarms": line.alarms,
    }


def _named(run: str, data: str, metric: str, attack: str) -> dict[str, Any]:
    return {"schema": "retr.bench-2afc-row/1", "run": run, "data": data, "metric": metric, "attack": attack}


def _flat_flips(name: str, flips: Flips) -> dict[str, Any]:
    changed = flips.changed or (None, None, None)
    return {
        f"{name}_samples": flips.samples,
        f"{name}_flipped": flips.flipped.count,
        f"{name}_eps": flips.smallest_eps and flips.smallest_eps.mean,
        f"{name}_rmse": flips.rmse and flips.rmse.mean,
        f"{name}_rmse_sd": flips.rmse and flips.rmse.sd,
        f"{name}_psnr": flips.psnr and flips.psnr.mean,
        f"{name}_psnr_sd": flips.psnr and flips.psnr.sd,
        **{f"{name}_changed_{size}": share for size, share in zip(("001", "01", "03"), changed, strict=True)},
    }


def print_two_afc(result: Result, summary: TripletSummary, console: Console | None = None) -> None:
    """What a benchmark found: agreement, flips, transfers and certificates by metric, and the papers' findings."""
    out, facts = console or Console(), result.records.facts
    wide = out.width >= _WIDE
    for data in summary.data:
        head = f"run {summary.run}: {data}, {sample(summary, data)}, {counted(len(of(summary, data)), 'metric')}"
        out.print(escape(shown(head)), highlight=False)
        for table in _tables(summary, data, wide=wide, room=out.width):
            out.print(drawn(table, longest=_LONGEST_NAME))
    pairs = beside(summary, facts)
    if pairs:
        out.print(drawn(_papers(pairs), longest=_LONGEST_NAME))
    for finding in findings(summary):
        out.print(_finding(finding, several=len(summary.data) > 1), highlight=False)
    colour = "red" if summary.alarms else "green"
    out.print(f"[{colour}]{alarm_text(summary)}[/{colour}]", highlight=False)
    for line in left_out(facts):
        out.print(escape(shown(line)), highlight=False)
    for why, number in Counter(why for _, why in result.rejected).items():
        out.print(f"not usable: {number} × {escape(shown(why))}", highlight=False)
    say(out, f"records: {result.path}  ({result.seconds:.0f} s)")


def left_out(facts: Mapping[str, Any]) -> list[str]:
    """Metrics that could not be loaded, and attacks that one was not given, by reason."""
    by: dict[tuple[str, str], list[str]] = {}
    for one in facts.get("left_out", ()):
        by.setdefault((one["metric"], one["why"]), []).append(one["setting"])
    return [_left_out(metric, why, names) for (metric, why), names in by.items()]


def _left_out(metric: str, why: str, settings: Sequence[str]) -> str:
    if not any(settings):
        return f"left out: {metric} ({why})"
    count = "1 setting" if len(settings) == 1 else f"{len(settings)} settings"
    return f"left out on {metric} ({why}): {count}"


def _finding(finding: Finding, *, several: bool) -> str:
    colour = _COLOURS[finding.verdict]
    where = f" [{finding.data}]" if several else ""
    verdict = f"[{colour}]{finding.verdict}[/{colour}]"
    return f"{verdict}: {escape(shown(finding.title + where))} ({escape(shown(finding.numbers))})"


def _tables(summary: TripletSummary, data: str, *, wide: bool, room: int) -> Iterator[Table]:
    yield _agreement(summary, data)
    for series in white_box(summary, data, "flip", "reverse"):
        yield _flip_table(series, wide=wide) if len(series.settings) == 1 else _size_table(series, room)
    for series in transfers(summary, data):
        yield _transfer_table(series, room)
    if any(line.data == data for line in summary.certified):
        yield _certified(summary, data)
    if any(line.data == data for line in summary.shifts):
        yield _shifts(summary, data)


METRIC = Column("metric", NAMED, attrgetter("title"))


def _agreement(summary: TripletSummary, data: str) -> Table:
    """Scores before any attack, and what the worst of all attacks leaves."""
    found = {(line.metric, line.moves): line.unbounded for line in summary.worst if line.data == data}
    moves = [name for name in MOVE_NAMES if any(name == moved for _, moved in found)]
    columns = [METRIC, Column("2AFC\nscore", SHARE, attrgetter("score"))]
    columns.append(Column("accuracy\n(95 %)", RATE, attrgetter("accuracy")))
    columns += [
        Column(f"moves:\n{name}", SHARE, lambda line, name=name: found.get((line.metric, name))) for name in moves
    ]
    title = "Agreement with people; right: 2AFC score left by the worst of all attacks"
    return Table.of(columns, of(summary, data), title=title)


def _flip_table(series: Series, *, wide: bool) -> Table:
    """Ghildyal and Liu's tables: samples and flips where metric and people agree and where not, sizes of the flips."""
    minimal = looks_for_eps(series.lines)
    first = flip_columns("agree", minimal=minimal)
    first += _MORE_OF_FLIPS if wide else []
    rest = flip_columns("disagree", minimal=minimal)[: None if wide else 2]
    columns = [METRIC, _led("agree", first[0]), *first[1:], _led("disagree", rest[0]), *rest[1:]]
    note = " (ε from −1 to 1)" if minimal else ""
    return Table.of(columns, series.lines, title=f"{series.title}{note}")


def flip_columns(side: str, *, minimal: bool) -> list[Column]:
    """Samples, flips and their sizes, of the samples where metric and people ``agree`` or ``disagree``."""
    own = attrgetter(side)
    eps = [Column("mean ε", PAPER_EPS, lambda line: paper_eps(own(line)))] if minimal else []
    return [
        Column("n", COUNT, attrgetter(f"{side}.samples")),
        Column("flipped", SHARE, lambda line: flipped(own(line))),
        *eps,
        Column("RMSE", WORD, lambda line: plus_minus(own(line).rmse)),
    ]


_MORE_OF_FLIPS = [
    Column("PSNR", WORD, lambda line: plus_minus(line.agree.psnr, 1)),
    Column(">.001/.01/.03", WORD, lambda line: changed_pixels(line.agree).replace(" / ", "/")),
]


def _led(name: str, column: Column) -> Column:
    return replace(column, head=f"{name}\n{column.head}")


def _size_table(series: Series, room: int) -> Table:
    """LipSim's tables: the score that an attack leaves at each size."""
    names = dict(zip(series.settings, setting_heads(series), strict=True))
    shown = _fitting(series.settings, room, 10 if max(map(len, names.values())) < 10 else 22)
    heads = {setting: names[setting].replace(" ", "\n", 1) for setting in shown}
    return size_table(series, heads, title=f"{series.title}: 2AFC score left")


def size_table(series: Series, heads: Mapping[str, str], *, title: str) -> Table:
    """The score that is left under some settings of a series, by metric."""
    columns = [METRIC]
    columns += [Column(head, SHARE, methodcaller("score", setting)) for setting, head in heads.items()]
    return Table.of(columns, series.by_metric, title=title)


def _transfer_table(series: Series, room: int) -> Table:
    names = dict(zip(series.settings, transfer_heads(series), strict=True))
    heads = {setting: names[setting].replace("+", "+\n") for setting in _fitting(series.settings, room, 10)}
    title = f"{series.title}: flipped where metric and people agree"
    return transfer_table(series, heads, SHARE, samples="n", title=title)


def transfer_table(series: Series, heads: Mapping[str, str], kind: Kind, *, samples: str, title: str) -> Table:
    """Ghildyal and Liu's benchmark of transfers: flips among the samples that the judging metric had right."""
    columns = [replace(METRIC, head="judged by"), Column(samples, COUNT, lambda own: own.first.agree.samples)]
    columns += [Column(head, kind, methodcaller("flipped", setting)) for setting, head in heads.items()]
    return Table.of(columns, series.by_metric, title=title)


def _fitting(settings: Sequence[str], room: int, each: int) -> list[str]:
    """As many as there is room for, evenly spread, the last one always among them."""
    most = max(2, (room - _LONGEST_NAME - 11) // each)
    if len(settings) <= most:
        return list(settings)
    return [settings[round(i * (len(settings) - 1) / (most - 1))] for i in range(most)]


def _certified(summary: TripletSummary, data: str) -> Table:
    """Natural and certified scores in the three forms."""
    natural = {line.metric: line.score for line in of(summary, data)}
    columns = [
        Column("form", NAME, lambda line: FORM_NAMES[line.form]),
        *score_columns(summary),
        Column("median\nradius", radius(decimals=3), attrgetter("median")),
        Column("withheld", COUNT, attrgetter("withheld")),
        Column("proved", WHOLE, lambda line: line.proved if line.form == "published" else ""),
    ]
    title = "Certified 2AFC score at ℓ2 (published: LipSim's form, proved only for the share given)"
    return Table.of(
        columns,
        certified_lines(summary, data),
        title=title,
        group=lambda line: f"{line.title}: natural {percent(natural[line.metric])}",
    )


def score_columns(summary: TripletSummary) -> list[Column]:
    """The certified score at each ε."""
    return [
        Column(size(eps), SHARE, lambda line, place=place: line.scores[place])
        for place, eps in enumerate(summary.epsilons)
    ]


def certified_lines(summary: TripletSummary, data: str) -> list[CertifiedLine]:
    """The lines of a data set, those of one metric together."""
    own = [line for line in summary.certified if line.data == data]
    order = list(dict.fromkeys(line.metric for line in own))
    return sorted(own, key=lambda line: order.index(line.metric))


def _shifts(summary: TripletSummary, data: str) -> Table:
    """How far attacks on the embedding moved it."""
    columns = (
        METRIC,
        Column("ε", WORD, lambda line: line.eps and size(line.eps)),
        Column("n", COUNT, attrgetter("shift.count")),
        Column("median", measured(), attrgetter("shift.p50")),
        Column("largest", measured(), attrgetter("shift.most")),
        Column("of L·‖δ‖", SHARE, lambda line: line.used and line.used.p50),
        Column("broken", COUNT, attrgetter("broken")),
    )
    own = [line for line in summary.shifts if line.data == data]
    return Table.of(columns, own, title="Embedding attack: ‖f(x+δ) − f(x)‖")


def _papers(pairs: Sequence[Beside]) -> Table:
    columns = (METRIC, *paper_columns("what", "paper"))
    return Table.of(columns, pairs, title="The papers' figures beside ours (see docs/papers.md)")


def paper_columns(what: str, paper: str) -> tuple[Column, ...]:
    """What a published figure is, itself, and ours."""
    return (
        Column(what, WRAPPED, lambda pair: f"{pair.what}{f' ({pair.figure.model})' if pair.figure.model else ''}"),
        Column(paper, SHARE, attrgetter("figure.value")),
        Column("ours", SHARE, attrgetter("ours")),
    )
