"""What a run over a corpus would do to an index, found out by names, sizes and times alone: nothing is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .forget import files_gone
from .held import Held, read_held
from .snapshot import require_current
from .sources import Corpus, read_corpus


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """Paths, in the order of the corpus.

    Attributes:
        index: the folder; snapshot: the one that was looked at.
        seen: everything that the corpus lists.
        added: the index does not hold them. Those that were rejected before are looked at again.
        changed: their size or time is another one than when they were indexed; the content may be the same.
        removed: the index holds them from this folder, and they are not there any more.
        unchanged: how many are as they were.
        held: how many items the index holds from this folder.
        unreadable: folders that could not be listed; what lies in them stays.
    """

    index: str
    snapshot: str
    seen: int
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    held: int
    unreadable: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether a run would refuse it, unless told: nothing is seen, or more than half would go."""
        return not self.seen or 2 * len(self.removed) > max(self.held, 1)


def plan_sync(source: str, index: Path) -> SyncPlan:
    """What ``sync`` would do.

    Args:
        source: as for ``sources.read_corpus``.
        index: the index folder; it is only read, and may be written meanwhile.

    Raises:
        IndexStateError: there is no index.
        UsageError: no such corpus.
    """
    snapshot = require_current(index)
    held, corpus = read_held(index, snapshot), read_corpus(source, exclude=index)
    removed, count = files_gone(held, corpus)
    added, changed = _differing(held, corpus)
    return SyncPlan(
        index=str(index),
        snapshot=snapshot.id,
        seen=corpus.seen,
        added=tuple(added),
        changed=tuple(changed),
        removed=tuple(removed),
        unchanged=len(corpus.paths) - len(added) - len(changed),
        held=count,
        unreadable=tuple(path for path, _ in corpus.unlistable),
    )


def _differing(held: Held, corpus: Corpus) -> tuple[list[str], list[str]]:
    """Paths that are not held, and paths held with another size or time."""
    sizes, times = np.asarray(held.table["bytes"]), np.asarray(held.table["mtime_ns"])
    added, changed = [], []
    for path, place in zip(corpus.paths, held.find(corpus.paths).tolist(), strict=True):
        if place < 0:
            added.append(path)
        elif not corpus.unchanged(path, int(sizes[place]), int(times[place])):
            changed.append(path)
    return added, changed
