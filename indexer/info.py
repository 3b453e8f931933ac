"""``retr info``: what an index holds, and whether its bytes are those it says."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from .catalog import read_rejects
from .gallery import Gallery, open_gallery
from .integrity import check_content
from .snapshot import Snapshot, require_current


def describe_index(index: Path, *, verify: bool = False) -> dict[str, Any]:
    """Facts about the current snapshot.

    Args:
        index: the index folder.
        verify: also check every file against its SHA-256.

    Raises:
        IndexStateError: there is no index.
        IntegrityError: a file is missing, has the wrong size or (verify) the wrong bytes.
    """
    snapshot = require_current(index)
    checked = check_content(index, snapshot, everything=True) if verify else None
    gallery = open_gallery(index, snapshot, rows=False)
    return {
        "schema": "retr.info/1",
        "index": str(index),
        "snapshot": snapshot.id,
        "created": snapshot.created,
        "items": gallery.items,
        "files": len(set(_live_paths(gallery))),
        "rows": int(gallery.live.sum()),
        "tombstones": int((~gallery.live).sum()),
        "rejects": len(current_rejects(index, snapshot, gallery)),
        "segments": len(snapshot.segments),
        "views": snapshot.views,
        "policy_digest": snapshot.policy_digest,
        "bytes_per_item": _bytes_per_item(gallery),
        "channels": [asdict(channel) for channel in snapshot.channels],
        "content": str(checked or gallery.content),
        "verified": None if checked is None else f"{checked.files} files match their SHA-256",
    }


def _live_paths(gallery: Gallery) -> list[str]:
    paths = gallery.catalog["path"].to_pylist()
    return [path for path, live in zip(paths, gallery.live, strict=True) if live]


def _bytes_per_item(gallery: Gallery) -> int:
    per_row = sum(channel.row_bytes for channel in gallery.snapshot.channels)
    return round(per_row * int(gallery.live.sum()) / max(1, gallery.items))


def current_rejects(index: Path, snapshot: Snapshot, gallery: Gallery) -> list[dict[str, Any]]:
    """The last reject of each path that is not in the gallery now."""
    rejects: dict[str, dict[str, Any]] = {}
    for segment in snapshot.segments:
        if segment.rejects:
            file = index / "segments" / segment.id / "rejects.parquet"
            rejects.update((row["path"], row) for row in read_rejects(file).to_pylist())
    present = set(_live_paths(gallery))
    return [row for path, row in sorted(rejects.items()) if path not in present]


def list_rejects(index: Path) -> list[dict[str, Any]]:
    """:func:`current_rejects` of the index as it is now.

    Raises:
        IndexStateError: there is no index.
    """
    snapshot = require_current(index)
    return current_rejects(index, snapshot, open_gallery(index, snapshot, rows=False))
