"""The commands, as processes of their own: a cluster on this machine that begins and ends with them."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from drawn_corpus import draw_corpus
from typer.testing import CliRunner

import retr
from retr.cli import app

pytestmark = pytest.mark.alone


def leftovers() -> set[str]:
    """Folders that a cluster has begun in."""
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith(("retr-", "ray"))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """``my-index``, and ``img.png`` to ask about."""
    folder = draw_corpus(tmp_path_factory.mktemp("commands"), absent=1)
    retr.build(folder / "corpus", folder / "my-index", models=["block-means"], workers=1)
    return folder


def retr_command(*words: str) -> list[str]:
    return [sys.executable, "-m", "retr", *words]


def run(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        retr_command(*words), cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=environment()
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


def answers(text: str) -> list[dict]:
    return [{key: value for key, value in one.items() if key != "seconds"} for one in json.loads(text)]


@pytest.fixture(scope="module")
def ray() -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")


@pytest.fixture(scope="module")
def serving(ray, folder) -> Iterator[Sequence[str]]:
    """``retr cluster serve`` with two shards; the words by which others reach it."""
    before = leftovers()
    command = retr_command("cluster", "serve", "my-index", "--shards", "2")
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "ask with:" in line:
                break
        assert process.poll() is None, said
        yield said[-1].split("-i my-index ")[1].split()
        process.send_signal(signal.SIGTERM)  # as Ctrl-C; Ray's own handler would print where it was
        assert process.stderr.read() == "retr: stopped\n"
        assert process.wait(60) == 0
    assert leftovers() <= before


def test_what_is_served_answers_as_the_index_does(folder, serving):
    words = ["query", "img.png", "-i", "my-index", "--certify", "--format", "json"]
    mine, theirs = run(folder, *words), run(folder, *words, *serving)
    assert answers(mine.stdout) == answers(theirs.stdout)
    assert answers(mine.stdout)[0]["certificate"]


def test_the_shards_are_listed(folder, serving):
    found = json.loads(run(folder, "cluster", "status", *serving, "--format", "json").stdout)
    assert [(one["shard"], one["shards"], one["error"]) for one in found] == [(0, 2, None), (1, 2, None)]
    assert sum(one["rows"] for one in found) == len(os.listdir(folder / "corpus"))


def test_another_number_of_shards_is_refused(folder, serving):
    done = run(folder, "query", "img.png", "-i", "my-index", *serving, "--shards", "3", code=2)
    assert "holds this index in 2 shards, and not 3" in done.stderr


def test_an_index_is_made_by_a_cluster_of_its_own(ray, folder):
    before = leftovers()
    run(folder, "index", "corpus", "-o", "other", "--model", "block-means", "--cluster", "local")
    assert (folder / "other" / "CURRENT").read_text() == (folder / "my-index" / "CURRENT").read_text()
    assert leftovers() <= before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["query", "img.png", "--shards", "2"], "only --cluster takes --shards"),
        (["query", "img.png", "--allow-partial"], "only --cluster takes --allow-partial"),
        (["query", "img.png", "--cluster", "local", "--deadline", "0"], "above 0, got 0"),
        (["query", "img.png", "--cluster", "local", "--shards", "0"], "at least 1, got 0"),
        (["query", "img.png", "--server", "http://x", "--cluster", "local"], "goes without --cluster"),
        (["index", "corpus", "--token-file", "no"], "only --cluster takes --token-file"),
        (["cluster", "status", "--cluster", "local"], "holds nothing"),
    ],
)
def test_options_that_do_not_fit_are_refused(words, said):
    done = CliRunner().invoke(app, words)
    assert said in str(done.exception)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("somewhere", "a cluster is named local, auto, HOST:PORT"),
        ("127.0.0.1:1", "no cluster of Ray can be used at 127.0.0.1:1: "),
    ],
)
def test_a_cluster_that_is_not_there(address, said):
    """In a process of its own: one that is connected to a cluster uses that."""
    command = [sys.executable, "-m", "retr", "cluster", "status", "--cluster", address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode != 0, said in done.stderr, "Traceback" in done.stderr) == (True, True, False), done.stderr


def test_without_ray_the_extra_is_named(monkeypatch, folder):
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else known(name, *more))
    done = CliRunner().invoke(app, ["query", "x.png", "-i", str(folder / "my-index"), "--cluster", "local"])
    assert "pip install 'retr[cluster]'" in str(done.exception)
