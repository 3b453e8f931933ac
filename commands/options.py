"""What several commands share: options, defaults, and how words become values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import UsageError

REJECTED = 3
"""Exit code: finished, some inputs rejected."""

IndexOption = Annotated[
    Path | None, typer.Option("-i", "--index", help="The index folder [default: $RETR_INDEX, else ./retr-index].")
]
FormatOption = Annotated[str, typer.Option("--format", help="table, json, jsonl, csv or parquet.")]
ThresholdsOption = Annotated[
    str, typer.Option(help="local: one for each row, by how near the other items are; global: one for each channel.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]


def index_path(given: Path | None) -> Path:
    """The index folder: the one named, else ``$RETR_INDEX``, else ``./retr-index``."""
    return given if given is not None else Path(os.environ.get("RETR_INDEX") or "retr-index")


def corpus_paths(source: str, index: Path) -> list[str]:
    """The images that a folder, a list file or ``-`` names; the index itself is no part of them."""
    from ..indexer.corpus import read_corpus, text_to_path

    return [str(text_to_path(path)) for path in read_corpus(source, exclude=index).paths]


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
