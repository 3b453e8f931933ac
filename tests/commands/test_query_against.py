"""``retr query --against`` and ``Index.query(against=…)``: edits with proof in the table, in JSON and in rows."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import one_line

from retr.api.index import open as open_index
from retr.core.errors import UsageError

FAMILIES = ("--against", "brightness:0.8..1.2", "--against", "jpeg:80..90")


def test_families_in_json(retr, corpus, index):
    done = retr("query", corpus / "03.png", "-i", index, *FAMILIES, "--eps", 0.25, "--format", "json")
    assert (done.code, done.err) == (0, "")
    against = done.only["against"]
    assert against["claim"]["path"] == str(corpus / "03.png")
    assert against["eps"]["rmse"] == 0.25
    assert [family["asked"] for family in against["families"]] == ["brightness:0.8..1.2", "jpeg:80..90"]
    brightness, jpeg = against["families"]
    assert jpeg["members"] == 11
    assert brightness["members"] is None
    assert brightness["parameters"] == [{"name": "factor", "low": 0.8, "high": 1.2}]
    for family in (brightness, jpeg):
        assert family["verdict"]["whole"] is True
        assert family["verdict"]["stops"] == []
        assert family["evaluations"] >= 1


def test_without_it_there_is_nothing_of_it(retr, corpus, index):
    assert retr("query", corpus / "03.png", "-i", index, "--format", "json").only["against"] is None


def test_families_in_the_table(retr, corpus, index):
    text = retr("query", corpus / "03.png", "-i", index, *FAMILIES).out.decode()
    assert "brightness:0.8..1.2" in text
    assert "every edit in the range is found to be a copy of" in text
    assert "any change up to RMSE 1 on top" in text
    assert "libjpeg" in text


def test_a_range_that_ends_says_where_and_why(retr, corpus, index):
    done = retr("query", corpus / "03.png", "-i", index, "--against", "brightness:0..4", "--format", "json")
    reach = done.only["against"]["families"][0]["verdict"]
    assert reach["whole"] is False
    assert 0.0 < reach["low"] < 1.0 < reach["high"] <= 4.0
    assert {stop["because"] for stop in reach["stops"]} == {"the verdict is not proved there"}


def test_rows_name_the_families(retr, corpus, index):
    [row] = retr("query", corpus / "03.png", "-i", index, *FAMILIES, "-k", 1, "--format", "csv").rows
    assert row["against.whole"] == "brightness:0.8..1.2 jpeg:80..90"
    assert row["against.partly"] == ""


@pytest.mark.parametrize("words", [("hue:0..1",), ("jpeg:95..30",), ("jpeg", "--unit", "psnr")])
def test_what_cannot_be_asked_is_a_usage_error(retr, corpus, index, words):
    one_line(retr("query", corpus / "03.png", "-i", index, "--against", *words), 2)


def test_the_public_surface(corpus, index):
    opened = open_index(index)
    answer = opened.query(corpus / "03.png", against="gamma:0.9..1.1", eps=0.5)
    assert answer.against is not None
    [gamma] = answer.against.families
    assert gamma.verdict.whole
    assert answer.as_json()["against"]["families"][0]["family"] == "gamma"
    assert opened.query(corpus / "03.png", against=["gamma", "jpeg:90..95"]).against.eps.rmse == 1.0
    assert opened.query(corpus / "03.png", certify=True).against is None
    with pytest.raises(UsageError, match="unit"):
        opened.query(corpus / "03.png", against="gamma", unit="psnr")
    with pytest.raises(UsageError, match="between the levels"):
        opened.query(np.full((8, 8, 3), 0.3), against="gamma")


def test_a_page_for_people(retr, corpus, index, tmp_path):
    done = retr("query", corpus / "03.png", "-i", index, "--against", "jpeg:90..95", "--page", tmp_path / "e.html")
    assert done.code == 0
    assert "<!doctype html>" in (tmp_path / "e.html").read_text()
    one_line(retr("query", corpus / "03.png", "-i", index, "--page", tmp_path / "f.html"), 2)
