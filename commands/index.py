"""``retr index``: make or update an index."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..cluster.naming import Cluster
from .bundles import bundled
from .cluster import ClusterOption, ClusterToken, indexing
from .options import (
    CORES,
    REJECTED,
    CompanionOption,
    DeviceOption,
    FormatOption,
    IdOption,
    IsolateOption,
    LabelFileOption,
    LabelOption,
    LooksOption,
    ModelsOption,
    PretrainedOption,
    RowsOption,
    WorkersOption,
    index_path,
)
from .output import note, say, stoppable

if TYPE_CHECKING:
    from ..indexer.errand import Sent
    from ..indexer.options import IndexOptions

app = typer.Typer()


@dataclass(frozen=True)
class Storing:
    """What every command is asked that stores images."""

    label: LabelOption = None
    labels: LabelFileOption = None
    id_from: IdOption = None
    workers: WorkersOption = CORES
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False
    restart: Annotated[bool, typer.Option("--restart", help="Drop what an interrupted run had done.")] = False
    device: DeviceOption = "auto"
    isolate: IsolateOption = False
    form: FormatOption = "table"

    def options(self, **more: Any) -> IndexOptions:
        """Of the indexer; ``more`` are a command's own."""
        from ..indexer.labels import parse_label
        from ..indexer.options import IndexOptions

        return IndexOptions(
            workers=self.workers,
            resume=self.resume,
            restart=self.restart,
            device=self.device,
            isolate=self.isolate,
            labels=tuple(map(parse_label, self.label or ())),
            label_file=self.labels,
            id_from=self.id_from,
            **more,
        )


@app.command(epilog="Example: retr index ./corpus -o my-index")
@bundled
def index(
    corpus: Annotated[
        str,
        typer.Argument(
            metavar="CORPUS",
            help="A folder (recursive), an archive, a URL, a list of these, or - for standard input.",
        ),
    ],
    storing: Storing,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", "-i", "--index", help="The index folder [default: $RETR_INDEX, else ./retr-index]."
        ),
    ] = None,
    model: ModelsOption = None,
    companion: CompanionOption = None,
    looks: LooksOption = None,
    views: Annotated[
        str | None, typer.Option(help="Stored views per image: none, flip, light or standard [default: none].")
    ] = None,
    rows: RowsOption = None,
    pretrained: PretrainedOption = True,
    batch_size: Annotated[int, typer.Option(help="Images stored at once; on a GPU, embedded at once.")] = 64,
    prune: Annotated[bool, typer.Option("--prune", help="Forget images of this folder that are gone.")] = False,
    prune_all: Annotated[
        bool, typer.Option("--prune-all", help="Forget them even if they are most of it, or the folder is empty.")
    ] = False,
    max_pixels: Annotated[int | None, typer.Option(help="Refuse larger images [default: the decode policy's].")] = None,
    cluster: ClusterOption = None,
    token_file: ClusterToken = None,
) -> None:
    """Index a corpus of images. Unchanged files of an earlier run are not embedded again."""
    from dataclasses import replace

    from ..images.policy import DecodePolicy

    policy = DecodePolicy() if max_pixels is None else replace(DecodePolicy(), max_pixels=max_pixels)
    options = storing.options(
        models=tuple(model) if model else None,
        companion=companion,
        looks=looks,
        views=views,
        rows=rows,
        policy=policy if max_pixels is not None else None,
        pretrained=pretrained,
        batch_size=batch_size,
        prune=prune,
        prune_all=prune_all,
    )
    away = Cluster(cluster, token_file=token_file)
    with indexing(away) as sent:
        run_index([corpus], index_path(output), options, storing.form, sent=sent)


def run_index(sources: list[str], home: Path, options: IndexOptions, form: str, *, sent: Sent | None = None) -> None:
    """Run the pipeline, print its report, and say what was rejected; ``sent`` makes the rows elsewhere."""
    from dataclasses import asdict

    from ..indexer.build import build_index
    from ..reports.index_table import crowded_words, presumed_words, print_run
    from ..reports.progress import ProgressBar

    with stoppable("what was done is kept: go on with --resume"), ProgressBar("indexing", "images") as bar:
        report = build_index(sources if len(sources) > 1 else sources[0], home, options, bar, sent=sent)
    say({"schema": "retr.index-run/1", **asdict(report)}, form, print_run)
    if report.strangers:
        note(f"{report.strangers} files of {options.label_file} are not in the index; they have no labels")
    place = shlex.quote(report.index)
    if report.presumed:
        seem = f"{presumed_words(report.presumed, report.presumed_groups)} seem to be copies of one another"
        note(f"{seem}; list them with: retr info {place} --presumed")
    if report.crowded:
        note(f"{crowded_words(report.crowded)}; list them with: retr info {place} --crowded")
    if report.rejected:
        note(f"{report.rejected} of {report.seen} inputs were rejected; see them with: retr info {place} --rejects")
        raise typer.Exit(REJECTED)
