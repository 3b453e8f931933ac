"""``retr dupes``: groups of copies."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import UsageError
from .options import DeviceOption, FormatOption, IndexOption, IndexPlace, WhereOption
from .output import note, say_all
from .outputs import check_file
from .places import one_index

if TYPE_CHECKING:
    from ..retrieval.duplicates import Found

app = typer.Typer()


@app.command(
    short_help="Find groups of copies in a corpus.",
    epilog="Example: retr dupes my-index --certify --keep best --move ./copies --dry-run",
)
def dupes(
    path: IndexPlace = None,
    index: IndexOption = None,
    against: Annotated[
        Path | None, typer.Option(metavar="INDEX2", help="Look for copies of the items of this index instead.")
    ] = None,
    where: WhereOption = None,
    certify: Annotated[
        bool, typer.Option("--certify", help="Prove how far each file may change and still be a copy.")
    ] = False,
    keep: Annotated[
        str | None, typer.Option(help="Which file of a group stays: best, oldest, largest or shortest-path.")
    ] = None,
    move: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Move the others to this folder; its moved.jsonl says from where."),
    ] = None,
    hardlink: Annotated[
        bool, typer.Option("--hardlink", help="Make those of the same bytes links to the one that stays.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would become of each file, change none.")
    ] = False,
    dismiss: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="These files are no duplicates of each other: remembered. Name two or more."),
    ] = None,
    declare: Annotated[
        bool, typer.Option("--declare", help="Make each group one item: its copies no longer zero the ranking radius.")
    ] = False,
    same: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="These files, by path or id, are one item, as by --declare. Name two or more."
        ),
    ] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take all that was declared back.")] = False,
    page: Annotated[
        Path | None, typer.Option("--page", "--html", metavar="FILE.html", help="Also write a page with the pictures.")
    ] = None,
    device: DeviceOption = "auto",
    form: FormatOption = "table",
) -> None:
    """Find groups of copies: files with the same bytes, the same pixels, or one picture.

    Every file of a group is a copy of its first one, so nothing is chained. No file is touched unless --keep says which
    one stays, and --move or --hardlink what becomes of the others.
    """
    from ..indexer.dismissed import read_dismissed
    from ..indexer.info import list_crowded
    from ..reports.dupes_table import print_dupes
    from ..reports.progress import ProgressBar
    from ..retrieval.duplicates import COLUMNS, as_records, as_rows, find_duplicates
    from ..retrieval.engine import Engine
    from ..retrieval.keeping import Plan, carry_out, check_plan

    home = one_index(path, index)
    plan = check_plan(Plan(keep, move, hardlink, dry_run))
    check_file(page, index=home)
    _tell(home, dismiss or [], same or [], withdraw=withdraw)
    engine = Engine.open(home, device=device, where=where or (), unsilenced=True)
    other = None if against is None else Engine.open(against, device=device, unsilenced=True)
    with ProgressBar("proving", "files") as bar:
        if certify:
            bar.start(0, 0)
        found = find_duplicates(
            engine, other, dismissed=read_dismissed(home), certify=certify, advance=bar.advance if certify else _silent
        )
    if declare:
        _declare(home, found)
    fates = carry_out(found.groups, plan)
    crowded = [] if other is not None or where else list_crowded(home)
    if page is not None:
        from ..reports.dupes_page import write_page

        write_page(page, found.groups, {path: fate.words for path, fate in fates.items()}, str(home), crowded)
    records = as_records(found, {path: fate.words for path, fate in fates.items()})
    columns = None if records else COLUMNS
    say_all(records if form in ("table", "json", "jsonl") else as_rows(records), form, print_dupes, columns=columns)
    _warn(home, len(crowded))
    failed = [fate for fate in fates.values() if fate.failed]
    if failed:
        note(f"{len(failed)} files were left as they are: {failed[0].words}")
        raise typer.Exit(1)
    if plan.acts and not dry_run:
        note(f"the index still lists what was moved or linked; to bring it up to date: retr rm {home} --missing")


def _silent(_: int) -> None:
    """Nobody is told."""


def _tell(home: Path, dismissed: list[str], same: list[str], *, withdraw: bool) -> None:
    """Remember what the user says of the items."""
    from ..indexer.writer import Writer
    from ..reports.progress import ProgressBar

    if dismissed:
        from ..retrieval.keeping import dismiss_files

        known = dismiss_files(home, dismissed)
        note(f"{known} pairs are no duplicates from now on")
    if withdraw:
        with ProgressBar("measuring gaps", "images") as bar, Writer(home, progress=bar) as writer:
            writer.declare({})
    if same:
        from ..retrieval.keeping import declare_files

        with ProgressBar("measuring gaps", "images") as bar:
            declare_files(home, same, bar)
        note(f"{len(same)} files are one item from now on; --withdraw takes that back")


def _warn(home: Path, crowded: int) -> None:
    """Say that more items are near each other than are copies by the thresholds."""
    from ..reports.index_table import crowded_words

    if crowded:
        note(f"{crowded_words(crowded)}; they may be in no group: retr info {shlex.quote(str(home))} --crowded")


def _declare(home: Path, found: Found) -> None:
    from ..indexer.declared import declared_of, joined
    from ..indexer.writer import Writer
    from ..reports.progress import ProgressBar

    if found.references is not None:
        raise UsageError("--declare is about the groups of one index, and --against names another")
    with ProgressBar("measuring gaps", "images") as bar, Writer(home, progress=bar) as writer:
        known = declared_of(home, writer.snapshot)
        groups = ([member.pixels_sha256 for member in group.members] for group in found.groups)
        writer.declare(joined(known, groups))
    note(f"{len(found.groups)} groups are one item each from now on; --withdraw takes that back")
