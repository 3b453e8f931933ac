"""A cluster that begins slowly is waited for, and one that fails to begin says so at once."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from retr.cluster import beginning, session
from retr.cluster.beginning import NodeEndedError, await_node, end_what_began, patience, patient_words, persistently
from retr.cluster.session import connected
from retr.core.errors import ClusterError

pytest.importorskip("ray", reason="needs the extra cluster")


def a_node(dead: Sequence[tuple[str, Any]] = ()) -> Any:
    """As Ray's, as far as it is looked at."""
    from ray._private.node import Node

    def kill(node: Any, **_: object) -> None:
        node.killed = True

    own = {"gcs_address": "127.0.0.1:1", "node_id": "n", "killed": False, "__init__": lambda _: None}
    own |= {"dead_processes": lambda _: list(dead), "kill_all_processes": kill}
    drawn: Any = type("Drawn", (Node,), own)
    return drawn()


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
    await_node(a_node(), 60.0)
    assert asked == [("127.0.0.1:1", "n")] * 7


def test_one_that_takes_too_long_is_told_of_and_how_to_wait_longer(known_after):
    known_after(10**9)
    with pytest.raises(ClusterError, match=r"did not begin within 0\.01 seconds.*--deadline"):
        await_node(a_node(), 0.01)


def test_one_whose_process_ended_is_not_waited_for(known_after):
    known_after(10**9)
    ended = SimpleNamespace(poll=lambda: -6)
    with pytest.raises(ClusterError, match="its process raylet ends at once, exit code -6"):
        await_node(a_node([("raylet", ended)]), 3600.0)


def test_one_that_ended_itself_is_begun_anew_some_times(known_after):
    known_after(10**9)
    ended = a_node([("raylet", SimpleNamespace(poll=lambda: 1))])
    begun = []

    def begin() -> str:
        begun.append(ended)
        if len(begun) < 3:
            await_node(ended, 60.0)
        return "there"

    assert persistently(begin) == "there"
    assert (len(begun), ended.killed) == (3, True)
    with pytest.raises(NodeEndedError, match="tried 5 times"):
        persistently(lambda: await_node(ended, 60.0))


def test_what_a_node_can_do_without_may_end(known_after):
    known_after(3)
    await_node(a_node([("ray_client_server", SimpleNamespace(poll=lambda: 1))]), 60.0)


def test_patience_waits_where_ray_would_not_and_goes_when_it_is_over(known_after, monkeypatch):
    from ray._private import node as room

    begun = []
    monkeypatch.setattr(room.Node, "start_ray_processes", begun.append)
    before, node, asked = room.Node.start_ray_processes, a_node(), known_after(4)
    with patience(60.0):
        room.Node.start_ray_processes(node)
    assert (begun, len(asked)) == ([node], 4)
    assert room.Node.start_ray_processes is before


def test_a_node_that_failed_leaves_no_process(known_after):
    known_after(10**9)
    node = a_node()
    with pytest.raises(ClusterError) as caught:
        await_node(node, 0.0)
    end_what_began(caught.value)
    assert node.killed


def test_its_processes_are_given_whole_seconds():
    assert patient_words(0.5)["RAY_gcs_server_port_wait_time_s"] == "1"
    assert patient_words(300.0)["RAY_agent_register_timeout_ms"] == "301000"


def test_what_a_failure_holds_on_to_is_not_asked_whether_it_is_a_node():
    class Odd:
        def __getattr__(self, name: str) -> object:
            raise LookupError(name)  # as a client of Ray that is not connected

        def fail(self) -> None:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        Odd().fail()
    end_what_began(caught.value)


def test_a_folder_is_removed_though_somebody_still_writes_into_it(tmp_path):
    (tmp_path / "own").mkdir()
    removed, real = [], shutil.rmtree

    def rmtree(folder: Path, **ways: Any) -> None:
        removed.append(folder)
        if len(removed) > 1:
            real(folder, **ways)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.shutil, "rmtree", rmtree)
        session._remove(tmp_path / "own")
    assert (len(removed), (tmp_path / "own").exists()) == (2, False)


@pytest.mark.parametrize("way", ["", "ray://"])
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n"])
def test_what_listens_and_is_no_cluster_is_refused_at_once(way, said):
    def answer() -> None:
        with server.accept()[0] as wire:
            wire.recv(99)
            wire.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as server:
        other = threading.Thread(target=answer)
        other.start()
        address = f"{way}127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(ClusterError, match=f"at {address}: something else listens there"),
            connected(address),
        ):
            pass
        other.join()


@pytest.mark.parametrize(
    ("address", "ours", "fits"),
    [
        ("10.0.0.1:6379", "auto", True),
        ("10.0.0.1:6380", "auto", False),
        ("auto", "10.0.0.1:6379", True),
        ("local", "10.0.0.1:6379", False),
        ("ray://10.0.0.2:10001", "10.0.0.1:6379", False),
        ("local", None, True),
        ("ray://10.0.0.2:10001", None, True),
    ],
)
def test_another_cluster_than_the_one_in_use_is_refused(address, ours, fits):
    there = session.Session("10.0.0.1:6379", 4)
    if fits:
        session._check_same(address, there, ours)
        return
    with pytest.raises(ClusterError, match="Ray allows one at a time"):
        session._check_same(address, there, ours)


def test_who_is_forgotten_in_the_midst_of_a_joining_neither_waits_nor_ends_it(monkeypatch):
    """Memory is collected whenever Python likes, by the thread that holds the lock."""
    connection, up = session._Connection(), []
    monkeypatch.setattr(session, "is_connected", lambda: bool(up))

    @contextmanager
    def begun(*_):
        up.append(1)
        yield
        up.clear()

    def asked():
        if len(left) == 1:
            left.append(1)
            connection.leave()
        return session.Session("here", 1)

    left = []
    monkeypatch.setattr(session, "_begun", begun)
    monkeypatch.setattr(session, "_session", asked)
    connection.join("local", None, None, 1.0)
    left.append(1)
    connection.join("local", None, None, 1.0)
    assert up
    connection.leave()
    assert not up
    monkeypatch.setattr(session, "_session", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        connection.join("local", None, None, 1.0)
    assert not up
