"""What runs on the machines of a cluster: a holder of one shard's rows, which answers for them."""

from __future__ import annotations

import os
import socket
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.version import VERSION
from ..indexer.snapshot import read_snapshot
from ..retrieval.index_source import IndexSource
from ..retrieval.slices import Slice
from ..retrieval.source import Ask
from .manifest import Manifest, Reply

GALLERIES = 16
"""Parts of an index that one holder keeps open: all of it, its negative banks, and what queries restrict it to."""


class Holder:
    """One shard of a snapshot. What it holds comes from those who ask: one that was restarted is told again.

    Args:
        index: the folder, as it is seen here.
        manifest: how the snapshot is divided.
        number: of the shard.
    """

    def __init__(self, index: str, manifest: Manifest, number: int) -> None:
        self.index, self.manifest, self.number = Path(index), manifest, number
        self.held: OrderedDict[str, tuple[IndexSource, int]] = OrderedDict()

    def hold(self, gallery: str, rows: Slice) -> None:
        """Open these rows.

        Raises:
            IntegrityError: the index is not here, or damaged.
        """
        source = rows.open(self.index, read_snapshot(self.index, self.manifest.snapshot))
        self.held[gallery] = source, len(rows.rows)
        while len(self.held) > GALLERIES:
            self.held.popitem(last=False)

    def answer(self, gallery: str, asks: Sequence[Ask]) -> Reply | None:
        """Its evidence; None where it does not hold such a gallery (any more)."""
        if gallery not in self.held:
            return None
        self.held.move_to_end(gallery)
        source, rows = self.held[gallery]
        evidence = source.answer(asks)
        start = source.start
        return Reply(self.number, self.manifest.snapshot, gallery, start, start + rows, evidence, VERSION)

    def state(self) -> dict[str, Any]:
        """Where it runs and what it holds."""
        return {
            "snapshot": self.manifest.snapshot,
            "index": str(self.index),
            "shard": self.number,
            "shards": self.manifest.shards,
            "first_row": self.manifest.edges[self.number],
            "rows": self.manifest.edges[self.number + 1] - self.manifest.edges[self.number],
            "galleries": len(self.held),
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }

    def node(self) -> str:
        """Ray's id of the node that it runs on."""
        import ray

        return ray.get_runtime_context().get_node_id()

    def divided(self) -> Manifest:
        """How the snapshot is divided."""
        return self.manifest
