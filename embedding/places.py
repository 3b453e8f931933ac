"""Where the model files of the package lie."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def weights_folder() -> Path:
    """Where the package keeps its model files; it may be absent."""
    return Path(str(files("retr.embedding"))) / "weights"
