"""Edits with proof on the pages of the copy benchmark and of the audit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import made_records
import made_reports
import pytest
from read_page import Page

from retr.evaluation.edits.summary import RangeLine, RangeSummary
from retr.evaluation.robustness.summary import summarise
from retr.reports.audit_page import audit_page
from retr.reports.copy_page import copy_page

LINE = RangeLine("jpeg:30..95", None, 31, 1.0, 0.83999, 0.9, 0.96774, 2.0, 0.29, 1200, 0)
SUMMARY = RangeSummary((LINE, replace(LINE, family="crop:95 <b>", whole=0.5, first=0.5, pairs=34)), (), 7)


def on(name: str, edits: RangeSummary | None) -> Page:
    if name == "copies":
        return Page(copy_page(made_reports.Copies().summary, command="retr", edits=edits))
    records = made_records.table(*made_records.audit(files=2))
    summary = summarise(records)
    return Page(audit_page(summary, records, root=Path("/nowhere"), thumbnail=lambda *_: None, proved=edits))


@pytest.mark.parametrize("name", ["copies", "audit"])
def test_a_row_and_a_bar_for_each_family(name: str) -> None:
    bare, found = on(name, None), on(name, SUMMARY)
    found.asks_nothing_of_the_world()
    assert "Edits with proof" not in bare.text
    assert found.tags.count("svg") == bare.tags.count("svg") + 2
    rows = [row for row in found.rows if row[0].startswith(("jpeg:", "crop:"))]
    assert [row[:7] for row in rows] == [
        ["jpeg:30..95", "31", "84.0", "96.8", "90.0", "2", "0.29"],
        ["crop:95 <b>", "31", "50.0", "50.0", "90.0", "2", "0.29"],
    ]
    text = found.text.replace("\u2009", " ")
    assert "jpeg:30..95: verdict 84.0 %, first place 96.8 % of queries" in found.source
    assert "1 234 attacked edits inside the proved ranges were judged; none overturned a proof." in text
    assert "7 queries not reached in time." in text
    assert "any change up to RMSE 1 on top" in text


@pytest.mark.parametrize("name", ["copies", "audit"])
def test_an_overturned_proof_is_said_first(name: str) -> None:
    found = on(name, replace(SUMMARY, lines=(replace(LINE, alarms=2),)))
    head = found.text.split("By family of edits" if name == "copies" else "Accuracy under attack")[0]
    assert "2 proofs of edits overturned" in head
    assert "none overturned a proof" not in found.text
    assert found.source.count('role="alert"') == on(name, None).source.count('role="alert"') + 1


@pytest.mark.parametrize("name", ["copies", "audit"])
def test_nothing_reached_is_nothing_said(name: str) -> None:
    assert "Edits with proof" not in on(name, RangeSummary((), (), 7)).text
