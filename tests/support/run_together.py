"""Train a tiny recipe for a few steps, alone or as one of several processes: python run_together.py FOLDER DEVICES."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from tiny_recipe import TinyRecipe, Watcher
from torch import Tensor

from retr.training.loop import run_training
from retr.training.plan import TrainPlan

STEPS = 5


class Separate(TinyRecipe):
    """A loss that is a mean over images, none of which meets another: batches may be joined.

    Args:
        joined: how many batches of the plan make one of this recipe.
    """

    def __init__(self, joined: int) -> None:
        super().__init__()
        self.joined = joined

    def batch(self, step: int) -> dict[str, Tensor]:
        parts = [super(Separate, self).batch(self.joined * step + part)["images"] for part in range(self.joined)]
        return {"images": torch.cat(parts)}

    def losses(self, network: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": (network(batch["images"]) - 1.0).square().sum(1).mean()}


def run(folder: Path, *, devices: int, joined: int) -> None:
    """Train on ``devices`` processes, on so many joined batches each."""
    plan = TrainPlan(steps=STEPS, batch=16, lr=1e-2, warmup=2, log_every=1, devices=devices, ema=0.9)
    run_training(Separate(joined), plan, folder=folder, resume=False, observer=Watcher())


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]), devices=int(sys.argv[2]), joined=1)
