"""Where models and what is known of them lie: inside the package, and in the user's cache."""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from pathlib import Path

CACHE = "RETR_CACHE"
"""Environment variable: the folder of what is kept between runs, or ``off``."""


def weights_folder() -> Path:
    """Where the package keeps its model files; it may be absent."""
    return Path(str(files("retr.embedding"))) / "weights"


def cache_folder() -> Path | None:
    """The user's folder for what can be made again; None where nothing shall be kept.

    ``$RETR_CACHE``, else what the platform has for it: ``$XDG_CACHE_HOME`` or ``~/.cache``, ``~/Library/Caches``,
    ``%LOCALAPPDATA%``.
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
