"""Connections that ask nothing, too many of them, and those who leave."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import wait_until
from running import Running, run

from retr.service.settings import Settings

MOST = 20
BEGUN = b"POST /v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
BODY = BEGUN + b"Content-Length: 1000\r\n\r\n--x"


@pytest.fixture(scope="module")
def service(drawn: Path) -> Iterator[Running]:
    limits = {"header_seconds": 0.5, "connections": MOST, "requests": MOST // 2}
    found = run(Settings({"my-index": drawn / "my-index"}, decoders=1, **limits))
    yield found
    found.stop()


@pytest.fixture
def opened(service: Running) -> Iterator[list[socket.socket]]:
    """Connections that are closed after a test."""
    found: list[socket.socket] = []
    yield found
    for one in found:
        one.close()


def _begin(service: Running, opened: list[socket.socket], data: bytes = b"") -> socket.socket:
    one = socket.create_connection(service.listening.getsockname(), timeout=10)
    one.sendall(data)
    opened.append(one)
    return one


def _get(service: Running, path: str) -> int:
    connection = http.client.HTTPConnection(*service.listening.getsockname(), timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def _answer(one: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"}"):
        found += one.recv(9999)
    return found


def _seconds_open(one: socket.socket) -> float:
    began = time.monotonic()
    assert one.recv(1) == b""
    return time.monotonic() - began


@pytest.mark.parametrize("data", [b"", b"POST /v1/qu", BEGUN])
def test_who_asks_nothing_is_not_waited_for(service: Running, opened: list[socket.socket], data: bytes) -> None:
    assert _seconds_open(_begin(service, opened, data)) < 5


def test_a_header_that_trickles_in_is_not_waited_for(service: Running, opened: list[socket.socket]) -> None:
    one = _begin(service, opened)
    one.settimeout(0.1)
    until = time.monotonic() + 5
    with pytest.raises((ConnectionError, AssertionError)):  # noqa: PT012 - which piece finds it closed is chance
        while time.monotonic() < until:
            one.sendall(b"G")
            try:
                assert one.recv(1) != b""
            except TimeoutError:
                continue
    assert time.monotonic() < until


def test_the_header_of_a_second_request_too(service: Running, opened: list[socket.socket]) -> None:
    one = _begin(service, opened, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert _answer(one).startswith(b"HTTP/1.1 200")
    one.sendall(BEGUN)
    assert _seconds_open(one) < 5


@pytest.mark.parametrize("data", [b"", BEGUN, BODY])
def test_more_than_may_be_open_hide_nothing(service: Running, opened: list[socket.socket], data: bytes) -> None:
    for _ in range(3 * MOST):
        _begin(service, opened, data)
    for path in ("/livez", "/readyz", "/metrics"):
        assert _get(service, path) == 200


def test_requests_that_are_too_many_are_told_when_to_come_again(service: Running, opened: list[socket.socket]) -> None:
    for _ in range(MOST // 2):
        _begin(service, opened, BODY)
    time.sleep(0.2)
    head, _, body = _answer(_begin(service, opened, BODY)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 2" in head.lower()
    assert json.loads(body).keys() == {"error", "detail"}


def test_who_leaves_is_a_line_in_the_log(
    service: Running, opened: list[socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "retr.service"):
        one = _begin(service, opened, BODY)
        time.sleep(0.2)
        one.close()
        wait_until(lambda: any('"status": 499' in line.message for line in caplog.records))
    assert {line.levelname for line in caplog.records if line.name == "retr.service"} == {"INFO"}
    assert not any(line.exc_info for line in caplog.records)


@pytest.mark.parametrize("host", [b"localhost", b"evil.example"])
def test_what_is_no_http_is_refused_without_an_error(
    service: Running, opened: list[socket.socket], caplog: pytest.LogCaptureFixture, host: bytes
) -> None:
    one = _begin(service, opened, BEGUN.replace(b"localhost", host) + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n")
    assert one.recv(9999).startswith(b"HTTP/1.1 400")
    assert _get(service, "/livez") == 200
    assert not any(line.exc_info for line in caplog.records)
