"""``retr verify``, ``compact`` and ``snapshots``: an index looked after."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import FormatOption, IndexOption, IndexPlace
from .output import note, say, say_all
from .places import one_index

app = typer.Typer()

DAMAGED = 5
"""Exit code: bytes differ from their digest, or things do not belong together."""


@app.command(epilog="Example: retr verify my-index")
def verify(
    path: IndexPlace = None,
    index: IndexOption = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Drop what cannot be trusted, and say what that was.")
    ] = False,
    gc: Annotated[bool, typer.Option("--gc", help="Remove files that no snapshot names.")] = False,
    form: FormatOption = "table",
) -> None:
    """Read everything an index holds and name what is wrong; exits with 5 if anything is."""
    from dataclasses import asdict

    from ..indexer.verify import clear_index, repair_index, verify_index
    from ..reports.life_tables import print_verified
    from ..reports.progress import ProgressBar

    home = one_index(path, index)
    dropped = []
    if repair:
        with ProgressBar("repairing", "images") as bar:
            dropped = repair_index(home, bar)
    cleared = clear_index(home) if gc else []
    found = verify_index(home)
    extra = {"dropped": [asdict(one) for one in dropped], "cleared": [asdict(one) for one in cleared]}
    say({"schema": "retr.verified/1", **asdict(found), **extra}, form, print_verified)
    if found.problems:
        mendable = any(one.repairable for one in found.problems)
        note(
            f"{len(found.problems)} things are wrong" + ("; --repair drops what cannot be trusted" if mendable else "")
        )
        raise typer.Exit(DAMAGED)


@app.command(epilog="Example: retr compact my-index --forget-snapshots")
def compact(
    path: IndexPlace = None,
    index: IndexOption = None,
    forget: Annotated[
        bool,
        typer.Option("--forget-snapshots", help="Forget all older snapshots, and free the room that only they take."),
    ] = False,
    form: FormatOption = "table",
) -> None:
    """Write the live rows into few segments, without what was removed; every answer stays the same."""
    from dataclasses import asdict

    from ..indexer.history import compact_index
    from ..reports.life_tables import print_compacted

    done = compact_index(one_index(path, index), forget=forget)
    say({"schema": "retr.compacted/1", **asdict(done)}, form, print_compacted)


@app.command(epilog="Example: retr snapshots my-index")
def snapshots(
    path: IndexPlace = None,
    index: IndexOption = None,
    restore: Annotated[
        str | None, typer.Option("--restore", metavar="ID", help="Make this snapshot the current one again.")
    ] = None,
    form: FormatOption = "table",
) -> None:
    """List the states that an index has been in; ask an earlier one with: retr query --snapshot ID."""
    from dataclasses import asdict

    from ..indexer.history import list_snapshots, restore_snapshot
    from ..reports.life_tables import print_snapshots

    home = one_index(path, index)
    if restore is not None:
        restore_snapshot(home, restore)
    say_all([asdict(one) for one in list_snapshots(home)], form, print_snapshots)
