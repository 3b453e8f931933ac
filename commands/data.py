"""``retr data``: which data sets can be read, and how to get them."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import FormatOption
from .output import say, say_all

app = typer.Typer(no_args_is_help=True, help="Data sets: which can be read, and how to get them.")


@app.command("list", epilog="Example: retr data list --format json")
def data_list(form: FormatOption = "table") -> None:
    """List the data sets that can be read."""
    from ..datasets.catalogue import list_data
    from ..reports.data_table import print_data_list

    say_all(list_data(), form, print_data_list)


@app.command("info", epilog="Example: retr data info bapps")
def data_info(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in: retr data list.", show_default=False)],
    form: FormatOption = "table",
) -> None:
    """Say how to get a data set, and how it must lie on disk. Nothing is fetched."""
    from ..datasets.catalogue import info
    from ..reports.data_table import print_data_info

    facts = info(name)
    say(facts.as_json(), form, lambda _: print_data_info(facts))
