"""``retr train``: make a certified model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from .bundles import bundled
from .options import CORES, REJECTED, DeviceOption, FormatOption, WorkersOption
from .output import INTERRUPTED, note, say

app = typer.Typer(no_args_is_help=True, help="Train certified embedders: copies, distill, 2afc.")

SourcesArgument = Annotated[
    list[Path], typer.Argument(metavar="SOURCE", help="Folders of images, tar shards, or folders of shards.")
]
RunOption = Annotated[Path, typer.Option("-o", "--output", help="Folder of the run: checkpoint, logs, model files.")]
HoldoutOption = Annotated[
    int | None, typer.Option("--holdout", help="Images kept for evaluation [default: a tenth, at most 1000].")
]
JudgedOption = Annotated[
    int | None, typer.Option("--holdout", help="Held-out triplets that an evaluation looks at [default: 500].")
]


@dataclass(frozen=True)
class Asked:
    """What every recipe can be asked."""

    steps: Annotated[int | None, typer.Option("--steps", help="Updates in all [default: the recipe's].")] = None
    batch: Annotated[int | None, typer.Option("--batch", help="Items in a batch [default: the recipe's].")] = None
    lr: Annotated[float | None, typer.Option("--lr", help="Highest learning rate [default: the recipe's].")] = None
    precision: Annotated[str | None, typer.Option("--precision", help="32, bf16 or tf32 [default: 32].")] = None
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Be done after so long, evaluation included; see --resume.")
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run of the folder, if there is one.")] = False
    cache: Annotated[Path | None, typer.Option("--cache", help="Folder for decoded images [default: RUN/cache].")] = (
        None
    )
    workers: WorkersOption = CORES
    device: DeviceOption = "auto"
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Any other number of the plan or the recipe; repeat for several."
        ),
    ] = None
    form: FormatOption = "table"

    @property
    def numbers(self) -> dict[str, object]:
        """Of the plan."""
        names = ("steps", "batch", "lr", "precision", "seed", "minutes")
        return {**{name: getattr(self, name) for name in names}, "accelerator": self.device}


@app.command(
    "copies",
    short_help="Train to find edited copies, with radii.",
    epilog="Example: retr train copies ./photos -o run --steps 4000 --precision bf16",
)
@bundled
def train_copies(sources: SourcesArgument, output: RunOption, asked: Asked, holdout: HoldoutOption = None) -> None:
    """Train on the certificate itself: copies of an image must be found again, as far away as possible."""
    _train("copies", sources, output, holdout, asked)


@app.command("distill", epilog="Example: retr train distill ./photos -o run --teacher timm:resnet18")
@bundled
def train_distill(
    sources: SourcesArgument,
    output: RunOption,
    asked: Asked,
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="timm:NAME, dreamsim, open_clip:NAME or a model file.")
    ] = None,
    holdout: HoldoutOption = None,
) -> None:
    """Train a student to embed as a teacher does (LipSim's first step)."""
    _train("distill", sources, output, holdout, asked, teacher=teacher)


@app.command(
    "2afc",
    short_help="Train on which of two images is nearer to a third.",
    epilog="Example: retr train 2afc ./nights -o run --steps 2000",
)
@bundled
def train_two_afc(
    sources: SourcesArgument,
    output: RunOption,
    asked: Asked,
    published: Annotated[
        bool, typer.Option("--published", help="The paper's normalised form; its certificate is labelled as theirs.")
    ] = False,
    holdout: JudgedOption = None,
) -> None:
    """Train on which of two images people find nearer to a third (LipSim's second step)."""
    _train("2afc", sources, output, holdout, asked, published=published or None)


def _train(
    recipe: str, sources: list[Path], folder: Path, holdout: int | None, asked: Asked, **numbers: object
) -> None:
    """Train one recipe and print how it ended."""
    import time

    began = time.monotonic()
    from dataclasses import asdict

    from ..reports.train_table import TrainProgress, print_training
    from ..training.context import RunContext
    from ..training.loop import run_training
    from ..training.options import parse_settings
    from ..training.recipes import build_recipe, plan_and_options

    plan, options = plan_and_options(recipe, {**asked.numbers, **numbers, **parse_settings(asked.settings or ())})
    shown = TrainProgress()
    with shown.decoding:
        context = RunContext(
            sources=tuple(sources),
            cache=asked.cache or folder / "cache",
            workers=asked.workers,
            plan=plan,
            holdout=holdout,
            progress=shown.decoding,
        )
        built = build_recipe(recipe, options, context)
    with shown:
        result = run_training(built, plan, folder=folder, resume=asked.resume, observer=shown, began=began)
    if result.process:  # torchrun started several; the first one speaks for all
        raise typer.Exit(INTERRUPTED if result.stopped == "interrupted" else 0)
    report = {"schema": "retr.training-run/1", **asdict(result), "folder": str(result.folder)}
    say(report, asked.form, print_training)
    if result.stopped == "interrupted":
        note("interrupted; a checkpoint is written: go on with --resume")
        raise typer.Exit(INTERRUPTED)
    if result.rejected:
        note(f"{result.rejected} files are no acceptable image; {folder}/training.json counts them by reason")
        raise typer.Exit(REJECTED)
