"""Several processes train one network: what two of them compute together is what one computes on both batches."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import run_together
import torch
from run_together import STEPS, run
from safetensors.torch import load_file

SCRIPT = Path(run_together.__file__)


def test_two_processes_step_along_the_mean_of_their_gradients(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, str(SCRIPT), str(tmp_path / "two"), "2"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    run(tmp_path / "one", devices=1, joined=2)
    torch.set_num_threads(before)
    two, one = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("two", "one"))
    weights = [name for name in one if name.startswith("network")]
    assert weights
    for name in weights:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-5)
    with (tmp_path / "two" / "metrics.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [int(row["step"]) for row in rows] == list(range(1, STEPS + 1))
    assert int(rows[-1]["views"]) == STEPS * 2 * 32
