"""Where retr may remember, for one user, what can be found out again."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from .files import write_atomically

CACHE = "RETR_CACHE"
"""Environment variable: the folder of what is kept between runs, or ``off``."""


def user_cache() -> Path | None:
    """The user's folder for what can be made again, not made yet; None where nothing shall be kept.

    ``$RETR_CACHE``, else ``retr`` in what the platform has for it: ``$XDG_CACHE_HOME`` or ``~/.cache``,
    ``~/Library/Caches``, ``%LOCALAPPDATA%``.
    """
    given = os.environ.get(CACHE)
    if given:
        return None if given == "off" else Path(given)
    try:
        return _usual() / "retr"
    except RuntimeError:  # there is no home
        return None


def only_ours(path: Path) -> bool:
    """Whether nobody else could have written it, or put it into its folder, as far as the file system tells."""
    return _only_ours(path.parent) and _only_ours(path)


def _only_ours(path: Path) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def keep_for_us(path: Path, data: bytes) -> None:
    """Write a file so that :func:`only_ours` believes it later, whatever the umask is.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _only_ours(path.parent):
        path.parent.chmod(0o700)  # fails where it is somebody else's
    write_atomically(path, data, mode=0o600)


def _usual() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    given = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return given if given.is_absolute() else Path.home() / ".cache"
