"""Times APGD and PGD of this package beside pyautoattack's and foolbox's, on one model and one batch.

    OMP_NUM_THREADS=2 python docs/benchmarks/attack_speed.py [--model small|resnet18] [--batch 16] [--side 64]
        [--steps 100] [--repeats 5] [--device cpu|cuda] [--clock wall|cpu]

All of them maximise the same cross-entropy for the same number of steps, on images that none of them wins (the labels
are the model's own, the budget is tiny), so nobody stops early. The runs of a round follow one another, and the ratios
are medians over rounds: seconds of the library over seconds of this package, so above 1 this package is faster. foolbox
has no APGD; its PGD is the nearest thing, and keeps neither momentum nor a best point. ``--clock cpu`` counts
processor time, for machines with other work and one thread.
Prints one JSON object a norm.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from retr.attacks.registry import ATTACKS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # foolbox imports names that SciPy is about to drop
    import foolbox
    from foolbox.models.pytorch import PyTorchModel
from pyautoattack.autopgd_base import APGDAttack

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
EPS = {"l2": 1e-3, "linf": 1e-5}


class CrossEntropy:
    """The loss that the libraries maximise, less a constant: it is never won."""

    def __init__(self, net: nn.Module, labels: Tensor) -> None:
        self.net, self.labels = net, labels

    def loss(self, x: Tensor, samples: Tensor) -> Tensor:
        """See ``retr.attacks.target.Target``."""
        return nn.functional.cross_entropy(self.net(x), self.labels[samples], reduction="none") - 1e3


def build(model: str) -> nn.Module:
    """A network with random weights: three strided convolutions, or torchvision's ResNet-18."""
    torch.manual_seed(0)
    if model == "resnet18":
        from torchvision.models import resnet18

        net = resnet18(weights=None)
    else:
        net = nn.Sequential(
            nn.Conv2d(3, 32, 4, 4), nn.ReLU(), nn.Conv2d(32, 64, 2, 2), nn.ReLU(), nn.Conv2d(64, 128, 2, 2), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10),
        )  # fmt: skip
    return net.eval().requires_grad_(False)


def runs(norm: str, net: nn.Module, x: Tensor, labels: Tensor, steps: int) -> dict[str, Callable[[], Any]]:
    """The attacks to time, by name."""
    eps, target = EPS[norm], CrossEntropy(net, labels)
    given = {"eps": torch.full((len(x),), eps, device=x.device), "steps": steps, "seeds": range(len(x))}
    model = PyTorchModel(net, bounds=(0, 1), device=x.device)
    theirs = {"l2": foolbox.attacks.L2PGD, "linf": foolbox.attacks.LinfPGD}[norm](steps=steps)
    auto = APGDAttack(
        net, n_iter=steps, norm={"l2": "L2", "linf": "Linf"}[norm], n_restarts=1, eps=eps, seed=0, device=x.device
    )
    return {
        "retr apgd": partial(ATTACKS[f"apgd-{norm}"].run, target, x, **given),
        "retr pgd": partial(ATTACKS[f"pgd-{norm}"].run, target, x, **given),
        "pyautoattack apgd": partial(auto.perturb, x, labels),
        "foolbox pgd": partial(theirs.run, model, x, labels, epsilon=eps),
    }


def seconds(run: Callable[[], Any], device: torch.device, clock: str) -> float:
    """Time of one call."""
    now = CLOCKS[clock]
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = now()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return now() - started


def compare(norm: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Rounds of all attacks; medians of seconds and of ratios within a round."""
    device = torch.device(chosen.device)
    net = build(chosen.model).to(device)
    x = torch.rand(chosen.batch, 3, chosen.side, chosen.side, generator=torch.Generator().manual_seed(1)).to(device)
    labels = net(x).argmax(1)
    attacks = runs(norm, net, x, labels, chosen.steps)
    for run in runs(norm, net, x, labels, 3).values():
        run()  # what is only slow the first time
    rounds = [
        {name: seconds(run, device, chosen.clock) for name, run in attacks.items()} for _ in range(chosen.repeats)
    ]

    def ratio(theirs: str, ours: str) -> float:
        return round(statistics.median(one[theirs] / one[ours] for one in rounds), 3)

    return {
        "norm": norm,
        **{name: getattr(chosen, name) for name in ("model", "batch", "side", "steps", "repeats", "clock")},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "seconds": {name: round(statistics.median(one[name] for one in rounds), 4) for name in attacks},
        "apgd: pyautoattack / retr": ratio("pyautoattack apgd", "retr apgd"),
        "foolbox pgd / retr apgd": ratio("foolbox pgd", "retr apgd"),
        "pgd: foolbox / retr": ratio("foolbox pgd", "retr pgd"),
        "retr apgd, images/s": round(chosen.batch / statistics.median(one["retr apgd"] for one in rounds), 2),
    }


def main() -> None:
    """Both norms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["small", "resnet18"], default="small")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    chosen = parser.parse_args()
    for norm in EPS:
        print(json.dumps(compare(norm, chosen)), flush=True)


if __name__ == "__main__":
    main()
