"""Metrics and the packages behind them leave torch as it was, for whatever runs in the same process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import torch
from torch import nn

def state():
    kinds = {k: v for k, v in vars(nn).items() if isinstance(v, type)}
    return {
        "filling": {k: v for k, v in vars(nn.init).items() if callable(v)},
        "resetting": {k: vars(v).get("reset_parameters") for k, v in kinds.items()},
        "building": {k: (v.__init__, v.forward) for k, v in kinds.items() if issubclass(v, nn.Module)},
        "loading": (torch.load, torch.hub.load_state_dict_from_url, nn.Module.load_state_dict),
        "defaults": (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()),
        "determinism": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark),
    }

before = state()
from retr.metrics.registry import METRICS, load_metric
x = torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
for spec in sys.argv[1:]:
    if spec.startswith("retr:") or METRICS[spec].missing() is None:
        load_metric(spec).distance(x, 1 - x)
        print("ran", spec)
print("changed", [key for key, value in state().items() if value != before[key]])
"""

SPECS = ("l2", "fsimc", "lpips-squeeze", "st-lpips-alex", "retr:timm:resnet10t#random")


def test_loading_and_using_metrics_patches_nothing_in_torch(trunk_home: Path) -> None:
    """In a process of its own, so that what other tests imported does not count."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *SPECS]
    environment = os.environ | {"TORCH_HOME": str(trunk_home)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"ran l2", "ran retr:timm:resnet10t#random"} <= set(said)
    assert said[-1] == "changed []"
