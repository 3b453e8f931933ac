"""How an own cluster begins: its processes get the time that a busy machine needs, and say so when they fail.

Ray waits half a minute for a node that it has begun, leaves its processes behind when that is over, and has no setting
for it. Here it is waited for as long as it lives.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..core.errors import ClusterError

BEGINNING = 300.0
"""Seconds that a cluster may take to begin, and holders to begin and to open their rows."""
NEEDED = ("gcs_server", "raylet")
"""Kinds of processes without which there is no node."""
PAUSE = 0.1


def patient_words(seconds: float) -> dict[str, str]:
    """What processes of Ray are told in their environment of how long they may wait for each other."""
    whole = str(int(seconds) + 1)
    return {
        "RAY_gcs_server_port_wait_time_s": whole,
        "RAY_raylet_start_wait_time_s": whole,
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
        ClusterError: it has not within so many seconds, or one of its processes has ended.
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
        raise ClusterError(
            f"Ray did not begin on this machine: its process {kind} ended at once, with exit code {code}"
        )


def end_what_began(error: BaseException) -> None:
    """The processes of a node that failed to begin, which Ray itself forgets."""
    step = error.__traceback__
    while step is not None:
        node: Any = step.tb_frame.f_locals.get("self", step.tb_frame.f_locals.get("node"))
        if hasattr(node, "kill_all_processes"):
            node.kill_all_processes(check_alive=False, allow_graceful=False)
        step = step.tb_next
