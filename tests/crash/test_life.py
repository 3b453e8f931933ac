"""SIGKILL in every command that changes an index, a few times; ``make crash`` does it hundreds of times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def test_every_command_is_killed_and_nothing_is_lost(tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            filter(None, (str(HERE.parent / "support"), str(HERE), os.environ.get("PYTHONPATH")))
        ),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(HERE / "life_under_fire.py"), str(tmp_path), "5", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["wrong"] == []
    assert said["by"] == {"index": 1, "add": 1, "rm": 1, "sync": 1, "compact": 1}
    assert done.returncode == 0
