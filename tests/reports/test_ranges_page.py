"""The page of edits with proof: whole, without a script, and never saying more than is proved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted import draw_pictures, embedded_by, small_index

from retr.core.errors import ImageRejected
from retr.embedding.block_means import BlockMeans
from retr.images.families.asked import read_families
from retr.reports.ranges_bars import proved_part
from retr.reports.ranges_page import ranges_page
from retr.reports.ranges_table import lines, reach_words, why_nothing
from retr.retrieval.ranges.prove import prove_ranges
from retr.retrieval.ranges.result import FamilyProof, Reach


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    pictures = draw_pictures(6, side=20)
    engine = embedded_by(small_index(tmp_path_factory.mktemp("p"), pictures), BlockMeans(4), threshold=0.9)
    answer = engine.answer(pictures[2] / 255.0, k=3, certify=True)
    families = read_families(["brightness:0.001..3", "jpeg:80..85", "quarter-turns"])
    proof = prove_ranges(engine, pictures[2], answer, families, eps=0.5, unit="rmse")
    return ranges_page(replace(answer, against=proof), "<b>holiday</b>.png", pictures[2], families, engine.policy)


def test_it_is_whole_and_names_are_no_markup(page):
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "<b>holiday" not in page
    assert "&lt;b&gt;holiday" in page


def test_it_says_what_is_proved_and_what_is_not(page):
    assert "Proved for every edit of the range (6 of them)." in page
    assert "no proof was found" in page
    assert "0.5 of 255 levels" in page
    assert page.count("<figure>") >= 10


def family(low: float, high: float) -> FamilyProof:
    reach = Reach(False, (low,), (high,), 0.5)
    return FamilyProof("b", "b:0.5..2", "p", ("factor",), ((0.5, 2.0),), reach, reach, None, 1, 1, "", 0.0)


def test_ends_are_rounded_towards_what_is_proved():
    found = family(0.700001, 1.399999)
    assert reach_words(found, found.verdict) == "0.7001..1.399"
    start, end = proved_part(found, found.verdict)
    assert 0.0 < start < end < 1.0
    whole = family(0.5, 2.0)
    assert reach_words(whole, whole.verdict) == "0.5..2"


def test_examples_are_decoded_as_the_index_decodes(tmp_path_factory):
    """A policy that refuses all but tiny images refuses its own examples: nothing else decodes them."""
    pictures = draw_pictures(4, side=20)
    engine = embedded_by(small_index(tmp_path_factory.mktemp("d"), pictures), BlockMeans(4), threshold=0.9)
    answer = engine.answer(pictures[2] / 255.0, k=3, certify=True)
    families = read_families(["jpeg:80..85"])
    proof = prove_ranges(engine, pictures[2], answer, families, eps=0.5, unit="rmse")
    asked = replace(answer, against=proof), "q.png", pictures[2], families
    assert "jpeg:80..85" in ranges_page(*asked, engine.policy)
    with pytest.raises(ImageRejected):
        ranges_page(*asked, replace(engine.policy, max_pixels=9))


def test_shares_are_rounded_down():
    reach = Reach(False, None, None, 0.99999)
    found = FamilyProof("b", "b:1", "p", ("factor",), ((0.5, 2.0),), reach, reach, None, 1, 1, "", 0.0)
    assert reach_words(found, reach) == "99.9 % of the edits"


@pytest.fixture(scope="module")
def hardly_certified(tmp_path_factory):
    """A copy, proved less far than what may come on top of the edits; edits, and the page."""
    pictures = draw_pictures(6, side=20)
    engine = embedded_by(small_index(tmp_path_factory.mktemp("n"), pictures), BlockMeans(4), threshold=0.9)
    answer = engine.answer(pictures[2] / 255.0, k=3, certify=True, eps_l2=3e3, asked="ℓ2 3000")
    families = read_families(["brightness:0.9..1.1", "quarter-turns"])
    proof = prove_ranges(engine, pictures[2], answer, families, eps=3e3, unit="l2")
    answer = replace(answer, against=proof)
    return answer, ranges_page(answer, "holiday.png", pictures[2], families, engine.policy)


def test_where_nothing_is_proved_no_sentence_says_so(hardly_certified):
    answer, text = hardly_certified
    assert not answer.against.of_verdict
    [first, *_] = lines(answer.against, "ℓ2 3000", why_nothing(answer))
    assert first.startswith("nothing is proved of the verdict on any of these edits, with any change up to ℓ2 3000")
    assert "is proved only up to RMSE" in first
    assert "verdict not proved at" not in " ".join(lines(answer.against, None, why_nothing(answer)))
    assert "Nothing is proved" in text
    assert "no proof was found" not in text
    assert "every edited version" not in text.replace("<strong>", "").replace("</strong>", "")


def test_where_something_is_proved_it_says_of_what(page):
    assert "<strong>every</strong> edited version" in page
    assert "Made by: ." not in page
