"""``retr rules``: what is different for items with some label."""

from __future__ import annotations

from typing import Annotated

import typer

from ..core.errors import UsageError
from .options import FormatOption, IndexOption, IndexPlace
from .output import say
from .places import one_index

app = typer.Typer()


@app.command(epilog="Example: retr rules my-index --negative bank=allowed --reach bank=logos:0.8")
def rules(
    path: IndexPlace = None,
    index: IndexOption = None,
    negative: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="A negative bank: a match there silences all others. Repeat."),
    ] = None,
    reach: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION:FACTOR", help="Items that accept so many times as far as they would, such as bank=a:0.8."
        ),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take all rules back.")] = False,
    form: FormatOption = "table",
) -> None:
    """Say which labels make negative banks, and how far items with a label accept; without options, list the rules.

    What is given replaces all rules that there were. Rules go by labels and paths (the conditions of --where), also of
    what is indexed later.
    """
    from ..indexer.rules import check_rules, describe_rules, plain_rules
    from ..indexer.snapshot import require_current
    from ..indexer.writer import Writer
    from ..reports.life_tables import print_rules

    home = one_index(path, index)
    if clear and (negative or reach):
        raise UsageError("--clear takes all rules back: give it alone")
    if clear or negative or reach:
        wanted = check_rules(negative or (), dict(map(_factor, reach or ())))
        with Writer(home) as writer:
            writer.rule(wanted)
    snapshot = require_current(home)
    facts = plain_rules(describe_rules(home, snapshot))
    say({"schema": "retr.rules/1", "index": str(home), "snapshot": snapshot.id, "rules": facts}, form, print_rules)


def _factor(text: str) -> tuple[str, float]:
    where, colon, number = text.rpartition(":")
    try:
        return where, float(number if colon else "none")
    except ValueError:
        raise UsageError(f"--reach is CONDITION:FACTOR, such as bank=logos:0.8, got {text!r}") from None
