"""The served indexes, each opened at its newest snapshot. A request takes one once, and sees that snapshot only."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..api.index import Index
from ..api.index import open as open_index
from ..api.serving import check_stored, current_snapshot
from ..core.errors import RetrError
from .faults import Fault
from .settings import Settings

PARTS = 16
"""Filtered galleries that are kept open."""
CHECK_SECONDS = 30.0
"""How often the files behind an open index are looked at."""
log = logging.getLogger("retr.service")


@dataclass
class Served:
    """One index.

    Attributes:
        name, path: of the index.
        index: as it is open; None until it is loaded.
        trouble: why it is not ready; None where it is.
        damage: what was found of the files behind the open snapshot; None for nothing.
        parts: filtered galleries of this snapshot.
    """

    name: str
    path: Path
    index: Index | None = None
    trouble: str | None = "loading"
    damage: str | None = None
    parts: OrderedDict[tuple[str, ...], Index] = field(default_factory=OrderedDict)

    def open(self) -> Index:
        """The index.

        Raises:
            Fault: it was never loaded.
        """
        if self.index is None:
            raise Fault(503, "not-ready", f"{self.name}: {self.trouble}", retry=5)
        return self.index

    def ready(self) -> Index:
        """The index, if it may be written.

        Raises:
            Fault: it is not there, or not whole.
        """
        if self.trouble is not None:
            raise Fault(503, "not-ready", f"{self.name}: {self.trouble}", retry=5)
        return self.open()


class Shelf:
    """All of them; the first one is meant where a request names none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.served = {name: Served(name, path) for name, path in settings.indexes.items()}
        self._change, self._parts = asyncio.Lock(), threading.Lock()
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to load, and to look for new snapshots."""
        self._watch = asyncio.create_task(self._watching())

    async def stop(self) -> None:
        """End that."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    @property
    def hidden(self) -> dict[str, str]:
        """What sentences must not name → the name instead."""
        paths = [
            (str(path), name) for one in self.served.values() for path in _spelled(one.path) for name in [one.name]
        ]
        return dict(sorted(paths, key=lambda pair: -len(pair[0])))

    def find(self, name: str | None) -> Served:
        """An index by its name.

        Raises:
            Fault: there is no such index.
        """
        if name is None:
            return next(iter(self.served.values()))
        if name not in self.served:
            raise Fault(404, "no-such-index", f"this service has {', '.join(self.served)}, not {name!r}")
        return self.served[name]

    def part(self, served: Served, where: Sequence[str]) -> Index:
        """The gallery that fulfils conditions, at the snapshot that is open; not from the event loop.

        Raises:
            UsageError: no condition.
        """
        index, key = served.open(), tuple(where)
        if not key:
            return index
        with self._parts:
            found = served.parts.get(key)
        if found is None or found.snapshot != index.snapshot:
            found = index.only(*key)
            with self._parts:
                served.parts[key] = found
                while len(served.parts) > PARTS:
                    served.parts.popitem(last=False)
        return found

    async def take(self, served: Served, index: Index) -> None:
        """Serve an index that was changed and has opened its new snapshot, unless there is a newer one."""
        async with self._change:
            if current_snapshot(index) == index.snapshot:
                served.index, served.parts = index, OrderedDict()
                served.trouble = served.damage = None

    async def refresh(self, served: Served) -> None:
        """Open the newest snapshot, if it is not the one that is open. A damaged one leaves the old one in place."""
        async with self._change:
            try:
                was = served.index
                served.index = await asyncio.to_thread(_newest, served)
                if served.index is not was:
                    served.parts, served.damage = OrderedDict(), None
                    log.info(json.dumps({"event": "opened", "index": served.name, "snapshot": served.index.snapshot}))
                served.trouble = served.damage
            except (RetrError, OSError) as error:
                self._failed(served, str(error))

    async def check(self, served: Served) -> None:
        """Look at the files behind an open index."""
        if served.index is not None:
            try:
                await asyncio.to_thread(check_stored, served.index)
                served.damage = None
            except (RetrError, OSError) as error:
                self._failed(served, str(error))
                served.damage = served.trouble

    def _failed(self, served: Served, why: str) -> None:
        for folder, name in self.hidden.items():
            why = why.replace(folder, name)
        if served.trouble != why:
            log.error(json.dumps({"event": "not-ready", "index": served.name, "because": why}))
        served.trouble = why

    async def _watching(self) -> None:
        turn, every = 0, max(1, round(CHECK_SECONDS / self._settings.refresh_seconds))
        while True:
            for served in self.served.values():
                await self.refresh(served)
                if turn % every == 0 and served.trouble == served.damage:
                    await self.check(served)
            turn += 1
            await asyncio.sleep(self._settings.refresh_seconds)


def _newest(served: Served) -> Index:
    return open_index(served.path) if served.index is None else served.index.latest()


def _spelled(path: Path) -> set[str]:
    return {str(path.resolve()), str(path.absolute())}
