"""The pages of the copy benchmark and of the k-NN benchmark: whole, harmless, and saying what the summary says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import made_reports
from read_page import Page

from retr.evaluation.copies.summary import CopySummary
from retr.evaluation.knn.summary import summarise_knn
from retr.reports.copy_page import copy_page
from retr.reports.knn_page import knn_page
from retr.reports.pages import write

HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;\x1b[31m.jpg"


def copied(summary: CopySummary) -> str:
    return copy_page(summary, command="retr bench-copies ./photos")


def test_the_copy_page_is_whole_and_says_what_the_summary_says() -> None:
    summary = made_reports.Copies(0.87654).summary
    found = Page(copied(summary))
    found.asks_nothing_of_the_world()
    assert "No claim refuted. 400 answers were recomputed" in found.text
    for words in (
        "21 November 2026, 04:47 UTC",
        "200 queries in 2 families · 1 000 gallery items · 2 systems, the first retr_s",
        "87.7 % of queries have the true item first, mean over families 95 %: 82–92",
        "29.2 % proved to stay first for every change up to RMSE 1",
        "43.8 % are called copies of the true item",
        "14.6 % proved to stay so up to RMSE 1",
        "3 of 1 000 negatives taken for copies",
        "rotated * 100 87.7 43.8 29.2 21.9 75.0",
        "retr_s 1 000 3 0.3 % 0–1 43.8 % 29.2 % 21.9 %",
        "phash 1 000 3 0.3 % 0–1 – – –",
        "5 × zero-byte",
    ):
        assert words in found.text.replace("\u2009", " ")
    assert found.tags.count("svg") == 2


def test_a_copy_benchmark_without_verdicts_and_one_with_refuted_claims() -> None:
    summary = made_reports.Copies().summary
    bare = [
        replace(line, negatives=None, checked=0, mean=replace(line.mean, verdict=None, verdict_certified=None))
        for line in summary.systems
    ]
    found = Page(copied(replace(summary, systems=tuple(bare)))).text
    assert "No answer was recomputed by brute force." in found
    assert "What is no copy" not in found
    wrong = replace(summary, systems=(replace(summary.systems[0], refuted=2),))
    found = Page(copied(wrong)).text
    assert "2 claims refuted Of 200 answers recomputed by brute force, 2 claimed more" in found


def test_the_knn_page_is_whole_and_says_what_the_summary_says() -> None:
    result = made_reports.knn(1.25)
    summary = summarise_knn(result)
    found = Page(knn_page(result, summary))
    found.asks_nothing_of_the_world()
    assert "No alarm. No attack broke a certificate." in found.text
    for words in (
        "7 queries · 10 images of 2 labels · k = 3",
        "71.4 % of votes among 3 find the label 95 %: 35–92",
        "57.1 % still do under attack within RMSE 1",
        "71.4 % proved to, whatever the change within RMSE 1",
        "1.84 median certified radius of right votes (RMSE)",
        "RMSE 0.5 71.4 57.1 100.0 100.0 0",
        "l2 36/255 71.4 57.1 100.0 100.0 0",
    ):
        assert words in found.text
    assert found.tags.count("svg") == 2


def test_a_knn_benchmark_of_images_of_many_sizes_or_of_none_right() -> None:
    result = made_reports.knn()
    several = made_reports.changed(result, lambda row: {"width": 200} if row["query"] == "q/6.png" else {})
    assert "l2 36/255" not in str(Page(knn_page(several, summarise_knn(several))).source.split("</figure>")[0])
    wrong = made_reports.changed(result, lambda _: {"predicted": "dog"})
    assert "<svg" not in knn_page(wrong, summarise_knn(wrong))


def test_alarms_of_a_knn_benchmark_come_first() -> None:
    broken = {"alarm": True, "alarm_kind": "vote+among"}
    fell = ("q/0.png", "rmse", 0.5)
    alarmed = made_reports.changed(
        made_reports.knn(), lambda row: broken if (row["query"], row["unit"], row["budget"]) == fell else {}
    )
    assert "2 certificates broken by an attack" in Page(knn_page(alarmed, summarise_knn(alarmed))).text


def test_hostile_names_are_only_words() -> None:
    summary = made_reports.Copies().summary
    systems = tuple(replace(line, system=HOSTILE) for line in summary.systems)
    copies = copied(replace(summary, systems=systems, skipped={HOSTILE: 1}, plan={**summary.plan, "gallery": HOSTILE}))
    result = made_reports.knn(model=HOSTILE)
    for text in (copies, knn_page(result, summarise_knn(result))):
        assert "<script" not in text
        assert "\x1b" not in text
        assert "script" not in Page(text).tags


def test_a_page_is_written_in_one_step(tmp_path: Path) -> None:
    write(tmp_path / "page.html", "new")
    write(tmp_path / "page.html", "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text() == "newer"
