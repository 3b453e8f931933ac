"""What several commands share: options, defaults, and how words become values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import UsageError

REJECTED = 3
"""Exit code: finished, some inputs rejected."""
CORES = os.cpu_count() or 2
FORMATS = ("table", "json", "jsonl", "csv", "parquet")
DEFAULT_MODELS = "block-means and retr_s"
"""``indexer.options.DEFAULT_MODELS`` in words, here because importing that takes seconds; a test compares them."""


def check_format(name: str) -> str:
    """Validate a ``--format`` word.

    Raises:
        UsageError: for another word, naming the choices.
    """
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}; choose {', '.join(FORMATS)}")
    return name


IndexOption = Annotated[
    Path | None, typer.Option("-i", "--index", help="The index folder [default: $RETR_INDEX, else ./retr-index].")
]
IndexPlace = Annotated[Path | None, typer.Argument(metavar="INDEX", help="The index, unless -i names it.")]
SnapshotOption = Annotated[
    str | None, typer.Option("--snapshot", help="An earlier snapshot, by its id or how that begins.")
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only items with this label, path or id: bank=a,b  bank!=a  path~'*/2024/*'. Repeat for several.",
    ),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY=VALUE", help="A label for every image named; KEY= takes it away. Repeat."),
]
LabelFileOption = Annotated[
    Path | None,
    typer.Option("--labels", metavar="FILE.csv", help="Labels of images: a column path, and one for each key."),
]
IdOption = Annotated[
    str | None, typer.Option("--id-from", help="Give each image an id of yours: name, stem or path (in the corpus).")
]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        help="Also prove families of edits of every query: jpeg:30..95, crop:95, … or all; repeat for several.",
    ),
]
OnTopOption = Annotated[float, typer.Option("--on-top", help="RMSE of the change that may come on top of --against.")]
FormatOption = Annotated[
    str, typer.Option("--format", help="table, json, jsonl, csv or parquet.", callback=check_format)
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model", help=f"Embedder; repeat for several channels [default: {DEFAULT_MODELS}]. See: retr models list."
    ),
]
CompanionOption = Annotated[
    str | None,
    typer.Option(
        "--companion",
        metavar="SPEC",
        help="An uncertified embedder that finds copies beside them; what it alone finds is not proved.",
    ),
]
LooksOption = Annotated[
    bool | None,
    typer.Option(
        "--looks/--no-looks",
        help="The companion looks at parts and turns of a query, too [default: if it is efficientnet-lite0].",
    ),
]
CertifiedOnlyOption = Annotated[
    bool, typer.Option("--certified-only", help="Leave the index's companion out: only what can be proved is found.")
]
PretrainedOption = Annotated[
    bool, typer.Option("--pretrained/--no-pretrained", help="Published weights for timm: models.")
]
RowsOption = Annotated[
    str | None,
    typer.Option("--rows", help="How rows are stored: float32, float16 or int8 [default: as the views ask]."),
]
ThresholdsOption = Annotated[
    str,
    typer.Option(help="local: one for each row, by how near unrelated pictures come; global: one for each channel."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
WorkersOption = Annotated[int, typer.Option("--workers", help="Decoding threads.")]
IsolateOption = Annotated[
    bool,
    typer.Option("--isolate", help="Decode in processes that can be killed: for files from strangers."),
]
RunResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the run of this plan; a finished one is told again.")
]
KeepOption = Annotated[str, typer.Option("--keep", help="Which adversarial images to keep: none, alarms or all.")]


def index_path(given: Path | None) -> Path:
    """The index folder: the one named, else ``$RETR_INDEX``, else ``./retr-index``."""
    return given if given is not None else Path(os.environ.get("RETR_INDEX") or "retr-index")


def words_of(text: str | None) -> tuple[str, ...]:
    """Words separated by commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip()) if text else ()


def numbers_of(option: str, text: str) -> tuple[float, ...]:
    """Numbers separated by commas.

    Raises:
        UsageError: naming the option, where a word is no number.
    """
    try:
        return tuple(float(word) for word in words_of(text))
    except ValueError:
        raise UsageError(f"{option} takes numbers separated by commas, got {text!r}") from None
