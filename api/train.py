"""Train a certified embedder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..training.loop import run_training
from ..training.recipes import RunContext, build_recipe, plan_and_options
from ..training.report import TrainReport
from .progress import Progress, Steps, watched
from .sources import PathLike
from .words import speaks_of_parameters


@speaks_of_parameters
def train(
    recipe: str,
    sources: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    resume: bool = False,
    holdout: int | None = None,
    cache: PathLike | None = None,
    workers: int | None = None,
    device: str = "auto",
    progress: Progress | bool = False,
    **settings: Any,
) -> TrainReport:
    """Train a network whose constant is proved, and write it as a model file.

    Args:
        recipe: ``copies``, ``distill`` or ``2afc``.
        sources: folders of images, tar shards, or folders of shards; for ``2afc`` a data set's folder.
        out: folder of the run: checkpoint, logs, ``best.safetensors``, ``last.safetensors``.
        resume: go on with the run of the folder, if there is one.
        holdout: images kept for evaluation; None for a tenth, at most 1,000.
        cache: folder for decoded images; None for ``out/cache``.
        workers: decoding threads; None for one a core.
        device: auto, cpu or cuda.
        progress: True for a bar, or an object that is told: of decoding, then of steps.
        **settings: numbers of the plan (``steps``, ``batch``, ``lr``, ``seed``, …) and options of the recipe.

    Returns:
        How it ended. ``retr.load_model(report.folder / report.models[0])`` loads the best network.

    Raises:
        UsageError: unknown names, numbers out of range, a folder that holds another run.
        ModelError: many steps in a row without a finite loss.
    """
    folder = Path(out)
    plan, options = plan_and_options(recipe, {"accelerator": device, **settings})
    several = [sources] if isinstance(sources, str | os.PathLike) else sources
    with watched(progress, "decoding", "images") as told:
        context = RunContext(
            sources=tuple(map(Path, several)),
            cache=folder / "cache" if cache is None else Path(cache),
            workers=workers or os.cpu_count() or 2,
            plan=plan,
            holdout=holdout,
            progress=told,
        )
        built = build_recipe(recipe, options, context)
    with watched(progress, "training", "steps") as told:
        return run_training(built, plan, folder=folder, resume=resume, observer=Steps(told))
