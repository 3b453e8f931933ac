"""Where retr may remember, for one user, what can be found out again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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


def _usual() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    given = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return given if given.is_absolute() else Path.home() / ".cache"
