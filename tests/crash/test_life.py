"""SIGKILL in every command that changes an index, and changed bytes, a few times; ``make crash`` and ``make flips``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(program: str, *arguments: str) -> dict:
    """What a program of this folder says; it ends well."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            filter(None, (str(HERE.parent / "support"), str(HERE), os.environ.get("PYTHONPATH")))
        ),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(HERE / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["wrong"] == []
    assert done.returncode == 0
    return said


def test_every_command_is_killed_and_nothing_is_lost(tmp_path):
    said = run("life_under_fire.py", str(tmp_path), "5", "1")
    assert said["by"] == {"index": 1, "add": 1, "rm": 1, "sync": 1, "compact": 1}


def test_bytes_of_all_kinds_of_files_are_flipped(tmp_path):
    said = run("bytes_under_fire.py", str(tmp_path / "work"), "5", "3")
    assert said["flips"] == 5
    assert said["files"] > 25
