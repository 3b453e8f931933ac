"""``retr index``: make or update an index."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from .options import (
    CORES,
    REJECTED,
    DeviceOption,
    FormatOption,
    IsolateOption,
    ModelsOption,
    PretrainedOption,
    RowsOption,
    WorkersOption,
    index_path,
)
from .output import note, say, stoppable

app = typer.Typer()


@app.command(epilog="Example: retr index ./corpus -o my-index")
def index(
    corpus: Annotated[
        str,
        typer.Argument(
            metavar="CORPUS", help="A folder (recursive), a file that lists paths, or - for standard input."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The index folder [default: $RETR_INDEX, else ./retr-index].")
    ] = None,
    model: ModelsOption = None,
    views: Annotated[
        str | None, typer.Option(help="Stored views per image: none, flip, light or standard [default: none].")
    ] = None,
    rows: RowsOption = None,
    pretrained: PretrainedOption = True,
    workers: WorkersOption = CORES,
    batch_size: Annotated[int, typer.Option(help="Images embedded at once.")] = 64,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Drop what an interrupted run had done.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Forget images of this folder that are gone.")] = False,
    prune_all: Annotated[
        bool, typer.Option("--prune-all", help="Forget them even if they are most of it, or the folder is empty.")
    ] = False,
    max_pixels: Annotated[int | None, typer.Option(help="Refuse larger images [default: the decode policy's].")] = None,
    device: DeviceOption = "auto",
    isolate: IsolateOption = False,
    form: FormatOption = "table",
) -> None:
    """Index a corpus of images. Unchanged files of an earlier run are not embedded again."""
    from dataclasses import asdict, replace

    from ..images.policy import DecodePolicy
    from ..indexer.build import IndexOptions, build_index
    from ..reports.index_table import print_run
    from ..reports.progress import ProgressBar

    policy = DecodePolicy() if max_pixels is None else replace(DecodePolicy(), max_pixels=max_pixels)
    options = IndexOptions(
        models=tuple(model) if model else None,
        views=views,
        rows=rows,
        policy=policy if max_pixels is not None else None,
        pretrained=pretrained,
        workers=workers,
        batch_size=batch_size,
        resume=resume,
        restart=restart,
        prune=prune,
        prune_all=prune_all,
        device=device,
        isolate=isolate,
    )
    with stoppable("what was done is kept: go on with --resume"), ProgressBar("indexing", "images") as bar:
        report = build_index(corpus, index_path(output), options, bar)
    say({"schema": "retr.index-run/1", **asdict(report)}, form, print_run)
    if report.rejected:
        place = shlex.quote(report.index)
        note(f"{report.rejected} of {report.seen} inputs were rejected; see them with: retr info {place} --rejects")
        raise typer.Exit(REJECTED)
