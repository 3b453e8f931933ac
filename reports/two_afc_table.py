"""Terminal tables, JSON and rows of a 2AFC benchmark, from its summary and the facts of its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..evaluation.two_afc.findings import Finding, findings
from ..evaluation.two_afc.records import TripletRecords
from ..evaluation.two_afc.summary_lines import AttackLine, Flips, TripletSummary
from .paper_figures import beside
from .two_afc_words import (
    FORM_NAMES,
    MOVE_NAMES,
    Series,
    alarm_text,
    changed_pixels,
    looks_for_eps,
    of,
    paper_eps,
    percent,
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
    """What is printed; ``evaluation.two_afc_run.TwoAFCResult`` is one."""

    @property
    def path(self) -> Path:
        """The Parquet file."""
        ...

    @property
    def records(self) -> TripletRecords:
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
        head = f"run {summary.run}: {data}, {sample(summary, data)}, {len(of(summary, data))} metrics"
        out.print(escape(head), highlight=False)
        for table in _tables(summary, data, wide=wide, room=out.width):
            out.print(table)
    _print_papers(summary, facts, out)
    for finding in findings(summary):
        out.print(_finding(finding, several=len(summary.data) > 1), highlight=False)
    colour = "red" if summary.alarms else "green"
    out.print(f"[{colour}]{alarm_text(summary)}[/{colour}]", highlight=False)
    for line in left_out(facts):
        out.print(escape(line), highlight=False)
    for why, count in Counter(why for _, why in result.rejected).items():
        out.print(f"not usable: {count} × {escape(why)}", highlight=False)
    out.print(f"records: {escape(str(result.path))}  ({result.seconds:.0f} s)", highlight=False, soft_wrap=True)


def left_out(facts: Mapping[str, Any]) -> list[str]:
    """Attacks that a metric was not given, by reason."""
    by: dict[tuple[str, str], list[str]] = {}
    for one in facts.get("left_out", ()):
        by.setdefault((one["metric"], one["why"]), []).append(one["setting"])
    return [f"left out on {metric} ({why}): {_settings(len(names))}" for (metric, why), names in by.items()]


def _settings(count: int) -> str:
    return "1 setting" if count == 1 else f"{count} settings"


def _finding(finding: Finding, *, several: bool) -> str:
    colour = _COLOURS[finding.verdict]
    where = f" [{finding.data}]" if several else ""
    verdict = f"[{colour}]{finding.verdict}[/{colour}]"
    return f"{verdict}: {escape(finding.title + where)} ({escape(finding.numbers)})"


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


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first, overflow="fold", max_width=_LONGEST_NAME)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _agreement(summary: TripletSummary, data: str) -> Table:
    """Scores before any attack, and what the worst of all attacks leaves."""
    found = {(line.metric, line.moves): line for line in summary.worst if line.data == data}
    moves = [name for name in MOVE_NAMES if any(name == moved for _, moved in found)]
    title = "Agreement with people; right: 2AFC score left by the worst of all attacks"
    table = _table(title, "metric", "2AFC\nscore", "accuracy\n(95 %)", *(f"moves:\n{name}" for name in moves))
    for line in of(summary, data):
        worst = [found.get((line.metric, name)) for name in moves]
        share = line.accuracy
        accuracy = f"{percent(share.value)} ({100 * share.low:.0f}–{100 * share.high:.0f})"
        left = [percent(one.unbounded if one else None) for one in worst]
        table.add_row(escape(line.title), percent(line.score), accuracy, *left)
    return table


def _flip_table(series: Series, *, wide: bool) -> Table:
    """Ghildyal and Liu's tables: samples and flips where metric and people agree and where not, sizes of the flips."""
    minimal = looks_for_eps(series.lines)
    first = ["n", "flipped", *(["mean ε"] if minimal else []), "RMSE"]
    more = ["PSNR", ">.001/.01/.03"] if wide else []
    rest = first if wide else first[:2]
    heads = [f"agree\n{name}" if i == 0 else name for i, name in enumerate([*first, *more])]
    heads += [f"disagree\n{name}" if i == 0 else name for i, name in enumerate(rest)]
    note = " (ε from −1 to 1)" if minimal else ""
    table = _table(escape(f"{series.title}{note}"), "metric", *heads)
    for line in series.lines:
        cells = _flip_cells(line.agree, minimal=minimal, more=wide)
        others = _flip_cells(line.disagree, minimal=minimal, more=False)
        table.add_row(escape(line.title), *cells, *(others if wide else others[:2]))
    return table


