"""The page and the tables of a 2AFC benchmark: whole, harmless, and saying what the summary says."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from made_triplets import benchmark, clean, records, trial
from read_page import Page
from rich.console import Console

from retr.evaluation.two_afc.findings import findings
from retr.evaluation.two_afc.records import Records
from retr.evaluation.two_afc.run import TwoAFCResult
from retr.evaluation.two_afc.summary import summarise_triplets
from retr.reports.paper_figures import FIGURES, beside
from retr.reports.two_afc_page import two_afc_page
from retr.reports.two_afc_series import size
from retr.reports.two_afc_table import print_two_afc, two_afc_json, two_afc_rows

BAPPS = [{"name": "made", "source": {"layout": "bapps", "split": "val"}}]
LEFT_OUT = [{"metric": "command:x", "setting": "PGD", "why": "not differentiable: black-box attacks only"}]


def result(records: Records) -> TwoAFCResult:
    """A benchmark in which one triplet could not be used."""
    folder = Path("retr-2afc")
    return TwoAFCResult(folder, folder / "records.parquet", records, (("made", "x.png: truncated"),), (), 0, 12.0)


@pytest.fixture(scope="module")
def made():
    found = benchmark(triplets=12)
    return Records(found.table, {**found.facts, "data": BAPPS, "left_out": LEFT_OUT})


@pytest.fixture(scope="module")
def summary(made):
    return summarise_triplets(made)


def printed(result, summary, width):
    out = io.StringIO()
    print_two_afc(result, summary, Console(file=out, width=width))
    return out.getvalue()


def test_the_page_is_whole_and_asks_nothing_of_the_world(made, summary):
    Page(two_afc_page(summary, made)).asks_nothing_of_the_world()


def test_the_page_says_what_the_summary_says(made, summary):
    found = Page(two_afc_page(summary, made)).text
    for one in findings(summary):
        assert one.title in found
        assert one.numbers in found
    for line in summary.metrics:
        assert f"{100 * line.score:.1f} %" in found
    assert f"{summary.certificates} adversarial images lay inside a certified radius" in found
    assert "left out on command:x (not differentiable: black-box attacks only): 1 setting" in found
    for title in ("Transferred attacks", "Reverse attacks", "Certified judgements", "Attacks on the embedding"):
        assert title in found


def test_a_run_without_attacks_has_a_page_of_fewer_sections():
    rows = records(clean(), clean(system="ssim", title="SSIM"))
    text = two_afc_page(summarise_triplets(rows), rows)
    assert re.findall(r'<section id="(\w+)"', text) == ["answer", "findings", "run"]
    assert "No certificate was attacked" in Page(text).text


def test_alarms_come_first_and_one_by_one():
    rows = records(clean(radius_sound=2.0), trial(3.0, 2.0, radius_sound=2.0, moves="reference", l2=1.25, query="t0"))
    found = Page(two_afc_page(summarise_triplets(rows), rows)).text
    assert "1 soundness alarm Of 1 attacked certificates, 1 did not hold." in found
    before = found.split("What the papers found")[0]
    assert "t0" in before
    assert "sound 2" in before
    assert "1.25" in before


HOSTILE = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;.jpg"


def test_hostile_names_are_only_words():
    words = dict.fromkeys(("system", "title", "data", "query", "group"), HOSTILE)
    rows = records(
        clean(**words),
        trial(3.0, 2.0, **words, setting=HOSTILE, source=HOSTILE, image=HOSTILE, alarm=True),
        trial(3.0, 2.0, **words, setting=HOSTILE),
        run=HOSTILE,
        command=HOSTILE,
        versions=HOSTILE,
        data=[{"name": HOSTILE, "source": {"layout": HOSTILE}}],
        left_out=[{"metric": HOSTILE, "setting": HOSTILE, "why": HOSTILE}],
    )
    found = summarise_triplets(rows)
    text = two_afc_page(found, rows)
    assert "<script" not in text
    assert "script" not in Page(text).tags
    assert "x.png" in printed(result(rows), found, 80)  # square brackets and tags are no markup of the terminal's


@pytest.mark.parametrize("width", [80, 130])
def test_the_tables_fit_and_say_what_the_summary_says(made, summary, width):
    text = printed(result(made), summary, width)
    assert max(map(len, text.splitlines())) <= width
    assert f"soundness alarms: 0 in {summary.certificates} attacked certificates" in text
    assert "not usable: 1 × x.png: truncated" in text
    whole = " ".join(text.split())
    for one in findings(summary):
        assert f"{one.verdict}: {one.title}" in whole
    assert "stAdv+" in text
    assert "all three move" in text
    assert ("PSNR" in text) == (width == 130)


def test_json_and_rows_are_plain_and_agree(made, summary):
    found = json.loads(json.dumps(two_afc_json(result(made), summary), allow_nan=False))
    assert found["schema"] == "retr.bench-2afc/1"
    assert {one["name"] for one in found["findings"]} >= {"agree", "flip", "pgd-fgsm", "transfer"}
    rows = two_afc_rows(summary)
    json.dumps(rows, allow_nan=False)
    assert len(rows) == len(summary.metrics) + len(summary.attacks)
    attacked = rows[len(summary.metrics)]
    first = summary.attacks[0]
    assert (attacked["agree_flipped"], attacked["score"]) == (first.agree.flipped.count, first.score)


def test_published_figures_are_shares_each_with_its_source():
    assert all(0.0 <= figure.value <= 1.0 and "arXiv" in figure.source for figure in FIGURES)
    keys = [(f.layout, f.metric, f.quantity, f.attack, f.at, f.model) for f in FIGURES]
    assert len(set(keys)) == len(keys)
    by = {key: figure.value for key, figure in zip(keys, FIGURES, strict=True)}
    # The notebook prints whole per cents beside its counts.
    assert round(100 * by["bapps", "ssim", "transfer", "stadv-pgd", 20, ""]) == 26
    assert round(100 * by["bapps", "st-lpips-alex", "transfer", "pgd-linf", 20, ""]) == 8


def test_published_figures_stand_beside_ours_only_on_the_papers_data(made, summary):
    pairs = beside(summary, made.facts)
    whats = {(pair.title, pair.what) for pair in pairs}
    assert ("ℓ2", "flipped by a transfer of stAdv+PGD(20)") in whats
    assert ("LipSim", "certified, published form, 36/255") in whats
    ours = next(pair.ours for pair in pairs if pair.title == "SSIM" and pair.what.endswith("transfer of PGD(10)"))
    line = next(one for one in summary.attacks if one.metric == "ssim" and one.setting == "PGD(10)")
    assert ours == line.agree.flipped.value
    assert beside(summary, {**made.facts, "data": [{"name": "made", "source": {"layout": "synthetic"}}]}) == ()


def test_an_untrained_network_is_not_the_papers():
    rows = records(clean(system="retr:lipsim:random:0", title="LipSim"), data=BAPPS)
    assert beside(summarise_triplets(rows), rows.facts) == ()


@pytest.mark.parametrize(
    ("eps", "word"),
    [
        (36 / 255, "36/255"),
        (1.0, "1"),
        (0.5, "0.5"),
        (1 / 255, "1/255"),
        (0.0352, "0.0352"),
        (0.14117647, "0.14117647"),
    ],
)
def test_sizes_are_written_as_the_paper_writes_its_own(eps, word):
    assert size(eps) == word
