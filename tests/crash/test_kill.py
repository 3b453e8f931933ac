"""SIGKILL while indexing, then --resume: the index is that of an uninterrupted run, row for row."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from drawn import draw
from toy_model import save_toy

from retr.indexer.snapshot import read_current

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pictures, every tenth file bad, every fifteenth a duplicate."""
    root = tmp_path_factory.mktemp("fire") / "corpus"
    for number in range(120):
        draw(root / f"{number:03}.png", number % 105)
        if number % 10 == 0:
            (root / f"{number:03}-bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy(tmp_path_factory.mktemp("model") / "toy.safetensors")


def with_support() -> str:
    return os.pathsep.join(filter(None, (str(HERE.parent / "support"), os.environ.get("PYTHONPATH"))))


def under_fire(corpus: Path, model: Path, work: Path, *arguments: str) -> dict:
    environment = {**os.environ, "PYTHONPATH": with_support(), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "indexer_under_fire.py"), str(corpus), str(model), str(work), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_killed_at_twenty_random_moments(corpus, model, tmp_path):
    result = under_fire(corpus, model, tmp_path, "random", "20", "1")
    assert result["killed"] == 20  # of a few more: some had finished a moment before
    assert result["different"] == []


def test_killed_around_durable_steps(corpus, model, tmp_path):
    """Before and after syncs, renames and links: where a half-written state could be made to last."""
    result = under_fire(corpus, model, tmp_path, "syscalls", "7")
    assert result["killed"] >= 15
    assert result["different"] == []


# The command, killed by itself at a durable step in the midst of its work: a signal from here could come too late.
DOOMED = "import indexer_under_fire as fire, retr.cli; fire.die_at(40)(); retr.cli.main()"


def test_the_command_refuses_to_forget_an_unfinished_run_and_resumes_it(corpus, model, tmp_path):
    index = tmp_path / "index"
    words = ["index", str(corpus), "-o", str(index), "--model", str(model), "--batch-size", "4"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE), with_support()))}
    killed = subprocess.run([sys.executable, "-c", DOOMED, *words], env=environment, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert read_current(index) is None
    command = [sys.executable, "-m", "retr", *words]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "--resume" in refused.stderr
    assert "Traceback" not in refused.stderr
    resumed = subprocess.run([*command, "--resume", "--format", "json"], capture_output=True, text=True, check=False)
    report = json.loads(resumed.stdout)
    assert resumed.returncode == 3  # the bad files
    assert (report["seen"], report["indexed"], report["rejected"]) == (132, 120, 12)
    assert report["recovered"] >= 3
