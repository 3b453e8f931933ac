"""Connections: none stays open that asks nothing, and there is room for whoever asks whether the service is up."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .settings import Settings


class Connection(H11Protocol):
    """One connection.

    Attributes:
        header_seconds: until a request's header must be there, from when the connection or the header began.
        most: connections; when there are more, the one that has been idle the longest is closed.
    """

    header_seconds: ClassVar[float]
    most: ClassVar[int]
    _timer: asyncio.TimerHandle | None = None
    _idle_since = 0.0

    @property
    def idle(self) -> bool:
        """Whether no request is being read or answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """One more."""
        super().connection_made(transport)
        self._idle_since = time.monotonic()
        self._watch()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """A piece of a header, or of a body."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """It waits for the next request; that none begins is looked at by the server."""
        self._idle_since = time.monotonic()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """It sent what is no HTTP; whoever was about to answer what came before that has nobody to tell."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if not self.idle:
            self._unwatch()
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self.header_seconds, self._late)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.idle:
            self.transport.close()

    def _make_room(self) -> None:
        while len(self.connections) > self.most:
            idle = [one for one in self.connections if isinstance(one, Connection) and one.idle]
            oldest = min(idle, key=lambda one: one._idle_since, default=self)
            self.connections.discard(oldest)
            oldest.transport.abort()  # what it does not read is not waited for


def limited(settings: Settings) -> type[Connection]:
    """Connections with the limits of a service."""

    class Limited(Connection):
        header_seconds, most = settings.header_seconds, settings.connections

    return Limited
