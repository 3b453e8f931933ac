"""Silence for the warnings that an image library raises about other people's files, in one thread only."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast


class _ThisThread(threading.local):
    """Stands where a warning filter keeps its message pattern; matches while the calling thread asked for silence."""

    depth = 0

    def match(self, text: str) -> bool:
        """As ``re.Pattern.match``: whether the filter applies."""
        del text
        return self.depth > 0


_THIS_THREAD = _ThisThread()
_FILTER = ("ignore", _THIS_THREAD, Warning, None, 0)


@contextmanager
def quiet() -> Iterator[None]:
    """Drop every warning that this thread raises inside the block; other threads keep theirs.

    ``warnings.catch_warnings`` swaps a list that all threads share, so two decoding threads would restore each
    other's state. Here one entry is put in front of that list, once, and decides by thread; it never matches
    outside a block, so it may stay. (A foreign thread that leaves ``catch_warnings`` in the middle of a block takes
    the entry away until the next block begins.)
    """
    filters = cast("list[Any]", warnings.filters)
    if not filters or filters[0] is not _FILTER:
        filters.insert(0, _FILTER)
    _THIS_THREAD.depth += 1
    try:
        yield
    finally:
        _THIS_THREAD.depth -= 1
