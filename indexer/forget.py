"""What ``prune`` forgets: items of a folder whose files are gone. A folder that merely looks empty forgets nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import IndexStateError
from .addresses import beginnings
from .held import Held, among
from .sources import Corpus

_SHOWN = 3


def files_gone(held: Held, corpus: Corpus) -> tuple[list[str], int]:
    """Paths of the items whose files the corpus's folder held and holds no more.

    What lies in a folder that could not be listed is not known to be gone. From a list of paths nothing is ever gone.

    Returns:
        The paths, in row order, and how many items of that folder the index holds.
    """
    if corpus.root is None:
        return [], 0
    paths = held.table["path"]
    below = _below(paths, [corpus.root])
    present = among(paths, corpus.paths)
    unknown = _below(paths, [path for path, _ in corpus.unlistable])
    gone = paths.take(np.flatnonzero(below & ~present & ~unknown)).to_pylist()
    return gone, int(below.sum())


def check_forgotten(gone: list[str], count: int, *, index: Path, root: str) -> None:
    """Make sure that most of a folder is still there before the rest is forgotten.

    Raises:
        IndexStateError: more than half of its items would go.
    """
    if 2 * len(gone) > count:
        first = ", ".join(map(repr, gone[:_SHOWN])) + (", …" if len(gone) > _SHOWN else "")
        raise IndexStateError(
            f"{len(gone)} of the {count} images that {index} holds from {root} are not there ({first}): nothing was "
            "changed. Is a disk missing? If they are gone for good, forget them with prune_all (--prune-all)"
        )


def _below(paths: pa.ChunkedArray, folders: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Which paths lie below some folders; those whose bytes are not UTF-8 are URIs, whatever their folder is."""
    found = np.zeros(len(paths), dtype=np.bool_)
    for folder in folders:
        for name in beginnings(folder):
            begins = pc.MatchSubstringOptions(name)
            found |= np.asarray(pc.call_function("starts_with", [paths], begins), dtype=np.bool_)
    return found
