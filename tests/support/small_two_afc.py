"""Short 2AFC benchmarks on triplets made of drawn pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retr.core.progress import Progress
from retr.datasets.triplets import Triplet
from retr.evaluation.two_afc.data import Choice, open_data
from retr.evaluation.two_afc.plan import TwoAFCPlan
from retr.evaluation.two_afc.run import TwoAFCResult, run_two_afc
from retr.evaluation.two_afc.settings import Levels
from retr.images.policy import DecodePolicy

SIDE = 32
SHORT = Levels(l2=(0.1, 0.5), linf=(0.01,), steps=5, queries=24, radii=20, bends=5)


def draw_photos(folder: Path, count: int = 8) -> Path:
    """Smooth pictures of 48 px, away from black and white."""
    for seed in range(count):
        coarse = np.random.default_rng(seed).integers(30, 226, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"{seed}.png")
    return folder


def small_triplets(photos: Path) -> tuple[Triplet[Any], ...]:
    """The triplets of a small run."""
    data = open_data(f"synthetic:{photos}", Choice(side=SIDE, limit=4), policy=DecodePolicy())
    return tuple(data[place] for place in range(len(data)))


def small_run(
    photos: Path, folder: Callable[[str], Path], progress: Progress | None = None, **told: Any
) -> TwoAFCResult:
    """Four triplets, judged by ℓ2 alone and not attacked, if not told otherwise."""
    fields = {
        "data": (f"synthetic:{photos}",),
        "metrics": ("l2",),
        "choice": Choice(side=SIDE, limit=4),
        "levels": SHORT,
        "device": "cpu",
        **told,
    }
    out = fields.pop("out", None) or folder("run") / "out"
    return run_two_afc(TwoAFCPlan(**fields, out=out), progress=progress)
