"""The holders of one snapshot, asked all at once; and an engine whose rows are theirs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..core.errors import ClusterError, RetrError
from ..retrieval.engine import Engine
from ..retrieval.joined import Joined
from ..retrieval.joined import Reply as Said
from ..retrieval.source import Ask
from .beginning import BEGINNING
from .gallery import Gallery, counted, gallery_of
from .holder import Holder
from .manifest import Expected, Manifest
from .session import NAMESPACE, check_connected, first_words, is_connected

DEADLINE = 60.0
"""Seconds in which a shard must answer."""


@dataclass
class Crew:
    """Holders of all shards of a snapshot.

    Attributes:
        manifest: which rows each of them holds.
        holders: Ray's handles, in the order of the shards.
        deadline: seconds in which each must answer.
        allow_partial: go on without a shard that does not answer; nothing is certified then.
    """

    manifest: Manifest
    holders: Sequence[Any]
    deadline: float = DEADLINE
    allow_partial: bool = False
    _late: dict[int, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spread(self, engine: Engine) -> Engine:
        """The same engine, answered by the holders: its rows, and those of its negative banks.

        Raises:
            ClusterError: they hold another snapshot.
        """
        banks = tuple((where, self._parted(bank, where)) for where, bank in engine.banks)
        return replace(self._parted(engine), banks=banks)

    def _parted(self, engine: Engine, bank: str = "") -> Engine:
        gallery = self._gallery(engine, bank)
        if not gallery.expected:
            return engine
        names = tuple(self.manifest.name(one.shard) for one in gallery.expected)
        sizes = tuple(one.size for one in gallery.expected)
        return replace(engine, parts=(Joined(gallery.items, names, sizes, partial(self.ask, gallery)),))

    def _gallery(self, engine: Engine, bank: str) -> Gallery:
        if engine.snapshot != self.manifest.snapshot:
            raise ClusterError(f"the cluster holds snapshot {self.manifest.snapshot}, and {engine.snapshot} is asked")
        return gallery_of(engine, self.manifest, bank)

    def hold(self, engine: Engine) -> None:
        """Have all holders open their rows before anybody asks.

        Raises:
            ClusterError: one of them does not.
        """
        for one, bank in ((engine, ""), *((bank, where) for where, bank in engine.banks)):
            gallery = self._gallery(one, bank)
            calls = {part.shard: self._tell(gallery, part) for part in gallery.expected}
            found = self._wait(calls, max(self.deadline, BEGINNING))
            lost = {number: said for number, said in found.items() if isinstance(said, str)}
            if lost:
                raise self._lost(lost)

    def ask(self, gallery: Gallery, asks: Sequence[Ask]) -> list[Said | None]:
        """Ask all shards that hold rows of a gallery; None for those that do not answer, or not as they must.

        Raises:
            ClusterError: naming them, unless partial answers are allowed; or the connection has ended.
        """
        import ray

        check_connected()
        asked = ray.put(list(asks))
        here = [one for one in gallery.expected if not self._is_late(one.shard)]
        calls = {one.shard: self.holders[one.shard].answer.remote(gallery.key, asked) for one in here}
        replies = self._wait(calls)
        untold = [
            one for one in here if replies[one.shard] is None
        ]  # begun anew, or asked about this for the first time
        if untold:
            told = self._wait({one.shard: self._tell(gallery, one) for one in untold})
            ready = [number for number, why in told.items() if why is None]
            replies |= told | self._wait({n: self.holders[n].answer.remote(gallery.key, asked) for n in ready})
        late = f"no answer within {self.deadline:g} seconds"
        found, lost = counted(gallery, {one.shard: replies.get(one.shard, late) for one in gallery.expected}, asks)
        if lost and not self.allow_partial:
            raise self._lost(lost)
        return found

    def _tell(self, gallery: Gallery, one: Expected) -> Any:
        return self.holders[one.shard].hold.remote(gallery.key, gallery.slice(one))

    def _is_late(self, number: int) -> bool:
        """Whether a shard still has not done what it was asked when it missed the deadline."""
        import ray

        with self._lock:
            if number in self._late:
                ready, _ = ray.wait([self._late[number]], timeout=0)
                if ready:
                    del self._late[number]
            return number in self._late

    def _wait(self, calls: Mapping[int, Any], seconds: float | None = None) -> dict[int, Any]:
        """What each call gives; a text where it gives nothing.

        Raises:
            RetrError: what a shard found wrong with its part of the index.
        """
        import ray
        from ray import exceptions

        limit = self.deadline if seconds is None else seconds
        done = set(ray.wait(list(calls.values()), num_returns=len(calls), timeout=limit)[0]) if calls else set()
        found: dict[int, Any] = {}
        for number, call in calls.items():
            if call not in done:
                with self._lock:
                    self._late[number] = call
                found[number] = f"no answer within {limit:g} seconds"
                continue
            try:
                found[number] = ray.get(call)
            except exceptions.RayTaskError as error:
                if isinstance(error.cause, RetrError):
                    raise error.cause from error
                found[number] = f"{type(error.cause).__name__}: {error.cause}"
            except exceptions.RayError as error:
                found[number] = first_words(error)
        return found

    def _lost(self, lost: Mapping[int, str]) -> ClusterError:
        said = "; ".join(f"{self.manifest.name(number)}: {why}" for number, why in sorted(lost.items()))
        return ClusterError(f"not all of the index answers: {said}. Without it nothing is proved (--allow-partial)")


@contextmanager
def hired(
    index: Path, manifest: Manifest, *, deadline: float = DEADLINE, allow_partial: bool = False, named: bool = False
) -> Iterator[Crew]:
    """Holders for a while, over all nodes of the cluster; one whose process or node is lost is begun anew.

    Args:
        index: the folder, which all nodes must see under this name.
        manifest: how its snapshot is divided.
        deadline: see :class:`Crew`.
        allow_partial: see :class:`Crew`.
        named: others may find them, by :func:`found`.
    """
    import ray

    kind: Any = ray.remote(Holder)
    options: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
    options["scheduling_strategy"] = "SPREAD"
    holders = [
        kind.options(**options, **({"name": _name(manifest.snapshot, number)} if named else {})).remote(
            str(index.resolve()), manifest, number
        )
        for number in range(manifest.shards)
    ]
    try:
        yield Crew(manifest, holders, deadline, allow_partial)
    finally:
        if is_connected():  # else they have ended with the connection, and Ray would begin a cluster to look for them
            for holder in holders:
                ray.kill(holder)


def found(snapshot: str, *, deadline: float = DEADLINE, allow_partial: bool = False) -> Crew | None:
    """The holders of a snapshot that are there already; None where there are none.

    Raises:
        ClusterError: the first of them is there, and another is not.
    """
    import ray
    from ray import exceptions

    try:
        first = ray.get_actor(_name(snapshot, 0), namespace=NAMESPACE)
        manifest: Any = ray.get(first.divided.remote(), timeout=deadline)
        rest = [ray.get_actor(_name(snapshot, number), namespace=NAMESPACE) for number in range(1, manifest.shards)]
    except ValueError:
        return None
    except exceptions.RayError as error:
        raise ClusterError(f"who holds snapshot {snapshot} does not answer: {first_words(error)}") from error
    return Crew(manifest, [first, *rest], deadline, allow_partial)


def _name(snapshot: str, number: int) -> str:
    return f"{snapshot}/{number}"


def states(*, deadline: float = DEADLINE) -> list[dict[str, Any]]:
    """What all holders that others may find say of themselves; one that does not answer is named by ``error``."""
    import ray

    names = sorted(name for name in ray.util.list_named_actors() if "/" in name)
    calls = {name: ray.get_actor(name).state.remote() for name in names}
    ray.wait(list(calls.values()), num_returns=len(calls), timeout=deadline) if calls else None
    return [_state(name, call) for name, call in calls.items()]


def _state(name: str, call: Any) -> dict[str, Any]:
    import ray
    from ray import exceptions

    snapshot, _, shard = name.partition("/")
    try:
        return {**ray.get(call, timeout=0), "error": None}
    except exceptions.RayError as error:
        said = first_words(error)
        return {"snapshot": snapshot, "shard": int(shard), "error": said}
