"""Large files in the user's cache: the ones that were written longest ago go first."""

from __future__ import annotations

from pathlib import Path


def forget_oldest(folder: Path, most: int, *, kept: Path) -> None:
    """Remove files until those of a folder take no more than so many bytes; never ``kept``."""
    files = [(file.stat().st_mtime_ns, file.stat().st_size, file) for file in folder.iterdir() if file.is_file()]
    total = sum(size for _, size, _ in files)
    for _, size, file in sorted(files):
        if total > most and file != kept:
            file.unlink(missing_ok=True)
            total -= size
