"""A 2AFC benchmark on the terminal, as JSON and as rows, from its summary and the facts of its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ..evaluation.two_afc.findings import findings
from ..evaluation.two_afc.summary_lines import AttackLine, Flips, TripletSummary
from .kinds import counted
from .paper_figures import beside
from .table import Table
from .terminal import say, show
from .two_afc_series import transfers, white_box
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

if TYPE_CHECKING:
    from ..evaluation.two_afc.run import TwoAFCResult

_LONGEST_NAME = 18
"""Longer names of metrics are folded."""
_COLOURS = {"holds": "green", "does not hold": "red", "not enough data": "yellow"}


def two_afc_json(result: TwoAFCResult, summary: TripletSummary) -> dict[str, Any]:
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


def print_two_afc(result: TwoAFCResult, summary: TripletSummary, console: Console | None = None) -> None:
    """What a benchmark found: first the answer, then agreement, flips, transfers, certificates, and the findings."""
    out, facts = console or Console(), result.records.facts
    for data in summary.data:
        say(out, f"run {summary.run}: {data}, {sample(summary, data)}, {counted(len(of(summary, data)), 'metric')}")
        for text in answer(summary, data):
            say(out, text)
        for table in _tables(summary, data):
            show(out, table, longest=_LONGEST_NAME)
    pairs = beside(summary, facts)
    if pairs:
        show(out, papers_table(pairs), longest=_LONGEST_NAME)
    for one in findings(summary):
        where = f" [{one.data}]" if len(summary.data) > 1 else ""
        say(out, (one.verdict, _COLOURS[one.verdict]), f": {one.title}{where} ({one.numbers})")
    alarms = f"soundness alarms: {summary.alarms} in {summary.certificates} attacked certificates"
    say(out, (alarms, "red" if summary.alarms else "green"))
    for line in left_out(facts):
        say(out, line)
    for why, number in Counter(why for _, why in result.rejected).items():
        say(out, f"not usable: {number} × {why}")
    say(out, f"records: {result.path}  ({result.seconds:.0f} s)", on_one_line=True)


def _tables(summary: TripletSummary, data: str) -> Iterator[Table]:
    """Those of a data set that have anything to say."""
    flips = white_box(summary, data, "flip")
    found = [agreement_table(summary, data), group_table(summary, data), matrix(flips)]
    found += [series_table(one) for one in (*flips, *white_box(summary, data, "reverse"))]
    found += [transfer_table(one) for one in transfers(summary, data)]
    found += [certified_table(summary, data), shift_table(summary, data)]
    return (table for table in found if table.rows)
