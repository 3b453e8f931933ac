"""``retr info``: what an index holds."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import UsageError
from .options import FormatOption, IndexOption
from .output import note, say, say_all
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
    crowded: Annotated[
        bool,
        typer.Option("--crowded", help="List images that accept only very near queries, and which image limits them."),
    ] = False,
    form: FormatOption = "table",
) -> None:
    """Say what an index holds."""
    from ..indexer.catalog import REJECT_SCHEMA
    from ..indexer.info import describe_index, list_crowded, list_presumed, list_rejects
    from ..indexer.presumed import CROWD, PAIR
    from ..reports.emit import columns_of
    from ..reports.index_table import print_crowded, print_info, print_presumed, print_rejects

    home = one_index(path, index)
    if rejects + presumed + crowded > 1:
        raise UsageError("one list at a time: --rejects, --presumed or --crowded")
    if presumed:
        say_all(list_presumed(home), form, print_presumed, columns=PAIR)
    elif crowded:
        rows = list_crowded(home)
        say_all(rows, form, print_crowded, columns=CROWD)
        if rows:
            place = shlex.quote(str(home))
            way_out = f"retr dupes {place} --same FILE --same NEAR"
            note(f"two that show one picture can be made one item: {way_out}; or take one out: retr rm {place} FILE")
    elif rejects:
        say_all(list_rejects(home), form, print_rejects, columns=columns_of(REJECT_SCHEMA))
    else:
        say(describe_index(home, verify=verify), form, print_info)
