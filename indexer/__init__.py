"""Sources, the indexing pipeline, the one writer, segments, the catalog and snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .writer import Writer

__all__ = ["Writer"]


def __getattr__(name: str) -> Any:
    """``Writer``, imported when it is asked for: it needs FAISS, and most of this room does not."""
    if name == "Writer":
        from .writer import Writer

        return Writer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
