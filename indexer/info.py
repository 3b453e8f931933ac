"""``retr info``: what an index holds, and whether its bytes are those it says."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from .catalog import read_rejects
from .gallery import open_gallery
from .held import Held, read_held
from .integrity import check_content
from .presumed import company_of, crowded_items, presumed_copies
from .rules import describe_rules, plain_rules
from .snapshot import Snapshot, require_current


def describe_index(index: Path, *, verify: bool = False) -> dict[str, Any]:
    """Facts about the current snapshot.

    Args:
        index: the index folder.
        verify: also check every file against its SHA-256.

    Raises:
        IndexStateError: there is no index.
        IntegrityError: a file is missing, or has the wrong size or, as far as it was read, the wrong bytes.
    """
    snapshot = require_current(index)
    checked = check_content(index, snapshot, everything=True) if verify else None
    gallery, held = open_gallery(index, snapshot, rows=False), read_held(index, snapshot)
    company = company_of(index, gallery)
    return {
        "schema": "retr.info/1",
        "index": str(index),
        "snapshot": snapshot.id,
        "created": snapshot.created,
        "items": held.items,
        "files": held.table.num_rows,
        "rows": held.rows,
        "tombstones": snapshot.rows - held.rows,
        "rejects": len(current_rejects(index, snapshot, held)),
        "segments": len(snapshot.segments),
        "views": snapshot.views,
        "policy_digest": snapshot.policy_digest,
        "bytes_per_item": _bytes_per_item(snapshot, held),
        "rules": plain_rules(describe_rules(index, snapshot)),
        "channels": [asdict(channel) for channel in snapshot.channels],
        "presumed_copies": company.presumed,
        "presumed_groups": company.groups,
        "crowded": company.crowded,
        "content": str(checked or gallery.content),
        "verified": None if checked is None else f"{checked.files} files match their SHA-256",
    }


def _bytes_per_item(snapshot: Snapshot, held: Held) -> int:
    per_row = sum(channel.row_bytes for channel in snapshot.channels)
    return round(per_row * held.rows / max(1, held.items))


def current_rejects(index: Path, snapshot: Snapshot, held: Held) -> list[dict[str, Any]]:
    """The last reject of each path that is not in the gallery now."""
    rejects: dict[str, dict[str, Any]] = {}
    for segment in snapshot.segments:
        if segment.rejects:
            file = index / "segments" / segment.id / "rejects.parquet"
            rejects.update((row["path"], row) for row in read_rejects(file).to_pylist())
    present = held.find(list(rejects)).tolist()
    return sorted((row for row, place in zip(rejects.values(), present, strict=True) if place < 0), key=_path)


def _path(row: dict[str, Any]) -> str:
    return row["path"]


def list_presumed(index: Path) -> list[dict[str, Any]]:
    """Images of the index that are presumed to be copies of one another (``presumed.presumed_copies``).

    Raises:
        IndexStateError: there is no index.
        IntegrityError: what it holds is damaged.
    """
    return presumed_copies(index, open_gallery(index, require_current(index), rows=False))


def list_crowded(index: Path) -> list[dict[str, Any]]:
    """Images of the index whose copies must be very near, because of another image (``presumed.crowded_items``).

    Raises:
        IndexStateError: there is no index.
        IntegrityError: what it holds is damaged.
    """
    return crowded_items(index, open_gallery(index, require_current(index), rows=False))


def list_rejects(index: Path) -> list[dict[str, Any]]:
    """:func:`current_rejects` of the index as it is now.

    Raises:
        IndexStateError: there is no index.
        IntegrityError: what it holds is damaged.
    """
    snapshot = require_current(index)
    check_content(index, snapshot)
    return current_rejects(index, snapshot, read_held(index, snapshot))
