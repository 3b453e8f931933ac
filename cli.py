"""Puts the groups of commands together, and ends every failure with one sentence and its exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from .commands import (
    attack_eval,
    bench_2afc,
    bench_copies,
    bench_knn,
    calibrate,
    data,
    index,
    info,
    metrics,
    models,
    query,
    train,
)
from .core.errors import RetrError

app = typer.Typer(
    name="retr",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Find copies of images, and prove how far an adversary would have to change a query to change the answer.",
)
for command in (index, info, query, calibrate, attack_eval, bench_copies, bench_2afc, bench_knn):
    app.add_typer(command.app)
app.add_typer(models.app, name="models")
app.add_typer(train.app, name="train")
app.add_typer(data.app, name="data")
app.add_typer(metrics.app, name="metrics")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        from . import __version__

        print(f"retr {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; every expected failure ends with one sentence and its exit code, never a traceback."""
    # Before torch and FAISS start their threads: idle ones shall sleep. Spinning ones make a query of 10 ms take 150 ms
    # as soon as another process wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except RetrError as error:
        print(f"retr: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"retr: {error}", file=sys.stderr)
        sys.exit(1)
