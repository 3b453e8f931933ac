"""``retr train``: make a certified model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from .options import CORES, REJECTED, DeviceOption, FormatOption, WorkersOption
from .output import INTERRUPTED, note, say

app = typer.Typer(no_args_is_help=True, help="Train certified embedders: copies, distill, 2afc.")

SourcesArgument = Annotated[
    list[Path], typer.Argument(metavar="SOURCE", help="Folders of images, tar shards, or folders of shards.")
]
RunOption = Annotated[Path, typer.Option("-o", "--output", help="Folder of the run: checkpoint, logs, model files.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run of the folder, if there is one.")]
StepsOption = Annotated[int | None, typer.Option("--steps", help="Updates in all [default: the recipe's].")]
BatchOption = Annotated[int | None, typer.Option("--batch", help="Items in a batch [default: the recipe's].")]
RateOption = Annotated[float | None, typer.Option("--lr", help="Highest learning rate [default: the recipe's].")]
PrecisionOption = Annotated[str | None, typer.Option("--precision", help="32, bf16 or tf32 [default: 32].")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
MinutesOption = Annotated[
    float | None, typer.Option("--minutes", help="Be done after so long, evaluation included; see --resume.")
]
HoldoutOption = Annotated[
    int | None, typer.Option("--holdout", help="Images kept for evaluation [default: a tenth, at most 1000].")
]
JudgedOption = Annotated[
    int | None, typer.Option("--holdout", help="Held-out triplets that an evaluation looks at [default: 500].")
]
CacheOption = Annotated[Path | None, typer.Option("--cache", help="Folder for decoded images [default: RUN/cache].")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any other number of the plan or the recipe; repeat for several."),
]


@app.command(
    "copies",
    short_help="Train to find edited copies, with radii.",
    epilog="Example: retr train copies ./photos -o run --steps 4000 --precision bf16",
)
def train_copies(
    sources: SourcesArgument,
    output: RunOption,
    steps: StepsOption = None,
    batch: BatchOption = None,
    lr: RateOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = 0,
    minutes: MinutesOption = None,
    resume: ResumeOption = False,
    holdout: HoldoutOption = None,
    cache: CacheOption = None,
    workers: WorkersOption = CORES,
    device: DeviceOption = "auto",
    settings: SetOption = None,
    form: FormatOption = "table",
) -> None:
    """Train on the certificate itself: copies of an image must be found again, as far away as possible."""
    numbers = _numbers_of_plan(steps, batch, lr, precision, seed, minutes, device)
    _train("copies", _Run(sources, output, resume, holdout, cache, workers), {**numbers}, settings, form)


@app.command("distill", epilog="Example: retr train distill ./photos -o run --teacher timm:resnet18")
def train_distill(
    sources: SourcesArgument,
    output: RunOption,
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="timm:NAME, dreamsim, open_clip:NAME or a model file.")
    ] = None,
    steps: StepsOption = None,
    batch: BatchOption = None,
    lr: RateOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = 0,
    minutes: MinutesOption = None,
    resume: ResumeOption = False,
    holdout: HoldoutOption = None,
    cache: CacheOption = None,
    workers: WorkersOption = CORES,
    device: DeviceOption = "auto",
    settings: SetOption = None,
    form: FormatOption = "table",
) -> None:
    """Train a student to embed as a teacher does (LipSim's first step)."""
    numbers = _numbers_of_plan(steps, batch, lr, precision, seed, minutes, device)
    _train(
        "distill",
        _Run(sources, output, resume, holdout, cache, workers),
        {**numbers, "teacher": teacher},
        settings,
        form,
    )


@app.command(
    "2afc",
    short_help="Train on which of two images is nearer to a third.",
    epilog="Example: retr train 2afc ./nights -o run --steps 2000",
)
def train_two_afc(
    sources: SourcesArgument,
    output: RunOption,
    published: Annotated[
        bool, typer.Option("--published", help="The paper's normalised form; its certificate is labelled as theirs.")
    ] = False,
    steps: StepsOption = None,
    batch: BatchOption = None,
    lr: RateOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = 0,
    minutes: MinutesOption = None,
    resume: ResumeOption = False,
    holdout: JudgedOption = None,
    cache: CacheOption = None,
    workers: WorkersOption = CORES,
    device: DeviceOption = "auto",
    settings: SetOption = None,
    form: FormatOption = "table",
) -> None:
    """Train on which of two images people find nearer to a third (LipSim's second step)."""
    numbers = _numbers_of_plan(steps, batch, lr, precision, seed, minutes, device)
    _train(
        "2afc",
        _Run(sources, output, resume, holdout, cache, workers),
        {**numbers, "published": published or None},
        settings,
        form,
    )


@dataclass(frozen=True)
class _Run:
    """What is asked of a training run beside its numbers."""

    sources: list[Path]
    folder: Path
    resume: bool
    holdout: int | None
    cache: Path | None
    workers: int


def _numbers_of_plan(
    steps: int | None,
    batch: int | None,
    lr: float | None,
    precision: str | None,
    seed: int,
    minutes: float | None,
    device: str,
) -> dict[str, object]:
    numbers = {"steps": steps, "batch": batch, "lr": lr, "precision": precision, "seed": seed}
    return {**numbers, "minutes": minutes, "accelerator": device}


def _train(recipe: str, run: _Run, numbers: dict[str, object], words: list[str] | None, form: str) -> None:
    """Train one recipe and print how it ended."""
    import time

    began = time.monotonic()
    from dataclasses import asdict

    from ..reports.train_table import TrainProgress, print_training
    from ..training.context import RunContext
    from ..training.loop import run_training
    from ..training.options import parse_settings
    from ..training.recipes import build_recipe, plan_and_options

    plan, options = plan_and_options(recipe, {**numbers, **parse_settings(words or ())})
    shown = TrainProgress()
    with shown.decoding:
        context = RunContext(
            sources=tuple(run.sources),
            cache=run.cache or run.folder / "cache",
            workers=run.workers,
            plan=plan,
            holdout=run.holdout,
            progress=shown.decoding,
        )
        built = build_recipe(recipe, options, context)
    with shown:
        result = run_training(built, plan, folder=run.folder, resume=run.resume, observer=shown, began=began)
    if result.process:  # torchrun started several; the first one speaks for all
        raise typer.Exit(INTERRUPTED if result.stopped == "interrupted" else 0)
    report = {"schema": "retr.training-run/1", **asdict(result), "folder": str(result.folder)}
    say(report, form, print_training)
    if result.stopped == "interrupted":
        note("interrupted; a checkpoint is written: go on with --resume")
        raise typer.Exit(INTERRUPTED)
    if result.rejected:
        note(f"{result.rejected} files are no acceptable image; {run.folder}/training.json counts them by reason")
        raise typer.Exit(REJECTED)
