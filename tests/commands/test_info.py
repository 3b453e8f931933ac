"""``retr info``."""

from __future__ import annotations

from command_line import one_line


def test_info_verifies(retr, corpus, tmp_path):
    assert retr("index", corpus, "-o", tmp_path / "index", "--model", "block-means:4").code == 0
    facts = retr("info", tmp_path / "index", "--verify", "--format", "json")
    assert facts.code == 0
    assert (facts.json["schema"], facts.json["items"], facts.json["rows"]) == ("retr.info/1", 12, 12)
    assert "match their SHA-256" in facts.json["verified"]
    [rows] = (tmp_path / "index" / "segments").glob("*/rows-0.f32")
    data = bytearray(rows.read_bytes())
    data[40] ^= 1
    rows.write_bytes(data)
    assert "does not match its SHA-256" in one_line(retr("info", tmp_path / "index", "--verify"), 5)
