"""Puts the groups of commands together, and ends every failure with one sentence and its exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .commands import (
    attack_eval,
    bench_2afc,
    bench_copies,
    bench_knn,
    calibrate,
    cluster,
    data,
    dupes,
    index,
    info,
    items,
    keep,
    metrics,
    models,
    proofs,
    query,
    rules,
    serve,
    train,
    upkeep,
)
from .commands.output import INTERRUPTED, note
from .core.errors import IntegrityError, RetrError


class _Stoppable(TyperGroup):
    """Says a word about Ctrl-C, which the parser would take for the end without one."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            note("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except typer.BadParameter as why:
            raise _in_words(why) from None


_NUMBERS = {"float_parsing": "a number", "int_parsing": "a whole number"}


def _in_words(why: typer.BadParameter) -> typer.BadParameter:
    """Of what is no number, what was given."""
    errors = getattr(why.__cause__, "errors", list)()
    if not errors or errors[0]["type"] not in _NUMBERS:
        return why
    words = f"{_NUMBERS[errors[0]['type']]} is needed, got {errors[0]['input']!r}"
    return typer.BadParameter(words, ctx=why.ctx, param=why.param)


app = typer.Typer(
    name="retr",
    cls=_Stoppable,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Find copies of images, and prove how far an adversary would have to change a query to change the answer.",
)
for command in (
    index,
    keep,
    query,
    proofs,
    info,
    items,
    dupes,
    rules,
    upkeep,
    calibrate,
    attack_eval,
    bench_copies,
    bench_2afc,
    bench_knn,
    serve,
):
    app.add_typer(command.app)
for name, group in {"models": models, "train": train, "data": data, "metrics": metrics, "cluster": cluster}.items():
    app.add_typer(group.app, name=name)


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
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot write a letter gets its number. Formats for programs are UTF-8 everywhere.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app(prog_name="retr")
    except RetrError as error:
        _end(str(error), error.exit_code)
    except KeyboardInterrupt:
        _end("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except UnicodeDecodeError as error:  # of a forged catalog, whose digests are right
        _end(f"a file that was read holds no UTF-8 where text belongs: {error}", IntegrityError.exit_code)
    except (OSError, MemoryError) as error:
        _end(_sentence(error), 1)


def _sentence(error: OSError | MemoryError) -> str:
    """What the system said, of which file, without its number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or "out of memory"


def _end(sentence: str, code: int) -> None:
    note(sentence)
    sys.exit(code)
