"""``retr calibrate``."""

from __future__ import annotations

from command_line import one_line
from drawn import draw


def test_calibrate_then_query(retr, corpus, tmp_path):
    folder = tmp_path / "index"
    assert retr("index", corpus, "-o", folder, "--model", "block-means:4").code == 0
    for number in range(19):
        draw(tmp_path / "absent" / f"{number}.png", 500 + number)
    done = retr("calibrate", folder, tmp_path / "absent", "--fpr", 0.1, "--format", "json")
    assert done.code == 0
    assert (done.json["schema"], done.json["negatives"], done.json["refused"]) == ("retr.calibration/1", 19, 0)
    [threshold] = done.json["thresholds"]
    assert (threshold["channel"], threshold["source"], threshold["fpr"]) == ("block-means:4", "calibrated", 0.1)
    used = retr("query", corpus / "03.png", "-i", folder, "--format", "json").only
    assert used["snapshot"] == done.json["snapshot"]
    assert used["thresholds"][0]["value"] == threshold["value"]
    assert "calibrated" in retr("info", folder).out.decode()
    (tmp_path / "absent" / "bad.png").write_bytes(b"")
    assert retr("calibrate", folder, tmp_path / "absent", "--fpr", 0.1).code == 3
    (tmp_path / "absent" / "bad.png").unlink()
    option = retr("calibrate", tmp_path / "absent", "-i", folder, "--fpr", 0.1, "--format", "csv")
    assert (option.code, option.rows[0]["thresholds.0.channel"]) == (0, "block-means:4")
    assert "an index and one source" in one_line(retr("calibrate", folder, tmp_path / "absent", "-i", folder), 2)
    (tmp_path / "file").touch()
    in_a_file = retr("calibrate", folder, tmp_path / "absent", "--fpr", 0.1, "--review", tmp_path / "file")
    assert "is a file; --review writes a page and a list into a folder" in one_line(in_a_file, 2)
    few = one_line(retr("calibrate", folder, tmp_path / "absent"), 2)
    assert "at least 999 are needed" in few
    assert "Of those given, copies and files that hold no image do not count" in few
    alone = one_line(retr("calibrate", folder), 2)
    assert f"{folder} is an index; after it name images that have no copy in it" in alone
    assert f"retr calibrate {folder} ./known-absent" in alone
    stored = one_line(retr("calibrate", folder, corpus, "--fpr", 0.1), 2)
    assert stored.startswith("retr: 0 negatives cannot support")
    assert stored.endswith("(left out: 12 have their very pixels in the index)\n")
