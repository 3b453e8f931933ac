"""Edits with proof in audits: records that hold together, runs that go on, lines that say no more than is proved."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from planted import draw_pictures, embedded_by, small_index
from rich.console import Console

from retr.core.errors import IntegrityError, UsageError
from retr.core.progress import Silent
from retr.embedding.block_means import BlockMeans
from retr.evaluation.edits import audit
from retr.evaluation.edits.audit import Picture, RangePlan, run_ranges
from retr.evaluation.edits.records import FORMAT
from retr.evaluation.edits.summary import summarise
from retr.reports.edits_table import print_edits

PLAN = RangePlan(("jpeg:60..95", "brightness:0.9..1.1"), 0.5, members=3)
PICTURES = draw_pictures(6, side=20)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return embedded_by(small_index(tmp_path_factory.mktemp("e"), PICTURES), BlockMeans(4), threshold=0.9)


def pictures(engine):
    keys = engine.gallery.table.keys(np.arange(engine.gallery.items))
    for number, edit in ((0, "identity"), (1, "identity"), (0, "darker")):
        pixels = PICTURES[number] if edit == "identity" else (PICTURES[number] // 2 + 20).astype(np.uint8)
        yield Picture(f"{number:03d}.png", edit, pixels, frozenset({bytes(keys[number])}))


def run(engine, folder, found=None, plan=PLAN):
    return run_ranges(
        engine, pictures(engine) if found is None else found, plan, beside=folder, command="test", progress=Silent()
    )


@pytest.fixture(scope="module")
def records(engine, tmp_path_factory):
    return run(engine, tmp_path_factory.mktemp("r"))


def test_a_row_for_each_query_and_family(records):
    rows = records.table.to_pylist()
    assert [(row["query"], row["edit"]) for row in rows[::2]] == [
        ("000.png", "identity"),
        ("001.png", "identity"),
        ("000.png", "darker"),
    ]
    assert {row["family"] for row in rows} == set(PLAN.against)
    assert all(row["right"] and row["right_first"] for row in rows[:4])
    assert all(row["pairs"] > 0 and not row["alarm"] for row in rows if row["verdict_whole"])


def test_lines_count_right_answers_alone(records):
    summary = summarise(records)
    assert [line.family for line in summary.lines] == list(PLAN.against)
    assert {line.queries for line in summary.lines} == {3}
    assert {(line.edit, line.queries) for line in summary.by_edit} == {("identity", 2), ("darker", 1)}
    wrong = {"right": False, "right_first": False}
    table = FORMAT.table([row | wrong for row in records.table.to_pylist()])
    nobody = summarise(replace(records, table=table))
    assert all(line.whole == line.share == line.first == 0.0 for line in nobody.lines)
    assert any(line.whole > 0.0 for line in summary.lines)


def test_a_stopped_run_goes_on_and_a_finished_one_is_told_again(engine, records, tmp_path):
    def broken():
        yield from list(pictures(engine))[:1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(engine, tmp_path, broken())
    again = run(engine, tmp_path)
    times = ("run", "seconds", "command")
    assert again.table.drop_columns(list(times)) == records.table.drop_columns(list(times))
    assert run(engine, tmp_path, iter(())).table == again.table
    with pytest.raises(UsageError, match="another plan"):
        run(engine, tmp_path, plan=replace(PLAN, on_top=2.0))


def test_what_the_time_limit_leaves_out_is_counted(engine, tmp_path, monkeypatch):
    clock = iter(np.arange(0.0, 1000.0, 10.0))
    monkeypatch.setattr(audit.time, "monotonic", lambda: float(next(clock)))
    found = run_ranges(engine, pictures(engine), PLAN, beside=tmp_path, command="test", progress=Silent(), seconds=15.0)
    summary = summarise(found)
    assert (summary.left_out, summary.lines[0].queries) == (2, 1)


def test_a_proof_that_is_overturned_is_an_alarm(engine, tmp_path, monkeypatch):
    true = audit.prove_ranges

    def boastful(*given, eps, **more):
        return true(*given, eps=eps / 60.0, **more)

    monkeypatch.setattr(audit, "prove_ranges", boastful)
    summary = summarise(run(engine, tmp_path, plan=replace(PLAN, on_top=60.0)))
    assert summary.alarms
    console = Console(record=True, width=100)
    print_edits(summary, console)
    assert "overturned" in console.export_text()


def test_records_that_contradict_themselves_are_refused(records):
    rows = records.table.to_pylist()
    for wrong in (
        {"verdict_share": 1.5},
        {"alarm": True},
        {"withheld": "no"},
        {"first_whole": True, "first_share": 0.5},
    ):
        with pytest.raises(IntegrityError, match="contradicts itself"):
            FORMAT.check(FORMAT.table([rows[0] | wrong, *rows[1:]]))


def test_the_table_in_words(records):
    console = Console(record=True, width=100)
    print_edits(summarise(records), console)
    text = console.export_text()
    assert "any change up to RMSE 0.5 on top" in text
    assert "done to the query first" in text
    assert "0 proofs overturned" in text
    json.dumps(summarise(records).as_json())


@pytest.mark.parametrize(("against", "on_top"), [(("hue:1..2",), 1.0), (("jpeg",), -1.0), (("jpeg",), float("nan"))])
def test_what_cannot_be_asked_is_refused_at_once(against, on_top):
    with pytest.raises(UsageError):
        RangePlan(against, on_top)
