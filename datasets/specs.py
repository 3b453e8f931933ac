"""A 2AFC data set by the words a user writes: ``LAYOUT:FOLDER``, or a folder whose content tells its layout."""

from __future__ import annotations

from pathlib import Path

from .layouts import LAYOUTS
from .synthetic import LAYOUT as SYNTHETIC

NAMES = (SYNTHETIC, *LAYOUTS)
"""Every layout that a spec can name."""
AUTO = "auto"


def read_spec(spec: str) -> tuple[str, Path]:
    """(layout of :data:`NAMES`, folder), or (:data:`AUTO`, the whole spec) where no layout is named."""
    layout, _, rest = spec.partition(":")
    return (layout, Path(rest)) if layout in NAMES and rest else (AUTO, Path(spec))
