"""A connection to Ray: to a cluster that is there, or to one of this machine's own that ends with it.

Nothing is sent to anybody about how Ray is used, and nothing is left in the home directory: the token by which the
processes of an own cluster know each other is in their environment, and all files are in a folder that is removed.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import ClusterError, RetrError, UsageError
from .beginning import BEGINNING, end_what_began, patience, patient_words, persistently
from .naming import LOCAL

NAMESPACE = "retr"
LONGEST = 40
"""Letters of a folder's name that Ray can make its sockets in: Linux allows 107 for all of a socket's name."""
REACHED = 10.0
"""Seconds until somebody who listens has answered."""
LINGER = 5.0
"""Seconds that processes which were told to end may go on writing."""
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""What begins every connection of HTTP/2, which Ray speaks, with settings that change nothing (RFC 9113, 3.4)."""
STORE_BYTES = 100_000_000
"""Of shared memory for what is on its way between the processes of one machine."""


@dataclass(frozen=True)
class Session:
    """A connection. Attributes: ``address`` by which others reach the cluster; ``cpus`` it has altogether."""

    address: str
    cpus: int


@dataclass
class _Connection:
    """That of this process, of which Ray allows one: begun for the first who needs it, and ended after the last.

    Whoever is forgotten leaves when memory is collected, which may be in the midst of another's joining and by the same
    thread: who joins counts from the beginning, so that the other is not the last.
    """

    _users: int = 0
    _address: str | None = None
    _ends: ExitStack = field(default_factory=ExitStack)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def join(self, address: str, token: str | None, cpus: int | None, begin: float) -> Session:
        with self._lock:
            self._users += 1
            try:
                if not is_connected():
                    self._ends.close()  # of one that somebody else has ended
                    with ExitStack() as stack:
                        stack.enter_context(_begun(address, token, cpus, begin))
                        self._ends, self._address = stack.pop_all(), address
                elif address != self._address:
                    _check_same(address, _session(), self._address)
                return _session()
            except BaseException:
                self.leave()
                raise

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._address = None
                self._ends.close()


_connection = _Connection()


