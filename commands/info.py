"""``retr info``: what an index holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import FormatOption, index_path

app = typer.Typer()


@app.command(epilog="Example: retr info my-index --verify")
def info(
    path: Annotated[Path | None, typer.Argument(metavar="[INDEX]", help="The index folder.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check every file against its SHA-256.")] = False,
    rejects: Annotated[bool, typer.Option("--rejects", help="List the refused inputs instead.")] = False,
    form: FormatOption = "table",
) -> None:
    """Say what an index holds."""
    from ..indexer.info import describe_index, list_rejects
    from ..reports.emit import check_format, emit
    from ..reports.index_table import print_info, print_rejects

    chosen = check_format(form)
    if rejects:
        rows = list_rejects(index_path(path))
        print_rejects(rows) if chosen == "table" else emit(rows, chosen)
        return
    facts = describe_index(index_path(path), verify=verify)
    print_info(facts) if chosen == "table" else emit([facts], chosen, one=True)
