"""``retr bench-copies``: how well edited copies are found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    CORES,
    REJECTED,
    AgainstOption,
    CompanionOption,
    DeviceOption,
    FormatOption,
    ModelsOption,
    OnTopOption,
    RowsOption,
    RunResumeOption,
    numbers_of,
    words_of,
)
from .output import command_line, note, note_stored, say, say_all, stoppable
from .outputs import check_file

app = typer.Typer()


@app.command(
    "bench-copies",
    short_help="Measure how well edited copies are found.",
    epilog="Example: retr bench-copies ./photos --distractors ./others --negatives ./others --queries 200",
)
def bench_copies(
    gallery: Annotated[
        str, typer.Argument(metavar="GALLERY", help="Images to store and, edited, to query: a folder or a list file.")
    ],
    distractors: Annotated[
        list[Path] | None, typer.Option(help="Images stored beside them: a folder or a .tar shard; repeatable.")
    ] = None,
    negatives: Annotated[
        Path | None,
        typer.Option(help="Images not stored, for thresholds and false matches; halved if a distractor source too."),
    ] = None,
    measuring: Annotated[
        Path | None,
        typer.Option(help="Images not stored that only measure; then all of --negatives set the thresholds."),
    ] = None,
    known_copies: Annotated[
        Path | None,
        typer.Option(help="CSV (image,copy_of): negatives with a copy in the gallery, to leave out; see the guide."),
    ] = None,
    model: ModelsOption = None,
    companion: CompanionOption = None,
    views: Annotated[str, typer.Option(help="Views stored per gallery item; as for retr index.")] = "none",
    rows: RowsOption = None,
    distractor_views: Annotated[str, typer.Option(help="Views stored per distractor; same: as --views.")] = "none",
    queries: Annotated[int, typer.Option(help="Items queried per family, stratified over folders; 0: all.")] = 500,
    families: Annotated[str, typer.Option(help="Edit families, comma-separated; all (the twenty) or more.")] = "all",
    seed: Annotated[int, typer.Option(help="Seed of samples, halves and edits.")] = 0,
    epsilons: Annotated[str, typer.Option(help="RMSE levels for certified rates, comma-separated.")] = "0.5,1,2,3,5",
    fpr: Annotated[float, typer.Option(help="False-match rate per query of the thresholds.")] = 1e-3,
    thresholds: Annotated[
        str, typer.Option(help="local or global, as for retr calibrate; reference: those of an index as it comes.")
    ] = "local",
    baseline: Annotated[
        list[str] | None, typer.Option(help="phash, dhash, pdq or an embedder, in the same table; repeatable.")
    ] = None,
    against: AgainstOption = None,
    on_top: OnTopOption = 1.0,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of indexes and records.")] = Path(
        "retr-copies"
    ),
    page: Annotated[
        Path | None, typer.Option("--page", "--html", help="The HTML report [default: copies.html beside the records].")
    ] = None,
    resume: RunResumeOption = False,
    workers: Annotated[int, typer.Option(help="Threads that decode, edit and search.")] = CORES,
    batch_size: Annotated[int, typer.Option(help="Images embedded at once.")] = 32,
    device: DeviceOption = "auto",
    form: FormatOption = "table",
) -> None:
    """Find edited copies of your own images among distractors: recall, clean and certified, family by family."""
    from ..evaluation.copies.bench import run_copy_bench
    from ..evaluation.copies.plan import CopyPlan
    from ..images.copy_edits import FAMILIES, MORE
    from ..indexer.options import DEFAULT_MODELS
    from ..reports.copy_page import copy_page
    from ..reports.copy_table import copy_json, copy_rows, print_copies
    from ..reports.pages import write
    from ..reports.progress import ProgressBar

    plan = CopyPlan(
        gallery=gallery,
        distractors=tuple(distractors or ()),
        negatives=negatives,
        measuring=measuring,
        known_copies=known_copies,
        models=tuple(model) if model else DEFAULT_MODELS,
        companion=companion,
        views=views,
        distractor_views=distractor_views,
        rows=rows,
        queries=queries or None,
        families={"all": tuple(FAMILIES), "more": tuple(MORE)}.get(families) or words_of(families),
        seed=seed,
        epsilons=numbers_of("--epsilons", epsilons),
        fpr=fpr,
        thresholds=thresholds,
        baselines=tuple(baseline or ()),
        against=tuple(against or ()),
        on_top=on_top,
        out=output,
        workers=workers,
        batch_size=batch_size,
        device=device,
        command=command_line(),
        resume=resume,
    )
    check_file(page, made=output)
    with stoppable(f"what was done is in {output}: go on with --resume"), ProgressBar("copies", "images") as bar:
        result = run_copy_bench(plan, bar)
    note_stored(result.path, stored=result.stored)
    report = page or result.path.with_name("copies.html")
    command = result.records.table["command"][0].as_py()
    write(report, copy_page(result.summary, command=command, edits=result.edits))
    note(f"page: {report}")
    if form == "json":
        say(copy_json(result), form, print)
    else:
        say_all(copy_rows(result), form, lambda _: print_copies(result))
    if result.summary.refuted:
        note(f"{result.summary.refuted} claims refuted by brute force; see {result.path}")
        raise typer.Exit(1)
    if result.absent:
        raise typer.Exit(REJECTED)
