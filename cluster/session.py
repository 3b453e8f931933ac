"""A connection to Ray: to a cluster that is there, or to one of this machine's own that ends with it.

Nothing is sent to anybody about how Ray is used, and nothing is left in the home directory: the token by which the
processes of an own cluster know each other is in their environment, and all files are in a folder that is removed.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import ClusterError, UsageError

LOCAL = "local"
NAMESPACE = "retr"
LONGEST = 40
"""Letters of a folder's name that Ray can make its sockets in: Linux allows 107 for all of a socket's name."""
TRIES = 3
REACHED = 10.0
"""Seconds until somebody who listens has answered."""
STORE_BYTES = 100_000_000
"""Of shared memory for what is on its way between the processes of one machine."""


@dataclass(frozen=True)
class Session:
    """A connection. Attributes: ``address`` by which others reach the cluster; ``cpus`` it has altogether."""

    address: str
    cpus: int


@contextmanager
def connected(address: str, *, token: str | None = None, cpus: int | None = None) -> Iterator[Session]:
    """Be connected to a cluster for a while; what is connected already is used as it is.

    Args:
        address: ``local``, or of a cluster: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        token: by which the cluster knows its users; None for what Ray's own settings say, or for a new one.
        cpus: of an own cluster; None for those of this machine.

    Raises:
        UsageError: Ray is not installed, or has no folder with a name that is short enough.
        ClusterError: there is no such cluster, or it does not let us in.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError("a cluster needs ray, which is not installed: pip install 'retr[cluster]'")
    words = {"RAY_USAGE_STATS_ENABLED": "0"}
    if token is not None or address == LOCAL:
        words |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token or secrets.token_hex(32)}
    with _environment(words):
        import ray

        if ray.is_initialized():
            yield _session()
            return
        _check_reached(address)
        with _own_folder() as folder:
            own = {"num_cpus": cpus or os.cpu_count() or 1, "object_store_memory": STORE_BYTES}
            own |= {"_temp_dir": str(folder), "_node_ip_address": "127.0.0.1", "include_dashboard": False}
            _start(**(own if address == LOCAL else {"address": address}))
            with _quiet():
                try:
                    yield _session()
                finally:
                    ray.shutdown()


def _start(**options: Any) -> None:
    """Connect; a busy machine may need more than the half minute that Ray gives its own processes to begin."""
    import ray

    for left in range(TRIES - 1, -1, -1):
        try:
            ray.init(namespace=NAMESPACE, log_to_driver=False, logging_level="critical", **options)
            return
        except Exception as error:  # Ray has many, and for an address that is none a ValueError or a ConnectionError
            end_what_began(error)
            ray.shutdown()
            if left and "timed out during startup" in str(error):
                continue
            said, where = first_words(error), options.get("address", LOCAL)
            raise ClusterError(f"no cluster of Ray can be used at {where}: {said}") from error


def _check_reached(address: str) -> None:
    """Whether something listens there: Ray itself would try for minutes.

    Raises:
        UsageError: it is no address.
        ClusterError: nothing listens.
    """
    if address in (LOCAL, "auto"):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise UsageError(f"a cluster is named local, auto, HOST:PORT or ray://HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=REACHED).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"no cluster of Ray can be used at {address}: {error}") from error


def end_what_began(error: Exception) -> None:
    """The processes of a node that failed to begin, which Ray itself forgets: they would slow the next try down."""
    step = error.__traceback__
    while step is not None:
        node = step.tb_frame.f_locals.get("self")
        if hasattr(node, "kill_all_processes"):
            node.kill_all_processes(check_alive=False, allow_graceful=False)
        step = step.tb_next


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
        shutil.rmtree(folder, ignore_errors=True)
