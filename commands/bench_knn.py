"""``retr bench-knn``: labels by nearest neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import CORES, REJECTED, FormatOption, RunResumeOption, WorkersOption, numbers_of
from .output import command_line, note, note_stored, say, say_all, stoppable
from .outputs import check_file

app = typer.Typer()


@app.command(
    "bench-knn",
    short_help="Measure labels by nearest neighbours.",
    epilog="Example: retr bench-knn ./labelled --split 2 --model retr_s --k 5 --side 64 --attack",
)
def bench_knn(
    gallery: Annotated[
        Path, typer.Argument(metavar="GALLERY", help="A folder of folders of images; their names are the labels.")
    ],
    queries: Annotated[Path | None, typer.Option(help="Another such folder to ask with [default: --split].")] = None,
    split: Annotated[int, typer.Option(help="Without --queries: images of each label that ask.")] = 1,
    level: Annotated[int, typer.Option(help="How many folders make up a label.")] = 1,
    model: Annotated[str, typer.Option(help="Embedder; see: retr models list.")] = "retr_s",
    k: Annotated[int, typer.Option("-k", "--k", help="Voters, and first places of recall@k.")] = 5,
    side: Annotated[int | None, typer.Option(help="Resize images to so many pixels [default: as they lie].")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many queries, drawn by seed.")] = None,
    rmse: Annotated[str, typer.Option(help="Sizes of changes, RMSE in 8-bit levels.")] = "0.5,1,2,3,5",
    l2: Annotated[str, typer.Option(help="Sizes of changes, l2 in pixels.")] = "36/255,72/255,108/255,255/255",
    attack: Annotated[bool, typer.Option("--attack", help="Also attack every right vote (APGD, l2).")] = False,
    steps: Annotated[int, typer.Option(help="Gradient steps of an attack.")] = 50,
    restarts: Annotated[int, typer.Option(help="Random starts of an attack.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of split, sample and random starts.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Queries attacked at once.")] = 16,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the runs and their records.")] = Path(
        "retr-knn"
    ),
    page: Annotated[
        Path | None, typer.Option("--page", "--html", help="The HTML report [default: knn.html beside the records].")
    ] = None,
    resume: RunResumeOption = False,
    workers: WorkersOption = CORES,
    form: FormatOption = "table",
) -> None:
    """Classify labelled images by their nearest neighbours: accuracy and recall, proved and attacked; 1 on any alarm.

    Formats other than table and json give one row per query.
    """
    from ..evaluation.knn.bench import run_knn
    from ..evaluation.knn.plan import KnnPlan
    from ..evaluation.knn.summary import summarise_knn
    from ..evaluation.two_afc.plan import parse_radii
    from ..reports.knn_page import knn_page
    from ..reports.knn_table import knn_json, knn_rows, print_knn
    from ..reports.pages import write
    from ..reports.progress import ProgressBar

    plan = KnnPlan(
        gallery=gallery,
        queries=queries,
        split=split,
        level=level,
        model=model,
        k=k,
        side=side,
        limit=limit,
        rmse=numbers_of("--rmse", rmse),
        l2=parse_radii("--l2", l2),
        attack=attack,
        steps=steps,
        restarts=restarts,
        seed=seed,
        batch=batch_size,
        workers=workers,
        out=output,
        resume=resume,
        command=command_line(),
    )
    check_file(page, made=output)
    with stoppable(f"what was done is in {output}: go on with --resume"), ProgressBar("k-NN", "images") as bar:
        result = run_knn(plan, bar)
    note_stored(result.path, stored=result.stored)
    summary, report = summarise_knn(result), page or result.path.with_name("knn.html")
    write(report, knn_page(result, summary))
    note(f"page: {report}")
    if form == "json":
        say(knn_json(result, summary), form, print)
    else:
        say_all(knn_rows(result), form, lambda _: print_knn(result, summary))
    if summary.alarms:
        note(f"attacks broke {summary.alarms} certificates")
        raise typer.Exit(1)
    if result.rejected:
        raise typer.Exit(REJECTED)
