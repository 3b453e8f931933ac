"""``retr index``, and the three commands as they are written in the README."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from command_line import one_line
from drawn import draw


def test_index_then_query_as_written(retr, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RETR_INDEX", raising=False)
    done = retr("index", corpus)
    assert done.code == 0
    assert (tmp_path / "retr-index" / "CURRENT").exists()
    answered = retr("query", corpus / "03.png", "--certify")
    assert answered.code == 0
    text = answered.out.decode()
    assert "03.png" in text
    assert "RMSE" in text
    assert "copy" in text
    shown = retr("info")
    assert shown.code == 0
    assert "12" in shown.out.decode()


def test_the_index_may_be_named_by_the_environment(retr, corpus, index, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETR_INDEX", str(index))
    assert retr("query", corpus / "03.png", "--format", "json").only["matches"][0]["path"] == str(corpus / "03.png")
    assert retr("info", "--format", "json").json["index"] == str(index)
    monkeypatch.setenv("RETR_INDEX", str(tmp_path / "made"))
    assert retr("index", corpus, "--model", "block-means:4").code == 0
    assert (tmp_path / "made" / "CURRENT").exists()
    assert "no index" in one_line(retr("query", corpus / "03.png", "-i", tmp_path / "other"), 1)


def test_as_a_module_and_in_another_process(corpus, index):
    command = [sys.executable, "-m", "retr", "query", str(corpus / "05.png"), "-i", str(index), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["matches"][0]["path"] == str(corpus / "05.png")


def test_index_reports_counts_that_add_up_and_bad_files_exit_with_3(retr, corpus, tmp_path):
    mixed = tmp_path / "mixed"
    for number in range(4):
        draw(mixed / f"{number}.png", number)
    (mixed / "empty.jpg").write_bytes(b"")
    (mixed / "text.png").write_text("no image")
    done = retr("index", mixed, "-o", tmp_path / "index", "--format", "json")
    assert done.code == 3
    report = done.json
    assert report["schema"] == "retr.index-run/1"
    assert (report["seen"], report["indexed"], report["skipped"], report["rejected"]) == (6, 4, 0, 2)
    assert "retr info" in done.err
    rejects = retr("info", tmp_path / "index", "--rejects", "--format", "json").json
    assert {Path(row["path"]).name: row["error"] for row in rejects} == {
        "empty.jpg": "zero-byte",
        "text.png": "not-an-image",
    }
    again = retr("index", mixed, "-o", tmp_path / "index", "--format", "json")
    assert (again.code, again.json["skipped"], again.json["snapshot"]) == (3, 4, report["snapshot"])


def test_a_list_of_paths_on_standard_input(retr, corpus, tmp_path):
    names = b"".join(os.fsencode(corpus / f"{number:02}.png") + b"\n" for number in (1, 2, 3))
    done = retr("index", "-", "-o", tmp_path / "index", "--format", "json", stdin=names)
    assert (done.code, done.json["indexed"]) == (0, 3)
