"""Where retr may remember, for one user, what can be found out again."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """``$RETR_CACHE``, else ``retr`` in the system's folder of caches (``$XDG_CACHE_HOME``, ``~/.cache``). Not made."""
    named = os.environ.get("RETR_CACHE")
    if named:
        return Path(named)
    caches = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "retr"
