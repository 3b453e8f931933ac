"""A cluster that begins slowly is waited for, and one that fails to begin says so at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from retr.cluster import beginning
from retr.cluster.beginning import await_node, end_what_began, patience, patient_words
from retr.core.errors import ClusterError

pytest.importorskip("ray", reason="needs the extra cluster")


@dataclass
class Node:
    """As Ray's, as far as it is looked at."""

    dead: list[tuple[str, Any]] = field(default_factory=list)
    gcs_address: str = "127.0.0.1:1"
    node_id: str = "n"
    killed: bool = False

    def dead_processes(self) -> list[tuple[str, Any]]:
        return self.dead

    def kill_all_processes(self, **_: object) -> None:
        self.killed = True


@pytest.fixture
def known_after(monkeypatch):
    """A node is known when it has been asked for so many times."""
    from ray._private import services

    monkeypatch.setattr(beginning, "PAUSE", 0.0)

    def after(times: int) -> list[tuple[str, str]]:
        asked = []

        def get_node(*node: str) -> dict[str, str]:
            asked.append(node)
            if len(asked) < times:
                raise RuntimeError("no such node")
            return {}

        monkeypatch.setattr(services, "get_node", get_node)
        return asked

    return after


def test_a_slow_node_is_waited_for(known_after):
    asked = known_after(7)
    await_node(Node(), 60.0)
    assert asked == [("127.0.0.1:1", "n")] * 7


def test_one_that_takes_too_long_is_told_of_and_how_to_wait_longer(known_after):
    known_after(10**9)
    with pytest.raises(ClusterError, match=r"did not begin within 0\.01 seconds.*--deadline"):
        await_node(Node(), 0.01)


def test_one_whose_process_ended_is_not_waited_for(known_after):
    known_after(10**9)
    ended = SimpleNamespace(poll=lambda: -6)
    with pytest.raises(ClusterError, match="its process raylet ended at once, with exit code -6"):
        await_node(Node([("raylet", ended)]), 3600.0)


def test_what_a_node_can_do_without_may_end(known_after):
    known_after(3)
    await_node(Node([("ray_client_server", SimpleNamespace(poll=lambda: 1))]), 60.0)


def test_patience_waits_where_ray_would_not_and_goes_when_it_is_over(known_after, monkeypatch):
    from ray._private import node as room

    begun = []
    monkeypatch.setattr(room.Node, "start_ray_processes", begun.append)
    before, node, asked = room.Node.start_ray_processes, Node(), known_after(4)
    with patience(60.0):
        room.Node.start_ray_processes(node)  # type: ignore[arg-type]
    assert (begun, len(asked)) == ([node], 4)
    assert room.Node.start_ray_processes is before


def test_a_node_that_failed_leaves_no_process(known_after):
    known_after(10**9)
    node = Node()
    with pytest.raises(ClusterError) as caught:
        await_node(node, 0.0)
    end_what_began(caught.value)
    assert node.killed


def test_its_processes_are_given_whole_seconds():
    assert set(patient_words(0.5).values()) == {"1", "1000"}
    assert patient_words(300.0)["RAY_agent_register_timeout_ms"] == "301000"
