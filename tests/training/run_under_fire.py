"""Train the tiny recipe in a process of its own, for a test to kill: python run_under_fire.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from tiny_recipe import TinyRecipe, Watcher

from retr.training.loop import run_training
from retr.training.plan import TrainPlan


class Herald(Watcher):
    """Says when the first steps are done."""

    def start(self, total: int, done: int) -> None:
        print("training", flush=True)


torch.set_num_threads(1)
PLAN = TrainPlan(
    steps=200,
    batch=16,
    lr=1e-2,
    warmup=5,
    log_every=5,
    accelerator="cpu",
    evaluate_every=20,
    checkpoint_every=3,
    ema=0.9,
)
run_training(TinyRecipe(), PLAN, folder=Path(sys.argv[1]), resume=True, observer=Herald())
