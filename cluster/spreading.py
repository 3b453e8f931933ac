"""Engines answered by a cluster, for as long as somebody needs them: connected, found or hired, and let go.

The one thing that commands and the public surface call: all else in this room is behind it.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from contextlib import ExitStack

from ..core.errors import UsageError
from ..retrieval.engine import Engine
from .beginning import BEGINNING
from .crew import DEADLINE, Crew, found, hired
from .manifest import Manifest
from .naming import LOCAL, Cluster
from .session import Session, connected


class Spreading:
    """A connection to a cluster, and the holders of the snapshots that are asked through it.

    Holders that were begun for a snapshot end when no engine is left that asks them; all of it ends with :meth:`close`,
    when this object is forgotten, or with the process. Safe to use from many threads.

    Args:
        asked: names a cluster; nothing is begun before the first engine comes.
    """

    def __init__(self, asked: Cluster) -> None:
        assert asked.address is not None, "who names no cluster asks none"
        self._asked = asked
        self._deadline = asked.deadline or DEADLINE
        self._crews: weakref.WeakValueDictionary[str, Crew] = weakref.WeakValueDictionary()
        self._session: Session | None = None
        self._ends = ExitStack()
        self._lock = threading.RLock()
        self._end = weakref.finalize(self, self._ends.close)
        self._end.atexit = False  # see ``_joined``

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return not self._end.alive

    def check_open(self) -> None:
        """Refuse to ask what has ended.

        Raises:
            UsageError: it has.
        """
        if self.closed:
            raise UsageError("the index was closed, and with it the cluster that answered for it: open it anew")

    def spread(self, engine: Engine) -> Engine:
        """The same engine, answered by the cluster.

        Raises:
            UsageError: no Ray, another number of shards is asked for than is there, or all of it was closed.
            ClusterError: there is no such cluster, or a part of it does not answer.
            IntegrityError: a machine of it does not see the index, or sees a damaged one.
        """
        with self._lock:
            self.check_open()
            try:
                crew = self._crews.get(engine.snapshot) or self._crew(engine)
                return crew.spread(engine)
            except BaseException:
                if not self._crews:
                    self.close()
                raise

    def close(self) -> None:
        """End what was begun for it, and the connection, unless others in this process use it."""
        self._end()

    def __enter__(self) -> Spreading:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _crew(self, engine: Engine) -> Crew:
        session = self._joined()
        ways = {"deadline": self._deadline, "allow_partial": self._asked.allow_partial}
        crew = None if self._asked.address == LOCAL else found(engine.snapshot, **ways)
        if crew is None:
            crew = self._hired(engine, self._asked.shards or session.cpus)
        elif self._asked.shards not in (None, crew.manifest.shards):
            held, wanted = crew.manifest.shards, self._asked.shards
            raise UsageError(f"the cluster holds this index in {held} shards, and not {wanted}")
        self._crews[engine.snapshot] = crew
        return crew

    def _joined(self) -> Session:
        if self._session is None:
            assert self._asked.address is not None, "it was asked for"
            begin = max(self._deadline, BEGINNING)
            way = connected(self._asked.address, token=self._asked.token, begin=begin)
            self._session = self._ends.enter_context(way)
            end = self._end  # before Ray, which is imported by now, ends in its own way at the end of the process
            atexit.register(end)
            self._ends.callback(atexit.unregister, end)
        return self._session

    def _hired(self, engine: Engine, shards: int) -> Crew:
        manifest = Manifest.even(engine.snapshot, engine.gallery.snapshot.rows, shards)
        with ExitStack() as stack:
            way = hired(engine.path, manifest, deadline=self._deadline, allow_partial=self._asked.allow_partial)
            crew = stack.enter_context(way)
            crew.hold(engine)
            end = weakref.finalize(crew, stack.pop_all().close)
            end.atexit = False
        self._ends.callback(end)
        return crew


def spreading_of(asked: Cluster) -> Spreading | None:
    """What spreads engines over a cluster; None where none was named.

    Raises:
        UsageError: a token, and no cluster that asks for it.
    """
    if asked.address is None:
        asked.refuse_token()
        return None
    return Spreading(asked)