@contextmanager
def connected(
    address: str, *, token: str | None = None, cpus: int | None = None, begin: float = BEGINNING
) -> Iterator[Session]:
    """Be connected to a cluster for a while; what this process is connected to already is used as it is.

    Args:
        address: ``local``, or of a cluster: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        token: by which the cluster knows its users; None for what Ray's own settings say, or for a new one.
        cpus: of an own cluster; None for those of this machine.
        begin: seconds that an own cluster may take to begin.

    Raises:
        UsageError: Ray is not installed, or has no folder with a name that is short enough.
        ClusterError: there is no such cluster, it does not let us in, or this process is connected to another one.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError("a cluster needs ray, which is not installed: pip install 'retr[cluster]'")
    session = _connection.join(address, token, cpus, begin)
    try:
        yield session
    finally:
        _connection.leave()


@contextmanager
def _begun(address: str, token: str | None, cpus: int | None, begin: float) -> Iterator[None]:
    """A connection where there was none."""
    words = {"RAY_USAGE_STATS_ENABLED": "0"}
    if address == LOCAL:
        words |= patient_words(begin)
    if token is not None or address == LOCAL:
        words |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token or secrets.token_hex(32)}
    _check_reached(address)
    with _environment(words), _own_folder() as folder:
        own = {"num_cpus": cpus or os.cpu_count() or 1, "object_store_memory": STORE_BYTES}
        own |= {"_temp_dir": str(folder), "_node_ip_address": "127.0.0.1", "include_dashboard": False}
        options = own if address == LOCAL else {"address": address}
        with _lasting() as lasting:
            with patience(begin):
                persistently(lambda: lasting(lambda: _start(**options)))
            with _quiet():
                try:
                    yield
                finally:
                    import ray

                    ray.shutdown()


@contextmanager
def _lasting() -> Iterator[Callable[[Callable[[], None]], None]]:
    """What calls something in a thread that lasts as long as this context.

    Linux kills the processes of a node with the thread that has begun them, as Ray asks it to (``PR_SET_PDEATHSIG``),
    and whoever opens an index first may be any thread. The main one lasts anyway, and hears Ctrl-C.
    """
    if threading.current_thread() is threading.main_thread():
        yield lambda call: call()
        return
    over = threading.Event()

    def run(call: Callable[[], None]) -> None:
        done: Future[None] = Future()
        threading.Thread(target=_last, args=(call, done, over), name="retr-cluster", daemon=True).start()
        done.result()

    try:
        yield run
    finally:
        over.set()


def _last(call: Callable[[], None], done: Future[None], over: threading.Event) -> None:
    try:
        call()
    except BaseException as error:
        done.set_exception(error)
    else:
        done.set_result(None)
        over.wait()


def _start(**options: Any) -> None:
    import ray

    _read_settings()
    try:
        ray.init(namespace=NAMESPACE, log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except BaseException as error:  # Ray has many, and for an address that is none a ValueError or a ConnectionError
        end_what_began(error)
        ray.shutdown()
        if isinstance(error, RetrError) or not isinstance(error, Exception):
            raise
        where = options.get("address", LOCAL)
        if where == "auto" and isinstance(error, ConnectionError):  # Ray speaks of options that are none of ours
            raise ClusterError(
                "no cluster of Ray runs on this machine: name HOST:PORT, or local for one's own"
            ) from error
        raise ClusterError(f"no cluster of Ray can be used at {where}: {first_words(error)}") from error


def _read_settings() -> None:
    """Have Ray read its settings and token anew: it keeps those of when it was imported, and of an earlier cluster."""
    from ray import _raylet

    room: Any = _raylet
    room.Config.initialize("")
    room.AuthenticationTokenLoader.instance().reset_cache()


def _check_same(address: str, session: Session, ours: str | None) -> None:
    """Whether an address is that of the cluster that this process is connected to.

    Args:
        address: asked for, in other words than those it was connected by.
        session: the connection.
        ours: the words it was connected by; None where the program has done that itself, and means that cluster.

    Raises:
        ClusterError: it is of another one.
    """
    if address == "auto" or (ours is None and (address == LOCAL or address.startswith("ray://"))):
        return
    host, _, port = session.address.rpartition(":")
    asked, _, asked_port = address.rpartition(":")
    if address == LOCAL or asked_port != port or _number(asked) != _number(host):
        raise ClusterError(
            f"this process is connected to the cluster at {session.address}, and Ray allows one at a time: "
            f"close that first, got {address}"
        )


def _number(host: str) -> str:
    """The IP address of a host, where that can be told."""
    try:
        return socket.gethostbyname(host)
    except OSError:
        return host


def _check_reached(address: str) -> None:
    """Whether something listens there that may be Ray: Ray itself would try for minutes.

    Raises:
        UsageError: it is no address.
        ClusterError: nothing listens, or something else.
    """
    if address in (LOCAL, "auto"):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise UsageError(f"a cluster is named local, auto, HOST:PORT or ray://HOST:PORT, got {address!r}")
    try:
        with socket.create_connection((host, int(port)), timeout=REACHED) as wire:
            if os.environ.get("RAY_USE_TLS", "0") == "0" and not _greets(wire):
                raise ClusterError(f"no cluster of Ray can be used at {address}: something else listens there")
    except (OSError, OverflowError) as error:
        raise ClusterError(f"no cluster of Ray can be used at {address}: {error}") from error


def _greets(wire: socket.socket) -> bool:
    """Whether the other side answers as HTTP/2 must: with a frame of settings, whose kind is its fourth byte."""
    wire.sendall(HELLO)
    said = b""
    while len(said) < 4 and (more := wire.recv(4 - len(said))):
        said += more
    return said[3:] == b"\4"


def first_words(error: BaseException) -> str:
    """What an error of Ray says first: pages of its own advice may follow."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """What Ray says of its workers would go to standard output, which is for answers alone."""
    from ray._private import worker

    before, worker._worker_logs_enabled = worker._worker_logs_enabled, False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before


def is_connected() -> bool:
    """Whether this process is; Ray is not imported for it, which reads its settings then."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


def check_connected() -> None:
    """Refuse to ask where the connection has ended: Ray would begin a cluster of its own for it.

    Raises:
        ClusterError: it has.
    """
    if not is_connected():
        raise ClusterError("the connection to the cluster has ended: open the index anew")


def _session() -> Session:
    import ray

    cpus = int(ray.cluster_resources().get("CPU", 1))
    return Session(ray.get_runtime_context().gcs_address, max(1, cpus))


@contextmanager
def _environment(words: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in words}
    os.environ.update(words)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _own_folder() -> Iterator[Path]:
    """A new folder with a short name, for as long as it is needed."""
    parents = [place for place in (tempfile.gettempdir(), "/tmp") if len(place) + 14 <= LONGEST]  # noqa: S108
    if not parents:
        raise UsageError(f"Ray needs a folder with a short name, and {tempfile.gettempdir()} is long: set TMPDIR")
    folder = Path(tempfile.mkdtemp(prefix="retr-", dir=parents[0]))
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """All of a folder; processes that were told to end may still write into it."""
    until = time.monotonic() + LINGER
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() > until:
            return
        time.sleep(0.1)
