"""``retr info``: what an index holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import UsageError
from .options import FormatOption, IndexOption
from .output import say, say_all
from .places import one_index

app = typer.Typer()


@app.command(epilog="Example: retr info my-index --verify")
def info(
    path: Annotated[Path | None, typer.Argument(metavar="INDEX", help="The index, unless -i names it.")] = None,
    index: IndexOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check every file against its SHA-256.")] = False,
    rejects: Annotated[bool, typer.Option("--rejects", help="List the refused inputs instead.")] = False,
    presumed: Annotated[
        bool, typer.Option("--presumed", help="List images that seem to be copies of one another instead.")
    ] = False,
    form: FormatOption = "table",
) -> None:
    """Say what an index holds."""
    from ..indexer.info import describe_index, list_presumed, list_rejects
    from ..reports.index_table import print_info, print_presumed, print_rejects

    home = one_index(path, index)
    if rejects and presumed:
        raise UsageError("one list at a time: --rejects or --presumed")
    if presumed:
        say_all(list_presumed(home), form, print_presumed)
    elif rejects:
        say_all(list_rejects(home), form, print_rejects)
    else:
        say(describe_index(home, verify=verify), form, print_info)
