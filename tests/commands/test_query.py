"""``retr query``: answers, verdicts and certificates."""

from __future__ import annotations

import pytest
from PIL import Image

QUERY = {
    *("schema", "query", "width", "height", "model", "snapshot", "verdict", "matches", "certificate", "withheld"),
}


def test_one_query_as_json(retr, corpus, index):
    done = retr("query", corpus / "03.png", "-i", index, "--certify", "-k", 4, "--format", "json")
    assert (done.code, done.err) == (0, "")
    body = done.only
    assert set(body) >= QUERY
    assert (body["error"], body["detail"]) == (None, None)
    assert (body["schema"], body["query"], body["verdict"]) == ("retr.query/2", str(corpus / "03.png"), "copy")
    assert len(body["matches"]) == 4
    assert body["matches"][0]["top1"]["rmse"] > 0
    assert body["certificate"]["exact"] is True
    assert body["eps"]["rmse"] == pytest.approx(1.0)


def test_the_budget_decides_the_verdict(retr, corpus, index):
    arguments = ("query", corpus / "03.png", "-i", index, "--format", "json")
    assert retr(*arguments, "--eps", 0.5).only["verdict"] == "copy"
    assert retr(*arguments, "--eps", 0.5).only["certificate"] is not None
    far = retr(*arguments, "--eps", 250).only
    assert (far["verdict"], far["point_verdict"]) == ("undecided", "copy")
    assert retr(*arguments, "--eps", 60, "--unit", "psnr").only["eps"]["psnr"] == pytest.approx(60)
    assert retr(*arguments, "--eps", 0.25, "--unit", "l2").only["eps"]["l2"] == 0.25
    [threshold] = retr(*arguments, "--threshold", 0.5).only["thresholds"]
    assert (threshold["value"], threshold["source"], threshold["fpr"]) == (0.5, "given", None)


def test_every_answer_says_what_its_threshold_is(retr, corpus, index):
    [threshold] = retr("query", corpus / "03.png", "-i", index, "--format", "json").only["thresholds"]
    assert (threshold["source"], threshold["share"], threshold["offset"]) == ("reference", 0.5, None)


def test_a_match_is_explained_on_request(retr, corpus, index):
    arguments = ("query", corpus / "03.png", "-i", index, "-k", 2)
    first, second = retr(*arguments, "--explain", "--format", "json").only["matches"]
    assert first["explained"]["distance"] == pytest.approx(0.0, abs=1e-5)
    assert first["explained"]["within"] == pytest.approx(0.5 * first["explained"]["gap"])
    assert second["explained"]["part"] > 0.5
    neighbours = [match["explained"]["neighbour"] for match in (first, second)]
    assert all(one["kind"] or one["path"] for one in neighbours)
    said = " ".join(retr(*arguments, "--explain").out.decode().split())
    assert "why 1: " in said
    assert said.count("this image accepts the query") == 1
    assert said.count("this image refuses the query") == 1
    assert said.count("of the way to its nearest unrelated neighbour, ") >= 2
    kinds = [one["kind"] for one in neighbours if one["kind"]]
    assert all(f"a picture of the reference set: {kind} (" in said for kind in kinds)
    assert "nearer than 0.5 of the way to its nearest unrelated neighbour (reference)" in said
    assert "explained" not in retr(*arguments, "--format", "json").only["matches"][0]
    [row, _] = retr(*arguments, "--explain", "--format", "csv").rows
    assert float(row["match.explained.gap"]) == pytest.approx(first["explained"]["gap"])


def test_an_uncertified_model_answers_and_a_required_certificate_exits_with_4(retr, corpus, uncertified):
    arguments = ("query", corpus / "03.png", "-i", uncertified, "--format", "json")
    done = retr(*arguments, "--certify")
    assert done.code == 0
    assert (done.only["verdict"], done.only["certificate"], done.only["eps"]) == ("uncertified", None, None)
    assert "foreign program" in done.only["withheld"]
    required = retr(*arguments, "--require-certificate")
    assert required.code == 4
    assert required.only["withheld"] == done.only["withheld"]
    assert len(required.err.splitlines()) == 1
    assert "certificate withheld" in required.err


def test_a_flat_query_has_no_certificate(retr, index, tmp_path):
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "flat.png")
    done = retr("query", tmp_path / "flat.png", "-i", index, "--require-certificate", "--format", "json")
    assert done.code == 4
    assert "is flat to" in done.only["withheld"]


def test_a_required_certificate_that_is_given(retr, corpus, index):
    done = retr("query", corpus / "03.png", "-i", index, "--require-certificate", "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert done.only["certificate"] is not None


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--certify"], "RMSE 1"),
        (["--eps", "0.0352"], "RMSE 0.0352"),
        (["--eps", "0.1", "--unit", "l2"], "ℓ2 0.1"),
        (["--eps", "61.25", "--unit", "psnr"], "PSNR 61.25 dB"),
    ],
)
def test_the_table_says_the_verdict_first_and_the_budget_as_it_was_given(retr, corpus, index, words, asked):
    lines = retr("query", corpus / "03.png", "-i", index, *words).lines
    assert lines[0] == str(corpus / "03.png")
    assert lines[1].startswith("verdict: copy of …/corpus/03.png, proved for every change up to RMSE ")
    assert lines[1].endswith(f"; asked for: {asked}")
