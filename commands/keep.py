"""``retr add``, ``rm`` and ``sync``: an index kept up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .bundles import bundled
from .index import Storing, run_index
from .options import (
    FormatOption,
    IndexOption,
)
from .output import note, say
from .places import index_and_rest

app = typer.Typer()

SOURCES = "[INDEX] SOURCE…"
AllOption = Annotated[
    bool, typer.Option("--prune-all", help="Remove what is gone even if it is most of it, or the corpus is empty.")
]


@app.command(epilog="Example: retr add my-index ./more img.png --label bank=2024")
@bundled
def add(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar=SOURCES,
            help="The index, unless -i names it; then images, folders, archives, URLs, lists of these, or -.",
        ),
    ],
    storing: Storing,
    index: IndexOption = None,
) -> None:
    """Add images to an index. What it holds unchanged is left alone, and nothing is removed."""
    home, sources = index_and_rest(places, index, "what to add to it")
    _store(storing, sources, home)


def _store(storing: Storing, sources: list[str], home: Path, **more: Any) -> None:
    """Into an index that is there, or that an interrupted run had begun."""
    from ..indexer.snapshot import require_current

    if not (storing.resume and (home / "staging").exists()):
        require_current(home)
    run_index(sources, home, storing.options(**more), storing.form)


@app.command(epilog="Example: retr rm my-index corpus/000.jpg bank=2023 --dry-run")
def rm(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[INDEX] NAME…",
            help="The index, unless -i names it; then ids, paths, or KEY=VALUE for all items with that label.",
        ),
    ],
    index: IndexOption = None,
    missing: Annotated[bool, typer.Option("--missing", help="Items whose file is not there any more.")] = False,
    all_missing: Annotated[
        bool, typer.Option("--all-missing", help="These, even if they are more than half of the index.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    form: FormatOption = "table",
) -> None:
    """Take items out of an index. The files themselves are never touched."""
    from dataclasses import asdict

    from ..indexer.remove import remove_items
    from ..reports.life_tables import print_removed
    from ..reports.progress import ProgressBar

    home, named = index_and_rest(names, index, "what to take out", least=0 if missing or all_missing else 1)
    with ProgressBar("removing", "images") as bar:
        done = remove_items(home, named, missing=missing, all_missing=all_missing, rehearse=dry_run, progress=bar)
    say({"schema": "retr.removed/1", **asdict(done)}, form, print_removed)


@app.command(epilog="Example: retr sync my-index ./corpus --dry-run")
@bundled
def sync(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="[INDEX] CORPUS",
            help="The index, unless -i names it; then a folder, an archive, a URL, a list, or -.",
        ),
    ],
    storing: Storing,
    index: IndexOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and change nothing.")] = False,
    everything: AllOption = False,
) -> None:
    """Make an index follow a folder: add the new, update the changed, remove the vanished.

    Refused where nothing is seen, or more than half of what the index holds from the folder would go. A list of paths
    removes nothing.
    """
    from ..core.errors import UsageError

    home, sources = index_and_rest(places, index, "the corpus to follow")
    if len(sources) != 1:
        raise UsageError(f"sync follows one corpus, got {' '.join(sources)}; for several: retr add, and retr rm")
    if dry_run:
        _print_plan(home, sources[0], storing.form)
    else:
        _store(storing, sources, home, prune=True, prune_all=everything)


def _print_plan(home: Path, source: str, form: str) -> None:
    from dataclasses import asdict

    from ..indexer.sync import plan_sync
    from ..reports.life_tables import print_plan

    plan = plan_sync(source, home)
    say({"schema": "retr.sync-plan/1", **asdict(plan), "refused": plan.refused}, form, print_plan)
    if plan.refused:
        note("this would be refused: nothing is seen, or more than half would go; --prune-all does it all the same")
