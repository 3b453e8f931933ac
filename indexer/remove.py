"""``retr rm``: which items some names mean, and their removal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import IndexStateError, UsageError
from ..core.progress import Progress
from .addresses import absolute_text
from .entries import is_there
from .held import Held, Places
from .labels import labels_of
from .where import parse_condition
from .writer import Writer

_ID = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Removed:
    """What was taken out, or would be.

    Attributes:
        index: the folder; snapshot: the one that holds the rest; the one looked at for a rehearsal.
        paths: of the items, in row order.
        items: how many files are left.
        done: False for a rehearsal.
    """

    index: str
    snapshot: str
    paths: tuple[str, ...]
    items: int
    done: bool


def remove_items(
    index: Path,
    names: Sequence[str],
    *,
    missing: bool = False,
    all_missing: bool = False,
    rehearse: bool = False,
    progress: Progress | None = None,
) -> Removed:
    """Take items out of an index.

    Args:
        index: the folder.
        names: each an item's id, a path (as it is stored, or relative to the current folder), an id of the user's, or
            ``KEY=VALUE`` for all items with that label.
        missing: also those whose file is not there any more; refused where that is more than half of the index.
        all_missing: however many they are.
        rehearse: say what would go, and change nothing.
        progress: told while gaps are measured; None for nobody.

    Raises:
        UsageError: a name means nothing here; then nothing is taken out.
        IndexStateError: no index, another writer, an unfinished run, or most files are missing.
    """
    with Writer(index, progress=progress) as writer:
        held = writer.held
        places = [_meant(index, writer, name) for name in names]
        if missing or all_missing:
            places.append(_missing(held, index, every=all_missing))
        gone = np.unique(np.concatenate([np.empty(0, np.int64), *places])).astype(np.int64)
        paths, ids = (held.table[name].take(gone).to_pylist() for name in ("path", "id"))
        if not rehearse:
            writer.remove(ids=ids)
            writer.commit()
        left = held.table.num_rows - len(gone)
        return Removed(str(index), writer.snapshot.id, tuple(paths), left, done=not rehearse)


def _meant(index: Path, writer: Writer, name: str) -> Places:
    held = writer.held
    found = held.named([name]) if _ID.fullmatch(name) else held.located([])
    if not len(found):
        found = held.located({name, absolute_text(name)})
    if not len(found):
        found = _labelled(index, writer, name)
    if not len(found):
        raise UsageError(f"{index} holds no item of the id, path or label {name!r}; list them with: retr list")
    return found


def _labelled(index: Path, writer: Writer, name: str) -> Places:
    labels = labels_of(index, writer.snapshot)
    condition = parse_condition(name if "=" in name else f"id={name}")
    return np.flatnonzero(condition.holds(writer.held.table["path"], writer.held.table["id"], labels))


def _missing(held: Held, index: Path, *, every: bool) -> Places:
    paths = held.table["path"].to_pylist()
    gone = np.array([place for place, path in enumerate(paths) if not is_there(path)], np.int64)
    if 2 * len(gone) > len(paths) and not every:
        raise IndexStateError(
            f"{len(gone)} of the {len(paths)} files that {index} holds are not there: nothing was changed. Is a disk "
            "missing? If they are gone for good: all_missing (--all-missing)"
        )
    return gone
