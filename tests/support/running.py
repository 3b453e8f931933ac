"""A service on a port of this machine, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass

import uvicorn
from asking import wait_until

from retr.service.app import create_app, server_config
from retr.service.settings import Settings


@dataclass
class Running:
    """It runs until it is stopped."""

    server: uvicorn.Server
    thread: threading.Thread
    listening: socket.socket

    @property
    def url(self) -> str:
        """Where, without a slash at the end."""
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.server.should_exit = True
        self.thread.join(60)
        self.listening.close()


def run(settings: Settings) -> Running:
    """Start it, and wait until it is ready."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    app = create_app(settings)
    server = uvicorn.Server(server_config(app, settings))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    served = app.state.service.shelf.served.values()
    wait_until(lambda: server.started and all(one.trouble is None for one in served))
    return Running(server, thread, listening)
