"""Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from command_line import one_line
from drawn import draw

COUNT = 1500
"""Enough that the run is not done before it is stopped at its first batch."""


def test_an_interrupted_run_exits_with_130_and_is_resumed(retr, tmp_path):
    corpus, folder = tmp_path / "many", tmp_path / "index"
    first = draw(corpus / "0000.png", 1)
    for number in range(1, COUNT):
        os.link(first, corpus / f"{number:04}.png")
    words = ("index", corpus, "-o", folder, "--model", "block-means:4", "--batch-size", 8)
    command = [sys.executable, "-m", "retr", *map(str, words)]
    # A shell starts background jobs with SIGINT ignored, and children inherit that.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    journal = folder / "staging" / "journal.jsonl"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "retr: interrupted; what was done is kept: go on with --resume\n"
    assert not (folder / "CURRENT").exists()
    assert "--resume" in one_line(retr("query", first, "-i", folder), 1)
    assert "--resume" in one_line(retr(*words), 1)
    done = retr(*words, "--resume", "--format", "json")
    assert done.code == 0
    assert (done.json["seen"], done.json["indexed"], done.json["rows"]) == (COUNT, COUNT, COUNT)
    assert done.json["recovered"] > 0


@pytest.mark.parametrize(
    ("arguments", "place", "says"),
    [
        (["query", "IMAGE", "-i", "INDEX"], "retr.retrieval.query.read_named", "retr: interrupted"),
        (["info", "INDEX"], "retr.indexer.info.describe_index", "retr: interrupted"),
        (["models", "list"], "retr.embedding.registry.list_models", "retr: interrupted"),
        (["calibrate", "INDEX", "CORPUS"], "retr.retrieval.calibrate.calibrate", "the index is as it was"),
        (["index", "CORPUS", "-o", "NEW"], "retr.indexer.build.build_index", "go on with --resume"),
    ],
)
def test_ctrl_c_ends_every_command_with_one_sentence(
    retr, corpus, index, tmp_path, monkeypatch, arguments, place, says
):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(place, stopped)
    named = {"IMAGE": corpus / "03.png", "CORPUS": corpus, "INDEX": index, "NEW": tmp_path / "new"}
    assert says in one_line(retr(*(named.get(word, word) for word in arguments)), 130)
