"""``--version``, ``retr models``, ``retr data`` and ``retr metrics``."""

from __future__ import annotations

import re


def test_version_and_models(retr):
    assert re.fullmatch(r"retr \d+\.\d+\.\d+\n", retr("--version").out.decode())
    listed = retr("models", "list", "--format", "json").json
    assert any(row["name"].startswith("block-means") and row["certified"] for row in listed)
    assert "block-means" in retr("models", "show", "block-means").out.decode()


def test_data_sets_and_metrics_are_listed(retr):
    assert {row["name"] for row in retr("data", "list", "--format", "json").json} >= {"bapps", "nights", "synthetic"}
    assert retr("data", "info", "nights", "--format", "json").json["name"] == "nights"
    assert any("bapps" in line for line in retr("data", "info", "bapps").lines)
    listed = {row["name"]: row for row in retr("metrics", "list", "--format", "json").json}
    assert listed["l2"]["runs"] is True
    assert any("ms-ssim" in line for line in retr("metrics", "list").lines)


def test_an_unknown_data_set_is_refused_by_name(retr):
    refused = retr("data", "info", "imagenet")
    assert refused.code == 2
    assert "imagenet" in refused.err
    assert "nights" in refused.err