def _flip_cells(flips: Flips, *, minimal: bool, more: bool) -> list[str]:
    cells = [str(flips.samples), percent(flips.flipped.value if flips.samples else None)]
    cells += [paper_eps(flips)] if minimal else []
    cells.append(plus_minus(flips.rmse))
    if more:
        cells += [plus_minus(flips.psnr, 1), changed_pixels(flips).replace(" / ", "/")]
    return cells


def _size_table(series: Series, room: int) -> Table:
    """LipSim's tables: the score that an attack leaves at each size."""
    names = dict(zip(series.settings, setting_heads(series), strict=True))
    shown = _fitting(series.settings, room, 10 if max(map(len, names.values())) < 10 else 22)
    heads = [names[setting].replace(" ", "\n", 1) for setting in shown]
    table = _table(escape(f"{series.title}: 2AFC score left"), "metric", *heads)
    for metric in series.metrics:
        lines = [series.find(metric, setting) for setting in shown]
        title = next(line.title for line in series.lines if line.metric == metric)
        table.add_row(escape(title), *(percent(line.score if line else None) for line in lines))
    return table


def _transfer_table(series: Series, room: int) -> Table:
    """Ghildyal and Liu's benchmark of transfers: flips among the samples that the judging metric had right."""
    names = dict(zip(series.settings, transfer_heads(series), strict=True))
    shown = _fitting(series.settings, room, 10)
    heads = [names[setting].replace("+", "+\n") for setting in shown]
    table = _table(escape(f"{series.title}: flipped where metric and people agree"), "judged by", "n", *heads)
    for metric in series.metrics:
        lines = [series.find(metric, setting) for setting in shown]
        known = [line for line in lines if line is not None]
        shares = [percent(line.agree.flipped.value if line and line.agree.samples else None) for line in lines]
        table.add_row(escape(known[0].title), str(known[0].agree.samples), *shares)
    return table


def _fitting(settings: Sequence[str], room: int, each: int) -> list[str]:
    """As many as there is room for, evenly spread, the last one always among them."""
    most = max(2, (room - _LONGEST_NAME - 11) // each)
    if len(settings) <= most:
        return list(settings)
    return [settings[round(i * (len(settings) - 1) / (most - 1))] for i in range(most)]


def _certified(summary: TripletSummary, data: str) -> Table:
    """Natural and certified scores in the three forms."""
    natural = {line.metric: line.score for line in of(summary, data)}
    title = "Certified 2AFC score at ℓ2 (published: LipSim's form, proved only for the share given)"
    heads = [*map(size, summary.epsilons), "median\nradius", "withheld", "proved"]
    table = _table(title, "form", *heads)
    for metric in dict.fromkeys(line.metric for line in summary.certified if line.data == data):
        lines = [line for line in summary.certified if (line.data, line.metric) == (data, metric)]
        table.add_section()
        table.add_row(escape(f"{lines[0].title}: natural {percent(natural[metric])}"), style="bold")
        for line in lines:
            radius = "–" if line.median is None else f"{line.median:.3f}"
            proved = percent(line.proved, 0) if line.form == "published" else ""
            table.add_row(FORM_NAMES[line.form], *map(percent, line.scores), radius, str(line.withheld), proved)
    return table


def _shifts(summary: TripletSummary, data: str) -> Table:
    """How far attacks on the embedding moved it."""
    table = _table("Embedding attack: ‖f(x+δ) − f(x)‖", "metric", "ε", "n", "median", "largest", "of L·‖δ‖", "broken")
    for line in summary.shifts:
        if line.data == data:
            eps = "–" if line.eps is None else size(line.eps)
            used = "–" if line.used is None else percent(line.used.p50)
            cells = (eps, str(line.shift.count), f"{line.shift.p50:.4g}", f"{line.shift.most:.4g}", used)
            table.add_row(escape(line.title), *cells, str(line.broken))
    return table


def _print_papers(summary: TripletSummary, facts: Mapping[str, Any], out: Console) -> None:
    pairs = beside(summary, facts)
    if not pairs:
        return
    table = _table("The papers' figures beside ours (see docs/papers.md)", "metric", "what", "paper", "ours")
    table.columns[1].justify, table.columns[1].no_wrap = "left", False
    for pair in pairs:
        what = f"{pair.what}{f' ({pair.figure.model})' if pair.figure.model else ''}"
        table.add_row(escape(pair.title), escape(what), percent(pair.figure.value), percent(pair.ours))
    out.print(table)
