"""How an own cluster begins: its processes get the time that a busy machine needs, and say so when they fail.

Ray waits half a minute for a node that it has begun, leaves its processes behind when that is over, and has no setting
for it; and a node ends itself when its own helpers have not told their ports within a quarter of a minute, which they
may not on a busy machine. Here a node is waited for as long as it lives, and one that has ended itself is begun anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ..core.errors import ClusterError

BEGINNING = 300.0
"""Seconds that a cluster may take to begin, and holders to begin and to open their rows."""
TRIES = 5
"""How often a node is begun that ends itself; each takes a quarter of a minute or more."""
NEEDED = ("gcs_server", "raylet")
"""Kinds of processes without which there is no node."""
PAUSE = 0.1
T = TypeVar("T")


class NodeEndedError(ClusterError):
    """A node has ended as it began."""


def patient_words(seconds: float) -> dict[str, str]:
    """What processes of Ray are told in their environment of how long they may wait for each other."""
    whole = str(int(seconds) + 1)
    return {
        "RAY_gcs_server_port_wait_time_s": whole,
        "RAY_raylet_start_wait_time_s": "2",  # how long one look lasts: between them it is seen who has died
        "RAY_worker_register_timeout_seconds": whole,
        "RAY_agent_register_timeout_ms": whole + "000",
    }


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Nodes that are begun in the meantime have so long to begin.

    Raises:
        ClusterError: one takes longer, or ends at once.
    """
    from ray._private import node as room

    kind: Any = room.Node
    own = kind.start_ray_processes

    def start_ray_processes(node: Any) -> None:
        own(node)
        await_node(node, seconds)

    kind.start_ray_processes = start_ray_processes
    try:
        yield
    finally:
        kind.start_ray_processes = own


def await_node(node: Any, seconds: float) -> None:
    """Wait until a node has made itself known.

    Raises:
        NodeEndedError: one of its processes has ended.
        ClusterError: it is not known within so many seconds.
    """
    from ray._private import services

    until = time.monotonic() + seconds
    while True:
        try:
            services.get_node(node.gcs_address, node.node_id)
            return
        except RuntimeError:  # it is not known yet
            _check_alive(node)
        if time.monotonic() > until:
            raise ClusterError(
                f"Ray did not begin within {seconds:g} seconds on this machine, which may be too busy: "
                "try again, or give it longer with --deadline"
            )
        time.sleep(PAUSE)


def _check_alive(node: Any) -> None:
    ended = [(kind, process.poll()) for kind, process in node.dead_processes() if kind in NEEDED]
    if ended:
        kind, code = ended[0]
        raise NodeEndedError(
            f"Ray did not begin on this machine, tried {TRIES} times: its process {kind} ends at once, exit code "
            f"{code}. The machine may be too busy: try again later"
        )


def persistently(begin: Callable[[], T]) -> T:
    """What ``begin`` returns, which is tried again where a node ended itself."""
    for _ in range(TRIES - 1):
        try:
            return begin()
        except NodeEndedError as error:
            end_what_began(error)
    return begin()


def end_what_began(error: BaseException) -> None:
    """The processes of a node that failed to begin, which Ray itself forgets."""
    from ray._private.node import Node

    step = error.__traceback__
    while step is not None:
        for one in step.tb_frame.f_locals.values():
            if isinstance(one, Node):
                one.kill_all_processes(check_alive=False, allow_graceful=False)
        step = step.tb_next
