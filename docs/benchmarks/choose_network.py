"""Compares layers, inputs and losses of the copy network at equal cost: so many seconds of training for each.

    OMP_WAIT_POLICY=PASSIVE python docs/benchmarks/choose_network.py SOURCE WORK [--seconds 150] [--only NAME …]

SOURCE holds training images (a folder, or tar shards), WORK is scratch space; images are decoded into it once. The
speed of every variant is measured first, and its schedule is made as long as its seconds allow, so that each ends
with its learning rate at zero. Prints one line of JSON a variant: steps, images per second, and recall in % on images
held out, clean and certified at RMSE 1, 2, 3 and 5 grey levels. A variant that is in WORK already is not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retr.embedding.retr_network import flops, parameter_count
from retr.training.context import RunContext
from retr.training.copies_recipe import CopiesRecipe
from retr.training.loop import run_training
from retr.training.recipes import build_recipe, plan_and_options
from retr.training.report import Unwatched

CONVOLUTIONS = {"widths": (48, 64, 128)}
RESIDUALS = {"widths": (48, 64, 128), "depths": (2, 1, 1)}
"""Widths and depths that bring 3×3 convolutions, and pairs of them, to the 61 MFLOP of ``mix``."""
MIX = {"layer": "mix", "widths": (64, 256, 512), "epsilon": 3.0}
_VARIANTS: dict[str, dict[str, Any]] = {
    "mix": {},
    "orthogonal": {"layer": "orthogonal", **CONVOLUTIONS},
    "orthogonal-192": {"layer": "orthogonal", "widths": (48, 96, 192)},
    "orthogonal-256": {"layer": "orthogonal", "widths": (48, 128, 256)},
    "aol": {"layer": "aol", **CONVOLUTIONS},
    "sll": {"layer": "sll", **RESIDUALS},
    "cpl": {"layer": "cpl", **RESIDUALS},
    "sll-wide": {"layer": "sll"},
    "two-stages": {"widths": (64, 256), "depths": (4, 4)},
    "narrow": {"widths": (48, 192, 384), "depths": (3, 2, 2)},
    "deep": {"depths": (4, 5, 5)},
    "abs": {"activation": "abs"},
    "centring-none": {"centring": "none"},
    "homogeneous": {"centring": "homogeneous"},
    "centring-head": {"centring": "head"},
    "centring-all": {"centring": "all"},
    "32-px": {"image": 32, "patch": 2, "widths": (12, 48, 192)},
    "128-px": {"image": 128, "patch": 8, "widths": (192, 256, 512), "source_side": 128},
    "euclidean": {"score": "euclidean"},
    "epsilon-1": {"epsilon": 1.0},
    "epsilon-2": {"epsilon": 2.0},
    "epsilon-4": {"epsilon": 4.0},
    "aol-head": {"head": "aol"},
    "queue-2048": {"queue": 2048},
    "no-threshold": {"threshold_weight": 0.0},
    "rate-5e-4": {"lr": 5e-4},
    "rate-3e-3": {"lr": 3e-3},
}
VARIANTS = {name: {**MIX, **changes} for name, changes in _VARIANTS.items()}
"""What each variant changes; everything else is as in ``mix``."""
COMMON = {"batch": 192, "lr": 1.5e-3, "precision": "bf16", "evaluate_every": 0, "checkpoint_every": 0}
TRIAL, UNTIMED = 14, 4
"""Steps of a trial; its first ones are slow, and not counted."""
FEW, HELD_OUT = 16, 400
"""Images held out: in a trial, whose figures are not used, and in the comparison."""


def run(name: str, source: Path, work: Path, seconds: float) -> dict[str, Any]:
    """Time a few steps, then train for the seconds."""
    trial = _train(name, source, work / f"{name}-trial", TRIAL, FEW)
    steps = max(10, round(seconds * trial["images_per_second"] / (2 * COMMON["batch"])))
    return {"variant": name, "changes": VARIANTS[name], **_train(name, source, work / name, steps, HELD_OUT)}


def _train(name: str, source: Path, folder: Path, steps: int, holdout: int) -> dict[str, Any]:
    settings: Mapping[str, Any] = {**COMMON, **VARIANTS[name], "steps": steps, "warmup": min(100, steps // 4)}
    plan, options = plan_and_options("copies", {**settings, "log_every": 1})
    context = RunContext(sources=(source,), cache=folder.parent / "cache", workers=2, plan=plan, holdout=holdout)
    recipe = build_recipe("copies", options, context)
    assert isinstance(recipe, CopiesRecipe)
    timed = _Timed()
    run_training(recipe, plan, folder=folder / str(time.time_ns()), resume=False, observer=timed)
    shape = {"parameters": parameter_count(options.architecture), "mflop": round(flops(options.architecture) / 1e6)}
    return {
        "steps": steps,
        "seconds": round(timed.ended - timed.began, 1),
        "images_per_second": round(2 * plan.batch * (steps - UNTIMED) / (timed.ended - timed.paced), 1),
        **shape,
        **timed.figures,
    }


class _Timed(Unwatched):
    """Takes the time of the steps alone, and keeps the last evaluation."""

    def __init__(self) -> None:
        self.began = self.paced = self.ended = time.perf_counter()
        self.figures: dict[str, float | None] = {}

    def start(self, total: int, done: int) -> None:
        del total, done
        self.began = time.perf_counter()

    def evaluated(self, step: int, metrics: Mapping[str, float | None]) -> None:
        del step
        self.figures = {key: value if value is None else round(value, 1) for key, value in metrics.items()}

    def stepped(self, step: int, loss: float, images_per_second: float) -> None:
        del loss, images_per_second
        self.ended = time.perf_counter()
        if step == UNTIMED:
            self.paced = self.ended


def main() -> None:
    """Run the variants that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    chosen = parser.parse_args()
    for name in chosen.only:
        file = chosen.work / f"{name}.json"
        if not file.exists():
            result = run(name, chosen.source, chosen.work, chosen.seconds)
            file.write_text(json.dumps(result) + "\n")
        print(file.read_text(), end="", flush=True)


if __name__ == "__main__":
    main()
