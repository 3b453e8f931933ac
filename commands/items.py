"""``retr list`` and ``retr export``: what an index holds, item by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import UsageError
from .options import FormatOption, IndexOption, IndexPlace, SnapshotOption, WhereOption
from .output import note, say, say_all
from .places import index_and_rest, one_index

if TYPE_CHECKING:
    import pyarrow as pa

app = typer.Typer()


@app.command("list", epilog="Example: retr list my-index --where 'path~*/2024/*' --format parquet")
def list_(
    path: IndexPlace = None,
    index: IndexOption = None,
    where: WhereOption = None,
    since: Annotated[str | None, typer.Option(help="Files changed at this time or later, such as 2026-11-29.")] = None,
    until: Annotated[str | None, typer.Option(help="Files changed before this time.")] = None,
    snapshot: SnapshotOption = None,
    form: FormatOption = "table",
) -> None:
    """List the items of an index, with their labels."""
    from ..indexer.listing import list_items, parse_time
    from ..indexer.snapshot import find_snapshot
    from ..indexer.where import parse_condition
    from ..reports.emit import columns_of
    from ..reports.life_tables import print_items

    home = one_index(path, index)
    table = list_items(
        home,
        find_snapshot(home, snapshot),
        list(map(parse_condition, where or ())),
        since=None if since is None else parse_time(since),
        until=None if until is None else parse_time(until),
    )
    say_all(_records(table), form, print_items, columns=columns_of(table.schema))
    if not table.num_rows and (where or since or until):
        note("no item fits all of these conditions; without them, retr list shows what there is to ask for")


def _records(table: pa.Table) -> Iterator[Mapping[str, Any]]:
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


@app.command(epilog="Example: retr export my-index rows.parquet")
def export(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="[INDEX] FILE", help="The index, unless -i names it; then what to write: .parquet, .csv or .faiss."
        ),
    ],
    index: IndexOption = None,
    where: WhereOption = None,
    snapshot: SnapshotOption = None,
    channel: Annotated[str | None, typer.Option(help="For FAISS: which channel's rows.")] = None,
    form: FormatOption = "table",
) -> None:
    """Write rows and catalog for other programs: Parquet with rows, a FAISS index, or the catalog as CSV."""
    from dataclasses import asdict

    from ..indexer.export import export_rows
    from ..indexer.snapshot import find_snapshot
    from ..indexer.where import parse_condition
    from ..reports.life_tables import print_exported

    home, files = index_and_rest(places, index, "the file to write")
    if len(files) != 1:
        raise UsageError(f"export writes one file, got {' '.join(files)}")
    conditions = list(map(parse_condition, where or ()))
    done = export_rows(home, find_snapshot(home, snapshot), Path(files[0]), conditions=conditions, channel=channel)
    say({"schema": "retr.exported/1", **asdict(done)}, form, print_exported)
    if not done.rows and conditions:
        note("no item fits all of these conditions: the file is there, and holds no row")
