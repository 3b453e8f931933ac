"""Names from strangers that become paths: nothing is ever written outside of the folder that was meant."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import UsageError

_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST_PART = 255
_LONGEST = 4096


def inside(folder: Path, name: str) -> Path:
    """Where a file of this name lies in a folder, for writing or moving it there.

    Links are followed as far as there are any: one that leads out of the folder is refused, and so is a file that is a
    link. Whoever may write in the folder at the same time can still put a link in the way; write with ``O_NOFOLLOW`` or
    rename into place where that matters.

    Args:
        folder: must exist.
        name: relative, of one part or several, with ``/`` or the system's own separator.

    Raises:
        UsageError: the name is empty, absolute, too long, leads out of the folder (``..``, a drive, a link), or holds
            what no file name can.
    """
    parts = re.split(r"[/\\]" if os.name == "nt" else "/", name)
    if not name or name.startswith(("/", "\\")) or _DRIVE.match(name):
        raise UsageError(f"{name!r} is no name inside {folder}: it is empty or absolute")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise UsageError(f"{name!r} is no name inside {folder}: a part of it is empty, '.', '..' or holds a NUL")
    if len(os.fsencode(name)) > _LONGEST or max(len(os.fsencode(part)) for part in parts) > _LONGEST_PART:
        raise UsageError(f"{name[:60]!r}… is no name inside {folder}: it is longer than a file system allows")
    path = folder.joinpath(*parts)
    home = folder.resolve(strict=True)
    if path.is_symlink() or not path.parent.resolve().is_relative_to(home):
        raise UsageError(f"{name!r} leads out of {folder} by a link")
    return path
